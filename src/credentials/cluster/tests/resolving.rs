//! The cases of `tests/cluster/cases`, which are held against KEDA's own resolver on a real API server, without either.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::credentials::cluster::{Restricted, reference::Reference, stored::Stored, visit::Visit};

type Texts = BTreeMap<String, String>;

/// What we say by parameters of our own.
const OURS: [&str; 4] = ["podIdentity", "identityId", "identityTenantId", "awsExternalID"];

fn cases(wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/cluster/cases").unwrap().map(|of| of.unwrap().path()).collect();
    files.sort();
    let all = files.iter().flat_map(|file| {
        let text = fs::read_to_string(file).unwrap();
        serde_saphyr::from_str::<Vec<Value>>(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    });
    all.filter(wanted).collect()
}

fn each<'c>(case: &'c Value, field: &str) -> impl Iterator<Item = (&'c str, &'c str, &'c Value)> {
    case[field].as_object().into_iter().flatten().map(|(key, value)| {
        let (namespace, name) = key.split_once('/').unwrap();
        (namespace, name, value)
    })
}

fn put(standin: &Standin, version: &str, kind: &str, namespace: &str, name: &str, rest: Value) {
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for (field, value) in rest.as_object().unwrap() {
        if field == "annotations" {
            object["metadata"]["annotations"] = value.clone();
        } else {
            object[field] = value.clone();
        }
    }
    standin.put(object);
}

fn set_up(case: &Value) -> Standin {
    let standin = Standin::default();
    for object in case["objects"].as_array().into_iter().flatten() {
        standin.put(object.clone());
    }
    for (namespace, name, data) in each(case, "secrets") {
        put(&standin, "v1", "Secret", namespace, name, json!({"stringData": data}));
    }
    for (namespace, name, data) in each(case, "binary") {
        put(&standin, "v1", "Secret", namespace, name, json!({"data": data}));
    }
    for (namespace, name, data) in each(case, "configMaps") {
        put(&standin, "v1", "ConfigMap", namespace, name, json!({"data": data}));
    }
    for (namespace, name, notes) in each(case, "accounts") {
        put(&standin, "v1", "ServiceAccount", namespace, name, json!({"annotations": notes}));
    }
    let version = "keda.sh/v1alpha1";
    if case["authentication"].is_object() {
        put(&standin, version, "TriggerAuthentication", "a", "t", json!({"spec": case["authentication"]}));
    }
    if case["cluster"].is_object() {
        put(&standin, version, "ClusterTriggerAuthentication", "", "t", json!({"spec": case["cluster"]}));
    }
    let mut trigger = json!({"type": "external", "metadata": {"scalerAddress": "plimsoll:6000"}});
    match case.get("reference") {
        Some(Value::Null) => {}
        Some(reference) => trigger["authenticationRef"] = reference.clone(),
        None if case["cluster"].is_object() => {
            trigger["authenticationRef"] = json!({"name": "t", "kind": "ClusterTriggerAuthentication"});
        }
        None => trigger["authenticationRef"] = json!({"name": "t"}),
    }
    let containers = case.get("containers").cloned().unwrap_or_else(|| json!([{"name": "c"}]));
    let mut pod = json!({"containers": containers, "initContainers": case["initContainers"]});
    if let Some(account) = case.get("serviceAccount") {
        pod["serviceAccountName"] = account.clone();
    }
    let template = json!({"spec": pod});
    if case["kind"] == "ScaledJob" {
        let spec = json!({"jobTargetRef": {"template": template}, "triggers": [trigger]});
        put(&standin, version, "ScaledJob", "a", "o", json!({"spec": spec}));
    } else {
        let mut target = case.get("target").cloned().unwrap_or_else(|| json!({"name": "w"}));
        if let Some(container) = case.get("envSource") {
            target["envSourceContainerName"] = container.clone();
        }
        put(&standin, "apps/v1", "Deployment", "a", "w", json!({"spec": {"template": template}}));
        let spec = json!({"scaleTargetRef": target, "triggers": [trigger]});
        put(&standin, version, "ScaledObject", "a", "o", json!({"spec": spec}));
    }
    standin
}

fn rules(case: &Value, files: PathBuf) -> Rules {
    let restricted = case["settings"]["KEDA_RESTRICT_SECRET_ACCESS"].as_str().unwrap_or_default();
    let restricted = if restricted.eq_ignore_ascii_case("true") { Restricted::ToCluster } else { Restricted::No };
    Rules { restricted, tokens: true, file_root: Some(files), ..Options::default().rules }
}

/// What is wrong, if anything.
async fn complaint(case: &Value, reference: Option<&Reference>) -> Option<String> {
    let expected = &case["expect"];
    let texts = |field: &str| -> Texts { serde_json::from_value(expected[field].clone()).unwrap_or_default() };
    let wanted_error = expected["error"].as_str();
    let Some(reference) = reference else {
        return (wanted_error.is_some() || !texts("params").is_empty()).then(|| "no reference".to_owned());
    };
    let mut visit = Visit::new(reference.reads(), Duration::from_secs(30));
    let resolved = match (reference.visit(&mut visit, &mut Stored::default()).await, wanted_error) {
        (Err(error), Some(words)) if error.to_string().contains(words) => return None,
        (Err(error), _) => return Some(error.to_string()),
        (Ok(resolved), None) => resolved,
        (Ok(resolved), Some(words)) => {
            let said = resolved.missing.iter().any(|text| text.contains(words));
            return (!said).then(|| format!("no error with {words}: {resolved:?}"));
        }
    };
    let mut had: BTreeMap<String, Vec<u8>> =
        resolved.parameters.iter().map(|(name, value)| (name.to_owned(), value.bytes().to_vec())).collect();
    let identity = had.get("podIdentity").map_or("none", |identity| std::str::from_utf8(identity).unwrap()).to_owned();
    had.retain(|name, _| !OURS.contains(&name.as_str()));
    let mut wanted: BTreeMap<String, Vec<u8>> =
        texts("params").into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    for (name, text) in texts("bytes") {
        wanted.insert(name, base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap());
    }
    for name in texts("token").keys() {
        let token = had.remove(name).unwrap_or_default();
        if !token.starts_with(b"token-") {
            return Some(format!("`{name}` is no token"));
        }
    }
    if had != wanted {
        let shown: BTreeMap<_, _> = had.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        return Some(format!("other parameters: {shown:?}"));
    }
    if identity != expected["identity"].as_str().unwrap_or("none") {
        return Some(format!("identity {identity}"));
    }
    let said: Vec<&String> = resolved.missing.iter().chain(&resolved.warnings).collect();
    let warns: Vec<String> = serde_json::from_value(expected["warns"].clone()).unwrap_or_default();
    let says = |text: &str, words: &str| words.split(' ').all(|word| text.contains(word));
    if let Some(unsaid) = warns.iter().find(|words| !said.iter().any(|text| says(text, words))) {
        return Some(format!("does not say {unsaid}: {said:?}"));
    }
    (warns.is_empty() && !said.is_empty()).then(|| format!("says too much: {said:?}"))
}

/// What is wrong with what comes of `cases`.
async fn complaints(cases: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let files = std::env::temp_dir().join(format!("plimsoll-resolving-{}-{number}", std::process::id()));
        fs::create_dir_all(&files).unwrap();
        for (name, text) in case["files"].as_object().into_iter().flatten() {
            fs::write(files.join(name), text.as_str().unwrap()).unwrap();
        }
        let standin = set_up(case);
        let cluster = cluster(&standin, rules(case, files.clone())).await;
        let reference =
            cluster.find(object("a", "o"), &metadata(&[("scalerAddress", "plimsoll:6000")])).expect("bound");
        if let Some(complaint) = complaint(case, reference.as_ref()).await {
            wrong.push(format!("{}: {complaint}", case["case"]));
        }
        fs::remove_dir_all(&files).unwrap();
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn every_case_gets_what_it_says() {
    let cases = cases(|case| case["store"].is_null());
    assert!(cases.len() > 50, "{}", cases.len());
    let wrong = complaints(&cases).await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[cfg(feature = "vault")]
#[tokio::test]
async fn every_case_of_a_vault_gets_what_it_says() {
    use crate::credentials::stores::tests::stand_in::{Reply, StandIn};

    let cases = cases(|case| !case["store"].is_null() && case["authentication"]["awsSecretManager"].is_null());
    assert!(cases.len() > 10, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let (answers, asked) = (case["store"].clone(), std::sync::atomic::AtomicUsize::new(0));
        let store = StandIn::new(move |call| match &answers[format!("{} {}", call.method, call.target)] {
            Value::Null => Reply::new(404, r#"{"errors":[]}"#),
            Value::Number(status) => Reply::new(status.as_u64().unwrap().try_into().unwrap(), r#"{"errors":["no"]}"#),
            body => {
                let text = body.to_string();
                let n =
                    if text.contains("{n}") { 1 + asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) } else { 0 };
                Reply::new(200, text.replace("{n}", &n.to_string()))
            }
        })
        .await;
        let case = serde_json::from_str(&case.to_string().replace("{store}", &store.url())).unwrap();
        wrong.extend(complaints(&[case]).await);
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
