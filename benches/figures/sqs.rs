//! SQS: calls per interval, counted by the server itself.

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};

use crate::{
    broker,
    fleet::{Metadata, requests_per_interval},
    process::Process,
    report::{Must, Report},
};

const QUEUES: usize = 10;
const TRIGGERS: usize = 1_000;

pub async fn calls(report: &mut Report) {
    println!("sqs: {TRIGGERS} triggers on {QUEUES} queues");
    let writer = writer();
    let mut triggers = Vec::new();
    let mut urls = Vec::new();
    for n in 0..QUEUES {
        let url = create(&writer, &format!("bench-calls-{}-{n}", std::process::id())).await;
        triggers.extend((1..=TRIGGERS / QUEUES).map(|target| trigger(&url, target)));
        urls.push(url);
    }
    let server = Process::start(&[]);
    let calls = requests_per_interval(&server, "sqs", triggers).await;
    report.add("SQS calls per interval, 1,000 triggers on 10 queues", calls, "calls", Must::AtMost(10.0));
    for url in urls {
        writer.delete_queue().queue_url(url).send().await.expect("deleted");
    }
}

/// A trigger with a target of its own, so that it is a trigger of its own.
pub fn trigger(url: &str, target: usize) -> Metadata {
    vec![
        ("scalerType", "aws-sqs-queue".to_owned()),
        ("awsEndpoint", broker("PLIMSOLL_TEST_SQS")),
        ("awsRegion", "eu-west-1".to_owned()),
        ("awsAccessKeyID", "reader".to_owned()),
        ("awsSecretAccessKey", "secret".to_owned()),
        ("queueURL", url.to_owned()),
        ("queueLength", target.to_string()),
    ]
}

/// Another client, which may do what ours never does.
pub fn writer() -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(broker("PLIMSOLL_TEST_SQS"))
        .credentials_provider(Credentials::new("writer", "secret", None, None, "bench"));
    Client::from_conf(config.build())
}

/// The URL of a new queue.
pub async fn create(writer: &Client, name: &str) -> String {
    let created = writer.create_queue().queue_name(name).send().await.expect("created");
    created.queue_url.expect("a URL")
}
