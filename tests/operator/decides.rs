//! Where KEDA's polls alone decide: a formula with an activation of its own, and jobs. And where they do not.

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    api::Api,
    backend::{Backend, Kind, ONE},
    process::Process,
    scaled::Scaled,
    stage::{self, PATIENCE, eventually, serve},
};

/// A list on Redis by a login of its own, and a second one beside it.
struct Place {
    api: Api,
    server: Process,
    backend: Backend,
}

impl Place {
    async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    async fn with(name: &str, options: &[&str]) -> Self {
        let backend = Backend::new(Kind::Redis, name).await;
        let (api, server) = (stage::api().await, serve(&backend.name, options));
        api.namespace(&backend.name).await;
        for object in [backend.secret(&backend.name, ONE), backend.authentication(&backend.name)] {
            api.apply(&object).await.ok();
        }
        Self { api, server, backend }
    }

    fn trigger(&self) -> Value {
        self.backend.trigger("external-push", &self.server.grpc)
    }

    /// Two triggers, the second on a list that stays empty, and what makes one number of them.
    async fn composed(&self, modifiers: &Value, interval: u64) -> Scaled {
        let (mut orders, mut corrections) = (self.trigger(), self.trigger());
        (orders["name"], corrections["name"]) = ("orders".into(), "corrections".into());
        corrections["metadata"]["listName"] = format!("{}-corrections", self.backend.name).into();
        let spec = json!({
            "triggers": [orders, corrections], "pollingInterval": interval,
            "advanced": {"scalingModifiers": modifiers},
        });
        Scaled::new(&self.api, &self.backend.name, "composed", &spec).await
    }

    fn counted(&self, series: &str) -> u64 {
        let page = self.server.page("/metrics");
        page.lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    fn pushes(&self) -> u64 {
        self.counted("plimsoll_pushes_total")
    }

    /// Work for five replicas, and none.
    async fn work_comes_and_goes(&self, scaled: &Scaled) {
        self.backend.fill(25).await;
        scaled.reaches(5).await;
        self.backend.clear().await;
        scaled.reaches(0).await;
    }

    /// How often KEDA has asked so.
    fn asked(&self, method: &str) -> u64 {
        let service = "externalscaler.ExternalScaler";
        self.counted(&format!(r#"grpc_server_started_total{{grpc_service="{service}",grpc_method="{method}""#))
    }

    /// KEDA has asked that often again.
    async fn polled(&self, times: u64) {
        let before = self.asked("IsActive");
        eventually("KEDA polls", || async { self.asked("IsActive") >= before + times }).await;
    }
}

#[tokio::test]
async fn a_formula_is_woken_by_a_push_of_one_of_its_triggers() {
    let place = Place::new("formula").await;
    let scaled = place.composed(&json!({"formula": "orders + corrections", "target": "5"}), 10).await;
    eventually("both streams are open", || async {
        place.server.triggers().iter().filter(|row| row["streams"] == 1 && row["active"] == false).count() == 2
    })
    .await;
    let mut changes = scaled.changes().await;
    assert_eq!(changes.next().await, 0);
    let begin = Instant::now();
    place.backend.add().await;
    timeout(PATIENCE, changes.next()).await.expect("a wake");
    println!("with a formula: from the write to spec.replicas: {:.1?}", begin.elapsed());
    assert!(place.pushes() >= 1, "it was a poll");
    place.work_comes_and_goes(&scaled).await;
    scaled.end().await;
    place.backend.end().await;
}

#[tokio::test]
async fn a_target_that_keda_was_told_is_not_asked_for() {
    // It is told within the age of a stream.
    let place = Place::with("told", &["--stream-age", "8s"]).await;
    let spec = json!({"triggers": [place.trigger()], "pollingInterval": 1});
    let scaled = Scaled::new(&place.api, &place.backend.name, "told", &spec).await;
    eventually("KEDA asks for values alone", || async {
        let before = place.asked("GetMetricSpec");
        place.polled(5).await;
        place.asked("GetMetricSpec") == before
    })
    .await;
    assert!(place.asked("GetMetricSpec") > 0, "it asked before");
    place.work_comes_and_goes(&scaled).await;
    scaled.end().await;
    place.backend.end().await;
}

#[tokio::test]
async fn a_formula_with_an_activation_of_its_own_is_never_pushed() {
    let place = Place::new("activation").await;
    let modifiers = json!({"formula": "orders + corrections", "target": "5", "activationTarget": "10"});
    let scaled = place.composed(&modifiers, 2).await;
    let mut changes = scaled.changes().await;
    assert_eq!(changes.next().await, 0);
    place.backend.fill(7).await;
    eventually("the trigger is active", || async { place.server.triggers().iter().any(|row| row["active"] == true) })
        .await;
    // Each poll asks two triggers.
    place.polled(6).await;
    assert_eq!(scaled.replicas().await, 0, "7 is not more than 10");

    place.work_comes_and_goes(&scaled).await;
    assert_eq!(place.pushes(), 0);
    scaled.end().await;
    place.backend.end().await;
}

#[tokio::test]
async fn jobs_are_made_by_polls_and_never_pushed() {
    let place = Place::new("jobs").await;
    let namespace = &place.backend.name;
    let mut trigger = place.trigger();
    trigger["metadata"]["listLength"] = "1".into();
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "image"}]});
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "w", "namespace": namespace},
        "spec": {
            "jobTargetRef": {"template": {"spec": pod}}, "pollingInterval": 2, "maxReplicaCount": 10, "triggers": [trigger],
        },
    });
    place.api.apply(&object).await.ok();
    eventually("KEDA has opened its stream", || async {
        place.server.triggers().iter().any(|row| row["streams"] == 1 && row["active"] == false)
    })
    .await;
    place.backend.fill(3).await;
    let jobs = async || {
        let all = place.api.get(&format!("/apis/batch/v1/namespaces/{namespace}/jobs")).await.ok();
        all["items"].as_array().unwrap().len()
    };
    eventually("there are three jobs", || async { jobs().await == 3 }).await;
    place.polled(3).await;
    assert_eq!(jobs().await, 3, "three pieces of work are three jobs");
    assert_eq!(place.pushes(), 0);
    let warned = stage::operator_log()
        .lines()
        .any(|line| line.contains("External Push Scaler does not support") && line.contains(namespace.as_str()));
    assert!(!warned, "KEDA was pushed what it cannot use");
    place.api.delete(&object).await.ok();
    let path = place.api.path(&object).await;
    eventually("KEDA has let go", || async { place.api.get(&path).await.status == 404 }).await;
    place.backend.end().await;
}
