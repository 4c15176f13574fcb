//! What the SQS tests stand on: ElasticMQ's address, queues of their own, triggers by metadata.

use std::sync::Arc;

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use plimsoll::net::Reach;
use plimsoll::{
    backend::{Registry, Source},
    error::ReadErrorKind,
    metadata::{Metadata, Reader},
};

pub fn server() -> String {
    let variable = "PLIMSOLL_TEST_SQS";
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("plimsoll-test-{what}-{:016x}", rand::random::<u64>())
}

/// Another client, which may do what ours never does.
pub struct Writer(Client);

impl Writer {
    pub fn new() -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(server())
            .credentials_provider(Credentials::new("writer", "secret", None, None, "test"));
        Self(Client::from_conf(config.build()))
    }

    /// The URL of a new queue.
    pub async fn create(&self, name: &str) -> String {
        let mut create = self.0.create_queue().queue_name(name);
        if name.ends_with(".fifo") {
            create = create.attributes(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true");
        }
        create.send().await.unwrap().queue_url.unwrap()
    }

    pub async fn send(&self, url: &str, delay_seconds: i32) {
        let mut send = self.0.send_message().queue_url(url).message_body("work");
        if url.ends_with(".fifo") {
            send = send.message_group_id("g").message_deduplication_id(unique("message"));
        } else {
            send = send.delay_seconds(delay_seconds);
        }
        send.send().await.unwrap();
    }

    /// Takes a message into flight and keeps it there.
    pub async fn receive(&self, url: &str) -> String {
        let received = self.0.receive_message().queue_url(url).visibility_timeout(900).send().await.unwrap();
        received.messages.unwrap().remove(0).receipt_handle.unwrap()
    }

    pub async fn done(&self, url: &str, handle: &str) {
        self.0.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
    }
}

/// Login, region and endpoint for ElasticMQ, and `more`.
pub fn pairs(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let server = server();
    let base = [
        ("scalerType", "aws-sqs-queue"),
        ("awsEndpoint", server.as_str()),
        ("awsRegion", "eu-west-1"),
        ("awsAccessKeyID", "reader"),
        ("awsSecretAccessKey", "secret"),
    ];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn source(more: &[(&str, &str)]) -> Arc<dyn Source> {
    let metadata: Metadata = pairs(more).into_iter().collect();
    let registry = Registry::standard();
    let backend = registry.find("aws-sqs-queue").unwrap();
    backend.parse("aws-sqs-queue", &mut Reader::new(&metadata), &Reach::open()).unwrap()
}

pub async fn value(source: &Arc<dyn Source>) -> f64 {
    source.read().await.unwrap().value
}

pub async fn refused(source: &Arc<dyn Source>, kind: ReadErrorKind, text: &str) {
    let error = source.read().await.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}
