//! What ten thousand objects cost.

use std::{collections::BTreeMap, env, process::Command};

use serde_json::json;

use crate::credentials::cluster::{path::Kind, view::View, watch::take_in};

/// Resident bytes of this process that are its own: pages of the program itself come in as it runs, and cost what it costs.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let mut fields = text.split(' ').map(|pages| pages.parse::<usize>().expect("pages"));
    let (resident, of_files) = (fields.nth(1).expect("resident"), fields.next().expect("of files"));
    (resident - of_files) * 4096
}

/// Set in the process that measures: it runs nothing else.
const ALONE: &str = "PLIMSOLL_MEASURES_ALONE";

#[test]
fn ten_thousand_objects_fit_into_fifteen_megabytes() {
    if env::var_os(ALONE).is_some() {
        return measure();
    }
    let this = concat!(module_path!(), "::ten_thousand_objects_fit_into_fifteen_megabytes");
    let this = this.split_once("::").expect("a path").1;
    let alone =
        Command::new(env::current_exe().unwrap()).args([this, "--exact", "--nocapture"]).env(ALONE, "1").output();
    let alone = alone.unwrap();
    let said = String::from_utf8_lossy(&alone.stdout).into_owned() + &String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.success() && said.contains("ScaledObjects: "), "{said}");
}

#[allow(clippy::print_stderr, reason = "the figure, for whoever runs it by hand")]
fn measure() {
    let managed: BTreeMap<String, String> = (0..60).map(|n| (format!("f:field{n}"), "{}".to_owned())).collect();
    let line = |number: usize| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": format!("orders-consumer-{number}"), "namespace": format!("team-{}", number % 200),
                "uid": format!("6e0c9b1e-0000-0000-0000-{number:012}"), "resourceVersion": number.to_string(), "generation": 3,
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(2000)}, "managedFields": [{"fieldsV1": managed}]},
            "spec": {"scaleTargetRef": {"name": format!("orders-consumer-{number}")}, "minReplicaCount": 0, "maxReplicaCount": 20,
                "triggers": [{"type": "external-push", "authenticationRef": {"name": "kafka"}, "metadata": {
                    "scalerAddress": "plimsoll.plimsoll.svc.cluster.local:6000", "scalerType": "kafka",
                    "bootstrapServers": "kafka-0.kafka.svc:9092,kafka-1.kafka.svc:9092,kafka-2.kafka.svc:9092",
                    "consumerGroup": format!("orders-consumer-{number}"), "topic": format!("orders-{number}"), "lagThreshold": "50",
                    "activationLagThreshold": "0", "offsetResetPolicy": "latest", "sasl": "scram_sha512", "tls": "enable"}}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "externalMetricNames": ["s0-kafka-orders"]},
        })
        .to_string()
    };
    let view = View::default();
    let before = resident();
    for number in 0..10_000 {
        assert!(take_in(&view, Kind::ScaledObject, &line(number)).is_some());
    }
    let grown = resident().saturating_sub(before);
    assert_eq!(view.len(), 10_000);
    assert!(grown < 15 << 20, "{} KiB", grown >> 10);
    eprintln!("10,000 ScaledObjects: {} KiB", grown >> 10);
}
