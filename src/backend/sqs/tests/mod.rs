//! What metadata means, what is asked of SQS and how often, what its errors come to, and everything that was
//! recorded of KEDA.

mod asking;
mod recorded;
mod refusals;
mod spec;

use std::sync::Arc;

use super::{Sqs, spec::Spec};
use crate::{
    backend::{
        Backend, Source,
        stand_in::{Call, Reply, StandIn},
    },
    error::SpecError,
    metadata::{Metadata, Reader},
    net::Reach,
};

/// Login and region that every trigger here has, unless it says otherwise.
const BASE: [(&str, &str); 4] = [
    ("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"),
    ("awsRegion", "eu-west-1"),
    ("awsAccessKeyID", "AKIATEST"),
    ("awsSecretAccessKey", "hunter2"),
];

/// The base with `more`, which wins.
fn metadata(more: &[(&str, &str)]) -> Metadata {
    let more_keys: Vec<_> = more.iter().map(|(key, _)| *key).collect();
    BASE.iter().filter(|(key, _)| !more_keys.contains(key)).chain(more).copied().collect()
}

fn spec(more: &[(&str, &str)]) -> Result<Spec, SpecError> {
    Spec::read(&mut Reader::new(&metadata(more)), &Reach::open())
}

/// A source at `server`.
fn source(sqs: &Sqs, server: &StandIn, more: &[(&str, &str)]) -> Arc<dyn Source> {
    let url = server.url();
    let mut pairs = vec![("awsEndpoint", url.as_str())];
    pairs.extend_from_slice(more);
    sqs.parse("aws-sqs-queue", &mut Reader::new(&metadata(&pairs)), &Reach::open()).expect("a legal trigger")
}

fn body(call: &Call) -> serde_json::Value {
    serde_json::from_str(&call.body).expect("JSON")
}

/// `GetQueueAttributes` and the like.
fn operation(call: &Call) -> &str {
    call.header("x-amz-target").strip_prefix("AmazonSQS.").expect("an operation of SQS")
}

/// An answer with these attributes.
fn attributes(pairs: &[(&str, &str)]) -> Reply {
    let map: serde_json::Map<_, _> = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
    Reply::new(200, serde_json::json!({ "Attributes": map }).to_string())
}

/// So many visible messages, none in flight, none delayed.
fn visible(count: &str) -> Reply {
    attributes(&[
        ("ApproximateNumberOfMessages", count),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
        ("ApproximateNumberOfMessagesDelayed", "0"),
    ])
}

/// An error as SQS says it.
fn refusal(status: u16, code: &str) -> Reply {
    let body = serde_json::json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "told at 12:34:56" });
    Reply::new(status, body.to_string())
}
