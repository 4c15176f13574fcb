//! Everything recorded of KEDA's SQS scaler (`tests/vectors/sqs.json`), held against ours.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::{Sqs, spec::Spec},
    Reply, StandIn, body, source,
};
use crate::{
    backend::recorded::{Difference, Vectors, hold, id},
    error::{ReadErrorKind, SpecError},
    identity::aws::Credentials,
    metadata::{Metadata, Reader},
    net::Reach,
};

const VECTORS: Vectors = Vectors(include_str!("../../../../tests/vectors/sqs.json"));

const OF_PARSE: [Difference<Value>; 5] = [
    Difference {
        why: "a name that no queue can have is refused here rather than by SQS at each poll",
        ids: &["sqs-cfg-050"],
        ours: |ours| *ours == json!({"refused": ["queueURL"]}),
    },
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
    let ours = |case: &Value| match Spec::read(&mut Reader::new(&metadata(case)), &Reach::open()) {
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
    VECTORS.hold("parse", &OF_PARSE, |case| keda(case, "spec"), ours);
}

#[test]
fn credentials_are_found_as_recorded() {
    let ours = |case: &Value| {
        let metadata = metadata(case);
        let mut keys = Reader::new(&metadata);
        let credentials = Credentials::read(&mut keys);
        keys.finish().map_or_else(|error| refused(&error), |()| told(&credentials))
    };
    VECTORS.hold("credentials", &[], |case| keda(case, "credentials"), ours);
}

/// Over the wire: the request is KEDA's, and the answer means the same.
#[tokio::test]
async fn queues_are_asked_and_counted_as_recorded() {
    let mut both = Vec::new();
    for case in VECTORS.cases("reads") {
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
    hold("reads", &[], both);
}
