//! Every case, asked of KEDA's own resolver and of plimsoll's on the same objects: what the cases say of both is true.

use std::{collections::BTreeMap, env, fs};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    api::Api,
    cases::{self, Case, Expected, KEDA, OWN},
    oracle::{Answer, Oracle, Question},
    ours,
};

/// What is wrong with what KEDA said, if anything.
fn complaint(said: &Answer, expected: &Expected) -> Option<String> {
    if let Some(words) = &expected.error {
        return (said.error.is_empty() || !said.error.contains(words)).then(|| format!("no error with {words:?}"));
    }
    if !said.error.is_empty() {
        return Some("an error".to_owned());
    }
    let mut params = said.params.clone();
    for (name, subject) in &expected.token {
        let token = params.remove(name).unwrap_or_default();
        if subject_of(&token).as_deref() != Some(subject) {
            return Some(format!("{name} is no token of {subject}"));
        }
    }
    if params != expected.params() {
        return Some("other parameters".to_owned());
    }
    (said.pod_identity["provider"] != expected.identity.as_str()).then(|| "another identity".to_owned())
}

/// Whom a token is of.
pub fn subject_of(token: &[u8]) -> Option<String> {
    let claims = std::str::from_utf8(token).ok()?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

/// What is wrong with what either says.
async fn complaints(case: &Case, api: &Api) -> Vec<String> {
    let given = case.set_up(api).await;
    let files = env::temp_dir().join(format!("plimsoll-cases-{}", std::process::id()));
    fs::create_dir_all(&files).unwrap();
    case.files(&files);

    let mut settings: BTreeMap<String, String> = case.settings.clone();
    settings.insert("KEDA_CLUSTER_OBJECT_NAMESPACE".to_owned(), KEDA.to_owned());
    settings.insert("AWS_ENDPOINT_URL".to_owned(), given.store.url());
    let question =
        Question { kind: &case.kind, namespace: OWN, name: "o", trigger: 0, file_path_root: files.to_str().unwrap() };
    let said = tokio::task::block_in_place(|| Oracle::new(&settings).ask(&question));
    let keda = complaint(&said, case.keda.as_ref().unwrap_or(&case.expect));
    let mut complaints: Vec<String> =
        keda.map(|complaint| format!("KEDA: {complaint}: {said:?}")).into_iter().collect();
    complaints.extend(ours::complaint(case, &files).await);

    given.clear(api).await;
    fs::remove_dir_all(&files).ok();
    complaints.iter().map(|complaint| format!("{}: {complaint}", case.case)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keda_and_plimsoll_answer_every_case_as_it_says() {
    let api = Api::shared();
    for namespace in [OWN, KEDA] {
        api.namespace(namespace).await;
    }
    let mut wrong = Vec::new();
    let cases = cases::all();
    for case in &cases {
        wrong.extend(complaints(case, &api).await);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
