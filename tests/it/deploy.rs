//! What we ship for others to run, held against the server: the manifests, the image, the questions of the compose file.
//!
//! The triggers of the examples are followed in `docs.rs`.

use std::{collections::HashMap, fs, time::Duration};

use clap::Parser;
use plimsoll::net::Reach;
use plimsoll::{app::Shutdown, backend::Registry, cli::Cli, config::PolicyFile, metadata::Metadata, trigger::Trigger};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// The manifests of `deploy/kubernetes` by their kind.
fn manifests() -> HashMap<String, Yaml> {
    let documents = documents("deploy/kubernetes/plimsoll.yaml").into_iter();
    documents.map(|manifest| (manifest["kind"].as_str().unwrap().to_owned(), manifest)).collect()
}

fn documents(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn has(labels: &Yaml, wanted: &Yaml) -> bool {
    let wanted = wanted.as_hash().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.as_hash().unwrap().get(key) == Some(value))
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
    let selector = &workload["selector"]["matchLabels"];
    assert!(has(labels, selector));
    assert_eq!(service["selector"], *selector);
    assert_eq!(manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], *selector);

    let container = &workload["template"]["spec"]["containers"][0];
    let pod_ports = container["ports"].as_vec().unwrap();
    for port in service["ports"].as_vec().unwrap() {
        let named = pod_ports.iter().find(|known| known["name"] == port["targetPort"]).unwrap();
        assert_eq!(port["port"], named["containerPort"]);
    }
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(container[probe]["httpGet"]["path"].as_str(), Some(path));
        assert_eq!(container[probe]["httpGet"]["port"].as_str(), Some("http"));
    }
    let open = manifests["NetworkPolicy"]["spec"]["ingress"].as_vec().unwrap();
    assert_eq!(manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"], *selector);
    for (rule, port) in open.iter().zip(["grpc", "http"]) {
        assert!(pod_ports.iter().any(|known| known["name"].as_str() == Some(port)));
        assert_eq!(rule["ports"][0]["port"].as_str(), Some(port));
        assert!(rule["from"][0]["namespaceSelector"]["matchLabels"].as_hash().is_some_and(|labels| !labels.is_empty()));
    }
}

/// The options of the locked-down server, which are followed as the command line would.
#[test]
fn the_locked_down_server_is_told_of_files_that_are_mounted_and_its_names_agree() {
    let made = documents("deploy/locked-down/plimsoll.yaml");
    let of_kind = |kind: &str| made.iter().find(|made| made["kind"].as_str() == Some(kind)).unwrap();
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let args: Vec<_> = container["args"].as_vec().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    Cli::try_parse_from(["plimsoll"].iter().chain(&args)).unwrap();

    let mounts = container["volumeMounts"].as_vec().unwrap();
    let folders: Vec<_> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    for arg in &args {
        if let Some((_, path)) = arg.split_once("=/") {
            assert!(folders.iter().any(|folder| format!("/{path}").starts_with(folder)), "{arg} is not mounted");
        }
    }
    let volume = |name: &str| {
        let volumes = pod["volumes"].as_vec().unwrap();
        volumes.iter().find(|volume| volume["name"].as_str() == Some(name)).unwrap().clone()
    };
    let certificate = |name: &str| made.iter().find(|made| made["spec"]["secretName"].as_str() == Some(name)).unwrap();
    let server = certificate(volume("tls")["secret"]["secretName"].as_str().unwrap());
    let service = &of_kind("Service")["metadata"];
    let called = format!("{}.{}.svc", service["name"].as_str().unwrap(), service["namespace"].as_str().unwrap());
    assert!(server["spec"]["dnsNames"].as_vec().unwrap().contains(&Yaml::String(called)));
    let trust = of_kind("ClusterTriggerAuthentication");
    let client = certificate(trust["spec"]["secretTargetRef"][0]["name"].as_str().unwrap());
    let name = client["spec"]["commonName"].as_str().unwrap();
    assert!(args.contains(&format!("--allow-client={name}").as_str()));

    let policy = of_kind("ConfigMap");
    assert_eq!(volume("policy")["configMap"]["name"], policy["metadata"]["name"]);
    let (file, text) = policy["data"].as_hash().unwrap().iter().next().unwrap();
    assert!(args.iter().any(|arg| arg.starts_with("--policy=") && arg.ends_with(file.as_str().unwrap())));
    let rules = PolicyFile::new(&vec![text.as_str().unwrap().into()], false).unwrap().policy();
    assert!(rules.reach("shop").check_host("broker.kafka.svc").is_ok());
    assert!(rules.reach("shop").check_host("kubernetes.default.svc").is_err(), "the default's `deny` holds");
    assert!(rules.reach("bank").check_host("sqs.eu-central-1.amazonaws.com").is_err());
}

#[test]
fn the_chart_and_the_program_have_one_version() {
    let chart = &documents("deploy/chart/plimsoll/Chart.yaml")[0];
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key].as_str(), Some(env!("CARGO_PKG_VERSION")), "{key}");
    }
}

/// What its example allows and forbids.
#[test]
fn the_policy_of_the_security_page_is_one() {
    let page = fs::read_to_string("docs/security.md").unwrap();
    let (_, tail) = page.split_once("```yaml\ndefault:").unwrap();
    let block = format!("default:{}", tail.split("```").next().unwrap());
    let policy = PolicyFile::new(&vec![block.into_bytes()], false).unwrap().policy();
    assert!(policy.reach("bank").check_host("kafka.bank.svc").is_ok());
    assert!(policy.reach("shop").check_host("kubernetes.default.svc").is_err());
    assert!(policy.reach("shop").check_host("kafka.kafka.svc").is_ok());
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
        assert!(trigger.warnings().is_empty(), "{line}: {:?}", trigger.warnings());
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
    // What follows is what a variant has besides.
    assert_eq!(listed("deploy/Dockerfile", "--features ", '$'), features);
}
