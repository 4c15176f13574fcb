//! What we ship for others to run, held against the server: the manifests, the image, the questions of the compose file.
//!
//! The triggers of the examples are followed in `docs.rs`.

use std::{collections::HashMap, fs, time::Duration};

use plimsoll::net::Reach;
use plimsoll::{app::Shutdown, backend::Registry, metadata::Metadata, trigger::Trigger};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// The manifests by their kind.
fn manifests() -> HashMap<String, Yaml> {
    let text = fs::read_to_string("deploy/kubernetes/plimsoll.yaml").unwrap();
    let documents = YamlLoader::load_from_str(&text).unwrap();
    documents.into_iter().map(|manifest| (manifest["kind"].as_str().unwrap().to_owned(), manifest)).collect()
}

fn service_port(manifests: &HashMap<String, Yaml>, name: &str) -> i64 {
    let ports = manifests["Service"]["spec"]["ports"].as_vec().unwrap();
    ports.iter().find(|port| port["name"].as_str() == Some(name)).unwrap()["port"].as_i64().unwrap()
}

#[test]
fn pods_are_given_the_time_that_an_orderly_end_takes() {
    let pod = &manifests()["Deployment"]["spec"]["template"]["spec"];
    let given = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_i64().unwrap().try_into().unwrap());
    let Shutdown { endpoint_delay, grace } = Shutdown::default();
    assert!(given > endpoint_delay + grace, "{given:?}");
}

#[test]
fn the_service_shows_each_pod_under_the_ports_that_pods_have() {
    let manifests = manifests();
    let (service, workload) = (&manifests["Service"]["spec"], &manifests["Deployment"]["spec"]);
    assert_eq!(service["clusterIP"].as_str(), Some("None"), "KEDA must see each pod");
    let labels = &workload["template"]["metadata"]["labels"];
    assert_eq!(service["selector"], *labels);
    assert_eq!(workload["selector"]["matchLabels"], *labels);
    assert_eq!(manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], *labels);

    let container = &workload["template"]["spec"]["containers"][0];
    let pod_ports = container["ports"].as_vec().unwrap();
    for port in service["ports"].as_vec().unwrap() {
        let named = pod_ports.iter().find(|known| known["name"] == port["targetPort"]).unwrap();
        assert_eq!(port["port"], named["containerPort"]);
    }
    for (probe, name) in [("readinessProbe", "readiness"), ("livenessProbe", "liveness")] {
        assert_eq!(container[probe]["grpc"]["service"].as_str(), Some(name));
        assert_eq!(container[probe]["grpc"]["port"].as_i64(), Some(service_port(&manifests, "grpc")));
    }
}

#[test]
fn the_examples_call_the_service_of_the_manifests() {
    let manifests = manifests();
    let text = |key: &str| manifests["Service"]["metadata"][key].as_str().unwrap().to_owned();
    let address = format!("{}.{}.svc:{}", text("name"), text("namespace"), service_port(&manifests, "grpc"));
    let mut examples = 0;
    for entry in fs::read_dir("deploy/examples").unwrap() {
        let path = entry.unwrap().path();
        for document in YamlLoader::load_from_str(&fs::read_to_string(&path).unwrap()).unwrap() {
            for trigger in document["spec"]["triggers"].as_vec().into_iter().flatten() {
                let called = trigger["metadata"]["scalerAddress"].as_str();
                assert_eq!(called, Some(address.as_str()), "{}", path.display());
                examples += 1;
            }
        }
    }
    assert!(examples > 0);
}

#[test]
fn every_question_of_the_compose_file_is_one_the_server_understands() {
    let registry = Registry::standard();
    let mut answered = Vec::new();
    for line in fs::read_to_string("deploy/compose/triggers.jsonl").unwrap().lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let pairs = request["scaledObjectRef"]["scalerMetadata"].as_object().unwrap();
        let metadata: Metadata = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
        let trigger = Trigger::parse(&registry, &metadata, &Reach::open(), Duration::from_secs(5)).unwrap();
        assert!(trigger.warnings.is_empty(), "{line}: {:?}", trigger.warnings);
        assert_eq!(request["metricName"], trigger.source.metric().name);
        answered.push(registry.find(trigger.scaler_type).unwrap().name());
    }
    let all: Vec<_> = registry.requests().map(|(name, _)| name).collect();
    assert_eq!(answered, all, "one question for each backend, in the registry's order");
}

#[test]
fn the_image_has_every_backend_and_no_demo() {
    let listed = |file: &str, before: &str, after: char| {
        let text = fs::read_to_string(file).unwrap();
        let (_, tail) = text.split_once(before).unwrap();
        let (list, _) = tail.split_once(after).unwrap();
        let names = list.split([',', '"', ' ']).filter(|name| !name.is_empty() && *name != "demo");
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let features = listed("Cargo.toml", "\ndefault = [", ']');
    assert!(!features.is_empty());
    assert_eq!(listed("deploy/Dockerfile", "--features ", '\\'), features);
}
