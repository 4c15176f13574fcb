//! The same life for every backend: from zero to work and back by a login that KEDA never passes on, its password changed,
//! its broker killed.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api::Api,
    backend::{Backend, Kind, ONE, TWO},
    process::Process,
    scaled::{Changes, Scaled},
    stage::{self, PATIENCE, eventually, serve},
};

/// KEDA asks this seldom, so that what is sooner was a push.
const POLL: u64 = 10;
/// Five replicas.
const WORK: usize = 25;
/// A source that flaps is told once a second at most: this one does not.
const BETWEEN: Duration = Duration::from_millis(1200);
/// Wakes that count, and how many are tried on a machine that does other things too.
const COUNTED: usize = 5;
const TRIED: usize = 20;

struct Life {
    api: Api,
    namespace: String,
    server: Process,
    backend: Backend,
    /// Without a fallback, and with one of three replicas.
    plain: Scaled,
    fallback: Scaled,
    changes: Changes,
}

impl Life {
    async fn begin(kind: Kind, name: &str) -> Self {
        let backend = Backend::new(kind, name).await;
        let (api, namespace) = (stage::api().await, backend.name.clone());
        let server = serve(&namespace, &[]);
        api.namespace(&namespace).await;
        for object in [backend.secret(&namespace, ONE), backend.authentication(&namespace)] {
            api.apply(&object).await.ok();
        }
        let trigger = backend.trigger("external-push", &server.grpc);
        let mut spec = json!({"triggers": [trigger], "pollingInterval": POLL});
        let plain = Scaled::new(&api, &namespace, "plain", &spec).await;
        spec["fallback"] = json!({"failureThreshold": 2, "replicas": 3});
        let fallback = Scaled::new(&api, &namespace, "fallback", &spec).await;
        let mut changes = plain.changes().await;
        assert_eq!(changes.next().await, 0);
        Self { api, namespace, server, backend, plain, fallback, changes }
    }

    /// Both objects' streams are open, and their trigger is read and idle.
    async fn idle(&self) {
        eventually("KEDA has opened its streams and the source is idle", || async {
            let rows = self.server.triggers();
            let streams: u64 = rows.iter().filter_map(|row| row["streams"].as_u64()).sum();
            streams == 2 && rows.iter().all(|row| row["active"] == false)
        })
        .await;
    }

    /// From the write to `spec.replicas`.
    async fn wake(&mut self) -> Duration {
        let begin = Instant::now();
        self.backend.add().await;
        let woken = timeout(PATIENCE, self.changes.next()).await.expect("a wake");
        assert!(woken >= 1);
        begin.elapsed()
    }

    /// Wakes again and again, until the middle one of five is as quick as it is to be.
    async fn wakes(&mut self) {
        let mut times = Vec::new();
        loop {
            self.idle().await;
            times.push(self.wake().await);
            let mut counted: Vec<_> = times.iter().rev().take(COUNTED).copied().collect();
            counted.sort();
            if counted.len() == COUNTED && counted[COUNTED / 2] <= self.backend.within() {
                break println!("{}: from the write to spec.replicas: {counted:.1?}", self.namespace);
            }
            assert!(times.len() < TRIED, "{}: {times:?}, not {:?}", self.namespace, self.backend.within());
            self.backend.clear().await;
            self.idle().await;
            self.plain.stop().await;
            self.fallback.stop().await;
            timeout(PATIENCE, self.changes.until(0)).await.expect("the replicas are gone");
            sleep(BETWEEN).await;
        }
    }

    async fn both_reach(&self, replicas: u64) {
        self.plain.reaches(replicas).await;
        self.fallback.reaches(replicas).await;
    }

    /// Work comes while the login is refused: it wakes as soon as the Secret has followed.
    async fn password_changes(&mut self) {
        self.backend.password(TWO).await;
        if self.backend.refuses() && self.backend.kind != Kind::Kafka {
            // Kafka lets those go on who are in.
            eventually("the old password is refused", || async {
                self.server.triggers().iter().all(|row| !row["error"].is_null())
            })
            .await;
        }
        self.backend.fill(WORK).await;
        self.api.apply(&self.backend.secret(&self.namespace, TWO)).await.ok();
        let begin = Instant::now();
        self.both_reach(5).await;
        println!("{}: from the Secret to its replicas: {:.1?}", self.namespace, begin.elapsed());
    }

    /// Nobody says that there is no work: the replicas stay, or are those of the fallback, until it is back.
    async fn broker_is_killed(&mut self) {
        let mut changes = self.plain.changes().await;
        assert_eq!(changes.next().await, 5);
        let node = self.backend.kill().await;
        eventually("the autoscaler knows no value", || async {
            self.plain.autoscaler("ScalingActive").await == "False"
        })
        .await;
        eventually("KEDA falls back", || async { self.fallback.condition("Fallback").await == "True" }).await;
        self.fallback.reaches(3).await;

        self.backend.bring_back(node, TWO).await;
        eventually("KEDA reads again", || async { self.fallback.condition("Fallback").await == "False" }).await;
        eventually("the autoscaler knows one", || async { self.plain.autoscaler("ScalingActive").await == "True" })
            .await;
        self.both_reach(5).await;
        let change = timeout(Duration::from_millis(200), changes.next()).await;
        assert!(change.is_err(), "{}: without a fallback its replicas were {change:?}", self.namespace);
    }

    async fn end(self) {
        self.backend.clear().await;
        self.both_reach(0).await;
        self.plain.end().await;
        self.fallback.end().await;
        self.backend.end().await;
    }
}

async fn life(kind: Kind, name: &str) {
    let mut life = Life::begin(kind, name).await;
    life.wakes().await;
    life.backend.fill(WORK).await;
    life.both_reach(5).await;
    life.backend.clear().await;
    life.both_reach(0).await;
    life.password_changes().await;
    life.broker_is_killed().await;
    life.end().await;
}

#[tokio::test]
async fn kafka() {
    life(Kind::Kafka, "kafka").await;
}

#[tokio::test]
async fn rabbitmq() {
    life(Kind::RabbitMq, "rabbitmq").await;
}

#[tokio::test]
async fn redis() {
    life(Kind::Redis, "redis").await;
}

#[tokio::test]
async fn sqs() {
    life(Kind::Sqs, "sqs").await;
}

#[tokio::test]
async fn prometheus() {
    life(Kind::Prometheus, "prometheus").await;
}
