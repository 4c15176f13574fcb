//! What KEDA's own manifests set up beside its programs: the part of the API that its metrics adapter answers for.

use std::{env, fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{api::Api, process::Process};

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The server, which reads this namespace.
pub fn serve(namespace: &str, more: &[&str]) -> Process {
    serve_on("127.0.0.1:0", namespace, more)
}

/// The same at an address that is known beforehand.
pub fn serve_on(address: &str, namespace: &str, more: &[&str]) -> Process {
    let ours = ["--kubernetes", "--kubernetes-namespaces", namespace];
    Process::start_on(address, &[&ours, more].concat(), &[("KUBECONFIG", &variable("KUBECONFIG"))])
}

/// What KEDA's operator has said so far.
pub fn operator_log() -> String {
    fs::read_to_string(PathBuf::from(variable("PLIMSOLL_TEST_OPERATOR")).join("log")).unwrap()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: start KEDA with `tests/cluster/up keda`, then `. target/cluster/env`")
    })
}

/// The API server, once it hands questions for external metrics on to KEDA.
pub async fn api() -> Api {
    let api = Api::shared();
    let port: u16 = variable("PLIMSOLL_TEST_ADAPTER_PORT").parse().unwrap();
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

/// A workload of no pods, of one container.
pub fn deployment(namespace: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "image"}]}});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    })
}
