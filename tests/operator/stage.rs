//! What KEDA's own manifests set up beside its programs: the part of the API that its metrics adapter answers for.

use std::{env, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::api::Api;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The API server, once it hands questions for external metrics on to KEDA.
pub async fn api() -> Api {
    let api = Api::shared();
    let port: u16 = env::var("PLIMSOLL_TEST_ADAPTER_PORT")
        .expect("start KEDA with `tests/cluster/up keda`, then `. target/cluster/env`")
        .parse()
        .unwrap();
    api.namespace("keda").await;
    let meta = json!({"name": "keda-metrics-apiserver", "namespace": "keda"});
    // The adapter is no pod: its service is another name for this machine.
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    });
    api.apply(&service).await.ok();
    let part = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "service": {"name": meta["name"], "namespace": "keda", "port": port},
            "group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 100, "versionPriority": 100,
        },
    });
    api.apply(&part).await.ok();
    eventually("external metrics are answered", || async {
        api.get("/apis/external.metrics.k8s.io/v1beta1").await.status == 200
    })
    .await;
    api
}

/// Waits for a condition, and names it when it does not come.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "after {} s still not: {what}", PATIENCE.as_secs());
        sleep(Duration::from_millis(50)).await;
    }
}
