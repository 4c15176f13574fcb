//! Replicas that are replaced: by a rolling update, as the chart does it, and by nodes that are drained at once.

use std::{net::SocketAddrV4, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

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

/// How long a new pod serves before the controller of Deployments lets an old one go.
fn min_ready() -> Duration {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes/plimsoll.yaml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let seconds = text.lines().find_map(|line| line.trim().strip_prefix("minReadySeconds: "));
    Duration::from_secs(seconds.expect("the Deployment says it").parse().unwrap())
}

struct Service {
    namespace: String,
    names: Headless,
    replicas: Vec<Process>,
    /// For so long one that ends serves on.
    endpoint_delay: &'static str,
}

impl Service {
    /// A further replica, ready.
    fn start(&mut self) {
        let n = u8::try_from(self.replicas.len() + 1).unwrap();
        let port = self.replicas.first().map_or("0", |first| port(first)).to_owned();
        let more = ["--endpoint-delay", self.endpoint_delay];
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

/// A service with two replicas, an object that has work all the time, and idle ones.
struct Scene {
    api: Api,
    backend: Backend,
    redis: redis::aio::MultiplexedConnection,
    service: Service,
    busy: Scaled,
    of_busy: Changes,
    objects: Vec<Scaled>,
    /// Those that have not been woken: their lists, and what becomes of their replicas.
    idle: Vec<(String, Changes)>,
}

impl Scene {
    async fn open(name: &str, endpoint_delay: &'static str) -> Self {
        let backend = Backend::new(Kind::Redis, name).await;
        let (api, namespace) = (stage::api().await, backend.name.clone());
        api.namespace(&namespace).await;
        for object in [backend.secret(&namespace, ONE), backend.authentication(&namespace)] {
            api.apply(&object).await.ok();
        }
        let client = redis::Client::open(format!("redis://{}", crate::brokers::variable("REDIS"))).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();

        let names = Headless::new().await;
        let mut service = Service { namespace: namespace.clone(), names, replicas: Vec::new(), endpoint_delay };
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
        let scene = Self { api, backend, redis, service, busy, of_busy, objects, idle };
        scene.all_streams_are_open().await;
        scene
    }

    async fn all_streams_are_open(&self) {
        let all = IDLE as u64 + 1;
        eventually("all streams are open", || async { self.service.streams() == all }).await;
    }

    /// Puts work before the next idle object, which has a replica soon.
    async fn wake(&mut self, when: &str) {
        let (list, mut changes) = self.idle.pop().unwrap();
        let begin = Instant::now();
        let _: i64 = redis::cmd("LPUSH").arg(&list).arg("work").query_async(&mut self.redis).await.unwrap();
        timeout(PATIENCE, changes.until(1)).await.unwrap_or_else(|_| panic!("{when}: a wake is lost"));
        let took = begin.elapsed();
        println!("{}, {when}: woken after {took:.1?}", self.service.namespace);
        assert!(took < WOKEN, "{when}: woken after {took:?}");
    }

    /// Nothing was scaled down, and KEDA has noticed nothing.
    async fn close(mut self) {
        let change = timeout(Duration::from_millis(200), self.of_busy.next()).await;
        assert!(change.is_err(), "what was busy all the time has changed: {change:?}");
        let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.service.namespace);
        let events = self.api.get(&events).await.ok();
        let failed = |event: &&Value| event["reason"].as_str().is_some_and(|reason| reason.contains("Failed"));
        let failed: Vec<_> = events["items"].as_array().unwrap().iter().filter(failed).collect();
        assert!(failed.is_empty(), "KEDA has noticed it: {failed:?}");
        for scaled in self.objects.into_iter().chain([self.busy]) {
            scaled.end().await;
        }
        self.backend.end().await;
    }
}

#[tokio::test]
async fn a_rolling_update_loses_no_wake_and_scales_nothing_down() {
    let mut scene = Scene::open("rolling", "1s").await;
    for old in 0..2 {
        scene.service.start();
        scene.service.ready_from(old);
        let ready = Instant::now();
        scene.wake("a new replica serves").await;
        // KEDA's client asks for names when a connection ends, but not within 30 s of the last time.
        sleep_until(ready + min_ready()).await;
        scene.service.ready_from(old + 1);
        scene.service.replicas[old].terminate();
        scene.wake("an old one was told to end").await;
        assert!(scene.service.replicas[old].ended(PATIENCE).success());
        scene.wake("it has ended").await;
        scene.all_streams_are_open().await;
    }
    scene.close().await;
}

/// What docs/operate.md says of nodes that are drained together.
#[tokio::test]
async fn two_replicas_that_go_at_once_are_not_missed_where_they_serve_on_for_longer_than_kedas_client_pauses() {
    let mut scene = Scene::open("drained", "35s").await;
    scene.service.start();
    scene.service.start();
    scene.service.ready_from(2);
    scene.service.replicas[0].terminate();
    scene.service.replicas[1].terminate();
    scene.wake("both were told to end").await;
    for old in 0..2 {
        assert!(scene.service.replicas[old].ended(PATIENCE).success());
        scene.wake("one has ended").await;
    }
    scene.all_streams_are_open().await;
    scene.wake("both have ended").await;
    scene.close().await;
}
