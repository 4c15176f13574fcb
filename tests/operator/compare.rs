//! `plimsoll compare` beside KEDA's real operator: its series, and its external metrics, of a trigger of its own scaler.

use std::env;

use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{scaled::Scaled, stage};

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start KEDA with `tests/cluster/up keda`"))
}

async fn compared(namespace: &str, more: &[&str]) -> Value {
    let ours = ["compare", "--kubernetes", "--kubernetes-namespaces", namespace, "--every", "1s", "--output", "json"];
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args([&ours, more].concat()).output().await.unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_that_kedas_operator_has_is_the_one_that_we_read() {
    let api = stage::api().await;
    let (name, redis) = ("compare-keda", variable("PLIMSOLL_TEST_REDIS"));
    let client = redis::Client::open(format!("redis://{redis}")).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = admin.del(name).await.unwrap();
    let _: () = admin.lpush(name, ["work"; 7].as_slice()).await.unwrap();
    let trigger = json!({"type": "redis", "metadata": {"address": redis, "listName": name, "listLength": "5"}});
    let mut away = trigger.clone();
    away["metadata"]["address"] = json!("127.0.0.1:1");
    let spec = json!({"triggers": [trigger], "minReplicaCount": 1});
    let _scaled = Scaled::new(&api, name, "w", &spec).await;

    let metrics = variable("PLIMSOLL_TEST_OPERATOR_METRICS");
    for from in [&["--keda-metrics", &metrics, "--for", "8s"][..], &["--for", "8s"]] {
        let told = compared(name, from).await;
        let line = &told["triggers"][0];
        assert_eq!(
            (&told["result"], &line["verdict"], &line["keda"], &line["ours"]),
            (&json!("agree"), &json!("agree"), &json!(7.0), &json!(7.0)),
            "{from:?}: {told:#}"
        );
    }

    // What cannot be read is told in the words of who could not.
    let broken = json!({"triggers": [away]});
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "w", "namespace": name},
        "spec": {"scaleTargetRef": {"name": "w"}, "pollingInterval": 1, "minReplicaCount": 1, "triggers": broken["triggers"]},
    });
    api.apply(&object).await.ok();
    let told = compared(name, &["--for", "0s"]).await;
    let line = &told["triggers"][0];
    let why = line["why"].as_str().unwrap();
    // KEDA may go on with the scaler it had, whose value it then has: that is told, and no agreement.
    assert!(line["verdict"] != "agree" && line["ours"].is_null() && why.contains("we: unreachable: "), "{told:#}");
}
