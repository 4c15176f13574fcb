//! A server that is found by the kube context: real `kubectl` asks a real API server for the pods and forwards a port through it to
//! a kubelet's end, behind which the real binary listens.

use std::{env, process::Output, time::Duration};

use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::{
    api::Api,
    emulator::Keda,
    process::Process,
    stand_in::{Reply, StandIn},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The node whose pods listen on this machine.
const NODE: &str = "tests";

/// `plimsoll …` with the `kubectl` of the API server's own release, to its end.
async fn plimsoll(arguments: &[&str]) -> (Option<i32>, String, String) {
    let tools = env::var("PLIMSOLL_TEST_KUBECTL").expect("target/cluster/env is loaded");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).env("PATH", format!("{tools}:/usr/bin:/bin")).kill_on_drop(true);
    command.env_remove("PLIMSOLL_SERVER").env_remove("PLIMSOLL_TOKEN_FILE");
    let Output { status, stdout, stderr } = timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A pod as the chart makes it, with its port for people at `port`.
fn pod(namespace: &str, name: &str, node: Option<&str>, port: u16) -> Value {
    let labels = json!({"app.kubernetes.io/name": "plimsoll"});
    let ports = json!([{"name": "http", "containerPort": port}]);
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "plimsoll", "image": "plimsoll", "ports": ports}],
        },
    });
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    pod
}

/// Puts the pod there, and has it run as far as anybody can see.
async fn run(api: &Api, pod: &Value) {
    // Of a run that was broken off: a pod cannot change.
    api.delete(pod).await;
    api.apply(pod).await.ok();
    api.merge_status(pod, &json!({"status": {"phase": "Running"}})).await.ok();
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A query that gives 42.
async fn source() -> StandIn {
    let answer = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"42"]}]}}"#;
    StandIn::new(move |_| Reply::new(200, answer)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_pods_of_the_current_context_the_one_that_keda_asks_tells_through_a_forwarded_port() {
    let (api, namespace) = (Api::shared(), "forward");
    api.namespace(namespace).await;
    let (asked, other) = (Process::start(&["--allow-loopback"]), Process::start(&["--allow-loopback"]));
    let source = source().await;
    let url = source.url();
    let metadata = [
        ("scalerType", "prometheus"),
        ("scalerAddress", "plimsoll:6000"),
        ("serverAddress", url.as_str()),
        ("query", "q"),
        ("threshold", "10"),
    ];
    Keda::of(asked.channel(), ("shop", "orders"), &metadata).poll().await.unwrap();
    let pods = [
        pod(namespace, "a", Some(NODE), port(&other.admin)),
        pod(namespace, "b", Some(NODE), port(&asked.admin)),
        // It has only just been told to begin: nobody listens there yet.
        pod(namespace, "c", Some(NODE), closed_port()),
    ];
    for pod in &pods {
        run(&api, pod).await;
    }
    let here = ["--server-namespace", namespace];
    let (code, out, err) = plimsoll(&[&["explain", "shop/orders"], &here[..]].concat()).await;
    assert_eq!(code, Some(0), "{out}{err}");
    for words in ["as pod forward/b (plimsoll ", "value        42"] {
        assert!(out.contains(words), "{words} in\n{out}");
    }
    let (code, out, err) = plimsoll(&[&["top", "--once", "--context", "tests"], &here[..]].concat()).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("shop/orders"), "{out}");
    for pod in &pods {
        api.delete(pod).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_context_leads_to_no_server_is_said_with_kubectls_own_words() {
    let (api, namespace) = (Api::shared(), "forward-nobody");
    api.namespace(namespace).await;
    let asked = ["explain", "orders", "--server-namespace", namespace];
    let said = async |words: &str| {
        let (code, _, err) = plimsoll(&asked).await;
        assert!(code == Some(2) && err.contains(words), "{words} in {err}");
    };
    let pod_of = |node| pod(namespace, "p", node, closed_port());
    let waits = pod_of(None);
    // Of a run that was broken off.
    api.delete(&waits).await;
    said("namespace `forward-nobody` has no pod with the label").await;
    api.apply(&waits).await.ok();
    said("none of 1 pod").await;
    // A pod without a node: nobody can forward to it.
    run(&api, &waits).await;
    said("`kubectl port-forward` to pod `p`: ").await;
    api.delete(&waits).await.ok();
    // A node that does not know of a server in the pod.
    run(&api, &pod_of(Some(NODE))).await;
    said("the server `pod forward-nobody/p` cannot be asked: ").await;
    api.delete(&pod_of(Some(NODE))).await.ok();
    let (code, _, err) = plimsoll(&["explain", "orders", "--context", "elsewhere"]).await;
    assert!(code == Some(2) && err.contains("elsewhere"), "{err}");
}
