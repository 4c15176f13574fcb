//! A rolling update of the server, as the chart does it: a new replica serves, then an old one is told to end.

use std::{net::SocketAddrV4, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    api::Api,
    backend::{Backend, Kind, ONE},
    headless::Headless,
    process::Process,
    scaled::{Changes, Scaled},
    stage::{self, PATIENCE, eventually, serve_on},
};

/// Each is woken once in the course of it. KEDA's polls come too late to do that.
const IDLE: usize = 6;
const NEVER: u64 = 600;
/// KEDA opens a stream again 2 s after a clean end; the rest is this machine's.
const WOKEN: Duration = Duration::from_secs(5);

struct Service {
    namespace: String,
    names: Headless,
    replicas: Vec<Process>,
}

impl Service {
    /// A further replica, ready.
    fn start(&mut self) {
        let n = u8::try_from(self.replicas.len() + 1).unwrap();
        let port = self.replicas.first().map_or("0", |first| port(first)).to_owned();
        let more = ["--endpoint-delay", "1s"];
        self.replicas.push(serve_on(&format!("127.0.0.{n}:{port}"), &self.namespace, &more));
    }

    /// Those from `first` on are the Service's.
    fn ready_from(&self, first: usize) {
        let all: Vec<_> = self.replicas[first..]
            .iter()
            .map(|replica| replica.grpc.parse::<SocketAddrV4>().unwrap())
            .map(|at| *at.ip())
            .collect();
        self.names.ready(&all);
    }

    fn streams(&self) -> u64 {
        self.replicas.iter().map(streams).sum()
    }
}

fn port(server: &Process) -> &str {
    server.grpc.rsplit_once(':').unwrap().1
}

/// Of a server that may have ended.
fn streams(server: &Process) -> u64 {
    if !server.runs() {
        return 0;
    }
    server.triggers().iter().filter_map(|row| row["streams"].as_u64()).sum()
}

/// An object whose work is the list of its name.
async fn object(api: &Api, namespace: &str, name: &str, trigger: &Value, interval: u64) -> Scaled {
    let mut trigger = trigger.clone();
    trigger["metadata"]["listName"] = format!("{namespace}-{name}").into();
    Scaled::new(api, namespace, name, &json!({"triggers": [trigger], "pollingInterval": interval})).await
}

/// Puts work before the next idle object. How long it took to its replicas.
async fn wake(idle: &mut Vec<(String, Changes)>, redis: &mut redis::aio::MultiplexedConnection, when: &str) {
    let (list, mut changes) = idle.pop().unwrap();
    let begin = Instant::now();
    let _: i64 = redis::cmd("LPUSH").arg(&list).arg("work").query_async(redis).await.unwrap();
    timeout(PATIENCE, changes.until(1)).await.unwrap_or_else(|_| panic!("{when}: a wake is lost"));
    let took = begin.elapsed();
    println!("rolling update, {when}: woken after {took:.1?}");
    assert!(took < WOKEN, "{when}: woken after {took:?}");
}

#[tokio::test]
async fn a_rolling_update_loses_no_wake_and_scales_nothing_down() {
    let backend = Backend::new(Kind::Redis, "rolling").await;
    let (api, namespace) = (stage::api().await, backend.name.clone());
    api.namespace(&namespace).await;
    for object in [backend.secret(&namespace, ONE), backend.authentication(&namespace)] {
        api.apply(&object).await.ok();
    }
    let client = redis::Client::open(format!("redis://{}", crate::brokers::variable("REDIS"))).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();

    let mut service = Service { namespace: namespace.clone(), names: Headless::new().await, replicas: Vec::new() };
    service.start();
    service.start();
    service.ready_from(0);
    let trigger = backend.trigger("external-push", &service.names.scaler_address(port(&service.replicas[0])));
    let busy = object(&api, &namespace, "busy", &trigger, 1).await;
    let work = redis::cmd("LPUSH").arg(format!("{namespace}-busy")).arg(vec!["work"; 25]).to_owned();
    let _: i64 = work.query_async(&mut redis).await.unwrap();
    busy.reaches(5).await;
    let mut of_busy = busy.changes().await;
    assert_eq!(of_busy.next().await, 5);
    let (mut idle, mut objects) = (Vec::new(), Vec::new());
    for n in 0..IDLE {
        let scaled = object(&api, &namespace, &format!("idle-{n}"), &trigger, NEVER).await;
        idle.push((format!("{namespace}-idle-{n}"), scaled.changes().await));
        objects.push(scaled);
    }
    let all = IDLE as u64 + 1;
    eventually("all streams are open", || async { service.streams() == all }).await;

    for old in 0..2 {
        service.start();
        service.ready_from(old);
        wake(&mut idle, &mut redis, "a new replica serves").await;
        service.ready_from(old + 1);
        service.replicas[old].terminate();
        wake(&mut idle, &mut redis, "an old one was told to end").await;
        assert!(service.replicas[old].ended(PATIENCE).success());
        wake(&mut idle, &mut redis, "it has ended").await;
        eventually("all streams are open again", || async { service.streams() == all }).await;
        // A client asks for names again 30 s after it last did, and as soon as a connection ends.
        let asked = |row: &Value| row["askedAt"].is_number();
        eventually("KEDA knows the new replica", || async {
            service.replicas.last().is_some_and(|new| new.triggers().iter().any(asked))
        })
        .await;
    }

    let change = timeout(Duration::from_millis(200), of_busy.next()).await;
    assert!(change.is_err(), "what was busy all the time has changed: {change:?}");
    let events = api.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).await.ok();
    let failed = |event: &&Value| event["reason"].as_str().is_some_and(|reason| reason.contains("Failed"));
    let failed: Vec<_> = events["items"].as_array().unwrap().iter().filter(failed).collect();
    assert!(failed.is_empty(), "KEDA has noticed it: {failed:?}");
    for scaled in objects.into_iter().chain([busy]) {
        scaled.end().await;
    }
    backend.end().await;
}
