//! What we ship for others to apply: every trigger in `deploy/` and in the docs is one that the server understands,
//! and the manifests fit the server they start.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use plimsoll::{app::Shutdown, backend::Registry, metadata::Metadata, trigger::Trigger};
use serde_json::Value;

/// Every file below `folder` whose name ends in one of `endings`.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(path.to_str().unwrap(), endings));
        } else if endings.iter().any(|ending| path.to_str().unwrap().ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

fn documents(place: &str, text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{place} is not YAML: {error}"))
}

/// The text of each fenced block of YAML, with the line it starts at.
fn snippets(markdown: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in markdown.lines().enumerate() {
        match &mut open {
            None if matches!(line.trim(), "```yaml" | "```yml") => open = Some((number + 1, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => found.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block of YAML does not end");
    found
}

/// All the YAML that we show to anybody, and where it stands.
fn shown() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut keep = |place: String, text: &str| {
        found.extend(documents(&place, text).into_iter().map(|document| (place.clone(), document)));
    };
    for path in files("deploy", &[".yaml", ".yml"]) {
        keep(path.display().to_string(), &fs::read_to_string(&path).unwrap());
    }
    let pages = [files("docs", &[".md"]), files("deploy", &[".md"]), vec![PathBuf::from("README.md")]].concat();
    for path in pages.iter().filter(|path| path.exists()) {
        for (line, text) in snippets(&fs::read_to_string(path).unwrap()) {
            keep(format!("{}:{line}", path.display()), &text);
        }
    }
    found
}

/// Every trigger for an external scaler, however deep it stands.
fn triggers<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            if matches!(value["type"].as_str(), Some("external" | "external-push")) {
                found.push(&value["metadata"]);
            }
            fields.values().for_each(|field| triggers(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| triggers(item, found)),
        _ => {}
    }
}

/// What KEDA would send of it. Kubernetes takes only text as a value.
fn metadata(place: &str, value: &Value) -> Metadata {
    let fields = value.as_object().unwrap_or_else(|| panic!("{place}: a trigger without metadata"));
    let text = |key: &str, value: &Value| {
        value.as_str().unwrap_or_else(|| panic!("{place}: `{key}` must be in quotes: it is not text")).to_owned()
    };
    Metadata::from(fields.iter().map(|(key, value)| (key.clone(), text(key, value))).collect::<BTreeMap<_, _>>())
}

#[track_caller]
fn understood(place: &str, metadata: &Metadata) -> Trigger {
    let trigger = Trigger::parse(&Registry::standard(), metadata, Duration::from_secs(5))
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(trigger.warnings.is_empty(), "{place}: {:?}", trigger.warnings);
    trigger
}

#[test]
fn every_trigger_we_show_is_one_the_server_understands() {
    let shown = shown();
    let mut count = 0;
    for (place, document) in &shown {
        let mut found = Vec::new();
        triggers(document, &mut found);
        for trigger in &found {
            assert!(trigger["scalerAddress"].is_string(), "{place}: KEDA needs a `scalerAddress`");
            understood(place, &metadata(place, trigger));
        }
        if document["kind"] == "ScaledObject" {
            assert!(!found.is_empty(), "{place}: a ScaledObject without a trigger of ours");
        }
        count += found.len();
    }
    assert!(count >= 2, "{count} triggers found");
}

#[test]
fn every_question_of_the_compose_file_is_one_the_server_understands() {
    let mut scaler_types = Vec::new();
    for line in fs::read_to_string("deploy/compose/triggers.jsonl").unwrap().lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let metadata = metadata(line, &request["scaledObjectRef"]["scalerMetadata"]);
        let trigger = understood(line, &metadata);
        assert_eq!(request["metricName"], trigger.source.metric().name);
        scaler_types.push(trigger.scaler_type);
    }
    assert!(scaler_types.contains(&"kafka") && scaler_types.contains(&"redis"), "{scaler_types:?}");
}

fn manifests() -> HashMap<String, Value> {
    let path = Path::new("deploy/kubernetes/plimsoll.yaml");
    let found = documents("the manifests", &fs::read_to_string(path).unwrap());
    found.into_iter().map(|manifest| (manifest["kind"].as_str().unwrap().to_owned(), manifest)).collect()
}

#[test]
fn pods_are_given_the_time_that_an_orderly_end_takes() {
    let pod = &manifests()["Deployment"]["spec"]["template"]["spec"];
    let given = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    let Shutdown { endpoint_delay, grace } = Shutdown::default();
    assert!(given > endpoint_delay + grace, "{given:?}");
}

#[test]
fn the_service_shows_each_pod_to_keda_under_the_ports_that_pods_have() {
    let manifests = manifests();
    let (service, workload) = (&manifests["Service"]["spec"], &manifests["Deployment"]["spec"]);
    assert_eq!(service["clusterIP"], "None", "KEDA must see each pod");
    let labels = &workload["template"]["metadata"]["labels"];
    assert_eq!(service["selector"], *labels);
    assert_eq!(workload["selector"]["matchLabels"], *labels);
    assert_eq!(manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], *labels);

    let container = &workload["template"]["spec"]["containers"][0];
    let ports: HashMap<_, _> =
        container["ports"].as_array().unwrap().iter().map(|port| (&port["name"], port)).collect();
    for port in service["ports"].as_array().unwrap() {
        assert_eq!(port["port"], ports[&port["targetPort"]]["containerPort"]);
    }
    for (probe, service) in [("readinessProbe", "readiness"), ("livenessProbe", "liveness")] {
        assert_eq!(container[probe]["grpc"]["service"], service);
        assert_eq!(container[probe]["grpc"]["port"], service_port(&manifests, "grpc"));
    }
    let address =
        format!("{}.{}.svc", manifests["Service"]["metadata"]["name"], manifests["Service"]["metadata"]["namespace"]);
    let address = format!("{}:{}", address.replace('"', ""), service_port(&manifests, "grpc"));
    for (place, document) in shown() {
        let mut found = Vec::new();
        triggers(&document, &mut found);
        for trigger in found {
            assert_eq!(trigger["scalerAddress"], address, "{place}");
        }
    }
}

fn service_port(manifests: &HashMap<String, Value>, name: &str) -> u64 {
    let ports = manifests["Service"]["spec"]["ports"].as_array().unwrap();
    ports.iter().find(|port| port["name"] == name).unwrap()["port"].as_u64().unwrap()
}

#[test]
fn the_image_has_every_backend_and_no_demo() {
    let listed = |file: &str, before: &str, after: char| {
        let text = fs::read_to_string(file).unwrap();
        let (_, tail) = text.split_once(before).unwrap();
        let (list, _) = tail.split_once(after).unwrap();
        let mut names: Vec<_> =
            list.split([',', '"', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names
    };
    let mut features = listed("Cargo.toml", "\ndefault = [", ']');
    features.retain(|feature| feature != "demo");
    assert_eq!(listed("deploy/Dockerfile", "--features ", '\\'), features);
}
