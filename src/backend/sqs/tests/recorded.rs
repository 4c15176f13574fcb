//! Everything recorded of KEDA's SQS scaler (`tests/vectors/sqs.json`), held against ours.
//!
//! Where we differ, a table says why and what we do instead. A difference that is not listed fails, and so does a
//! listed one that is none any more.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{
    super::{Sqs, spec::Spec},
    Reply, StandIn, body, source,
};
use crate::{
    backend::aws::Credentials,
    error::{ReadErrorKind, SpecError},
    metadata::{Metadata, Reader},
};

/// Listed differences of one kind: which cases, why, and what we do there.
struct Difference {
    why: &'static str,
    ids: &'static [&'static str],
    ours: fn(&Value) -> bool,
}

const OF_PARSE: [Difference; 4] = [
    Difference {
        why: "a target of 0 or less is refused here rather than by the HPA",
        ids: &["sqs-cfg-039", "sqs-cfg-040"],
        ours: |ours| *ours == json!({"refused": ["queueLength"]}),
    },
    Difference {
        why: "nothing says whose rights: the server's own, since `podIdentity: aws` does not reach us",
        ids: &["sqs-cfg-051"],
        ours: |ours| ours["credentials"] == json!({"own": true}),
    },
    Difference {
        why: "parameters of a TriggerAuthentication are taken from the metadata, the secret key too",
        ids: &["sqs-cfg-060"],
        ours: |ours| ours["credentials"] == json!({"key": "AK", "secret": "SK", "token": ""}),
    },
    Difference {
        why: "the same: a key that stands in the trigger is used, since no `podIdentity` reaches us that would hide it",
        ids: &["sqs-cfg-065"],
        ours: |ours| ours["credentials"] == json!({"key": "AK", "secret": "SK", "token": ""}),
    },
];

fn cases(kind: &str) -> Vec<Value> {
    let file: HashMap<String, Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/sqs.json")).expect("the vectors are JSON");
    file[kind].as_array().expect("a list of cases").clone()
}

/// Holds what we make of each case against KEDA's expectation, or against the listed difference.
#[expect(clippy::print_stdout, reason = "the counts are worth seeing, with `--nocapture`")]
fn hold(kind: &str, differences: &[Difference], both: &[(String, Value, Value)]) {
    let mut wrong = Vec::new();
    let mut differ = 0;
    for (id, keda, ours) in both {
        let listed = differences.iter().find(|difference| difference.ids.contains(&id.as_str()));
        let text = match listed {
            None if ours == keda => continue,
            None => "not as KEDA, and not listed",
            Some(_) if ours == keda => "listed as a difference, but is none",
            Some(listed) if (listed.ours)(ours) => {
                differ += 1;
                continue;
            }
            Some(listed) => listed.why,
        };
        wrong.push(format!("{id}: {text}\n  KEDA {keda}\n  ours {ours}"));
    }
    let listed: Vec<_> = differences.iter().flat_map(|difference| difference.ids).collect();
    let known = |listed: &&&&str| both.iter().any(|(id, ..)| id == **listed);
    wrong.extend(listed.iter().filter(|id| !known(id)).map(|id| format!("{id}: listed, but there is no such case")));
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), both.len(), wrong.join("\n"));
    assert_eq!(differ, listed.len());
    println!("{kind}: {} as KEDA, {differ} differ as listed", both.len() - differ);
}

fn id(case: &Value) -> String {
    case["id"].as_str().expect("every case has an id").to_owned()
}

/// The metadata of a case. A role of `podIdentity` becomes the keys that take its place.
fn metadata(case: &Value) -> Metadata {
    let text = |value: &Value| value.as_str().expect("metadata are strings").to_owned();
    let given = case["metadata"].as_object().expect("metadata");
    let mut pairs: BTreeMap<String, String> = given.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let identity = &case["podIdentity"];
    for (field, key) in [("roleArn", "awsRoleArn"), ("externalId", "awsExternalID")] {
        if identity[field].is_string() {
            pairs.insert(key.to_owned(), text(&identity[field]));
        }
    }
    pairs.into()
}

/// KEDA's side of a case.
fn keda(case: &Value, field: &str) -> Value {
    match &case["refused"] {
        Value::Null => case[field].clone(),
        refused => json!({ "refused": refused }),
    }
}

fn refused(error: &SpecError) -> Value {
    json!({ "refused": error.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>() })
}

fn told(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::DefaultChain => json!({"own": true}),
        Credentials::AssumeRole { arn, external_id } => {
            json!({"role": arn, "externalID": external_id.as_deref().unwrap_or_default()})
        }
        Credentials::Static { access_key_id, secret_access_key, session_token } => {
            let token = session_token.as_ref().map_or("", |token| token.expose());
            json!({"key": access_key_id, "secret": secret_access_key.expose(), "token": token})
        }
    }
}

#[test]
fn triggers_parse_as_recorded() {
    let ours = |case: &Value| match Spec::read(&mut Reader::new(&metadata(case))) {
        Err(error) => refused(&error),
        Ok(spec) => json!({
            "queueURL": spec.queue.given,
            "queue": spec.queue.name,
            "metric": spec.metric.name,
            "target": spec.metric.target,
            "activation": spec.activation,
            "attributes": spec.attributes.iter().map(|attribute| attribute.as_str()).collect::<Vec<_>>(),
            "region": spec.connection.region,
            "endpoint": spec.connection.endpoint.as_deref().unwrap_or_default(),
            "credentials": told(&spec.connection.credentials),
        }),
    };
    let both: Vec<_> = cases("parse").iter().map(|case| (id(case), keda(case, "spec"), ours(case))).collect();
    hold("parse", &OF_PARSE, &both);
}

#[test]
fn credentials_are_found_as_recorded() {
    let ours = |case: &Value| {
        let metadata = metadata(case);
        let mut keys = Reader::new(&metadata);
        let credentials = Credentials::read(&mut keys);
        keys.finish().map_or_else(|error| refused(&error), |()| told(&credentials))
    };
    let both: Vec<_> =
        cases("credentials").iter().map(|case| (id(case), keda(case, "credentials"), ours(case))).collect();
    hold("credentials", &[], &both);
}

/// Over the wire: the request is KEDA's, and the answer means the same.
#[tokio::test]
async fn queues_are_asked_and_counted_as_recorded() {
    let mut both = Vec::new();
    for case in cases("reads") {
        let answer = json!({ "Attributes": case["answer"] }).to_string();
        let server = StandIn::new(move |_| Reply::new(200, answer.clone())).await;
        let settings: Vec<(&str, &str)> = case["metadata"]
            .as_object()
            .expect("metadata")
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().expect("text")))
            .collect();
        let outcome = source(&Sqs::default(), &server, &settings).read().await;
        let ours = match outcome {
            Ok(reading) => json!({"value": reading.value, "active": reading.active}),
            Err(error) => {
                assert_eq!(error.kind, ReadErrorKind::BadReply, "{error}");
                let missing = error.to_string().contains("answers without");
                json!({"refused": if missing { "missing_attribute" } else { "invalid_number" }})
            }
        };
        let mut keda: Map<String, Value> = case.as_object().expect("an object").clone();
        keda.retain(|key, _| matches!(key.as_str(), "value" | "active" | "refused"));
        let calls = server.calls();
        assert_eq!(calls.len(), 1);
        let (mut keda, mut ours) = (Value::Object(keda), ours);
        keda["request"] = case["request"].clone();
        ours["request"] = body(&calls[0]);
        both.push((id(&case), keda, ours));
    }
    hold("reads", &[], &both);
}
