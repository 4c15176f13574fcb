//! Five backends with 1,000 triggers each, and work that stays: 7 pieces at every second source, none at the others.

use std::{fs, path::PathBuf};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use axum::{Router, routing::get};
use futures::{StreamExt, future::join_all, stream};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    broker,
    fleet::{Metadata, redis_trigger},
    kafka::{self, Topics},
    redis,
};

/// Triggers of each backend.
pub const TRIGGERS: usize = 1_000;
const WORK: usize = 7;
const TOPICS: usize = 10;
const QUEUES: usize = 10;
const QUERIES: usize = 50;

/// A trigger, and how much work waits for it all the time.
pub struct Held {
    pub metadata: Metadata,
    pub work: usize,
}

/// All of them, and what has to be taken away afterwards.
pub struct World {
    pub held: Vec<Held>,
    topics: Topics,
    queues: (Vec<String>, Channel, Connection),
    target: Target,
}

impl World {
    pub async fn make() -> Self {
        let mut held = Vec::new();
        let topics = kafka_groups(&mut held).await;
        let queues = rabbitmq_queues(&mut held).await;
        sqs_queues(&mut held).await;
        redis_lists(&mut held).await;
        let target = Target::scraped(&mut held).await;
        Self { held, topics, queues, target }
    }

    pub async fn clear(self) {
        self.topics.delete(&broker("PLIMSOLL_TEST_KAFKA")).await;
        let (queues, channel, _connection) = self.queues;
        let delete = |queue: &String| channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        for deleted in join_all(queues.iter().map(delete)).await {
            deleted.expect("deleted");
        }
        fs::remove_file(self.target.file).ok();
    }
}

fn work(n: usize) -> usize {
    if n.is_multiple_of(2) { WORK } else { 0 }
}

/// 100 groups on 10 topics.
async fn kafka_groups(held: &mut Vec<Held>) -> Topics {
    let servers = broker("PLIMSOLL_TEST_KAFKA");
    let topics = Topics::create(&servers, "bench-soak", TOPICS, 1).await;
    let producer = kafka::producer(&servers);
    for (n, topic) in topics.names.iter().enumerate() {
        for _ in 0..work(n) {
            kafka::produce(&producer, topic).await;
        }
    }
    let groups: Vec<String> = (0..TRIGGERS / TOPICS).map(|n| format!("{}-{n}", topics.names[0])).collect();
    stream::iter(&groups).for_each_concurrent(8, |group| topics.commit(&servers, group, TOPICS)).await;
    for group in &groups {
        for (n, topic) in topics.names.iter().enumerate() {
            held.push(Held { metadata: kafka::trigger(&servers, group, topic), work: work(n) });
        }
    }
    topics
}

/// A queue for each trigger.
async fn rabbitmq_queues(held: &mut Vec<Held>) -> (Vec<String>, Channel, Connection) {
    let address = broker("PLIMSOLL_TEST_RABBITMQ");
    let uri = format!("amqp://admin:admin-secret@{address}/%2F");
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("RabbitMQ answers");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let run = std::process::id();
    let queues: Vec<String> = (0..TRIGGERS).map(|n| format!("bench-soak-{run}-{n}")).collect();
    for (n, queue) in queues.iter().enumerate() {
        let declared =
            channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default());
        declared.await.expect("declared");
        for _ in 0..work(n) {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let sent = channel.basic_publish("".into(), queue.as_str().into(), options, b"work", properties).await;
            sent.expect("sent").await.expect("stored");
        }
        let metadata = vec![
            ("scalerType", "rabbitmq".to_owned()),
            ("host", format!("amqp://watcher:watcher-secret@{address}")),
            ("queueName", queue.clone()),
            ("mode", "QueueLength".to_owned()),
            ("value", "5".to_owned()),
        ];
        held.push(Held { metadata, work: work(n) });
    }
    (queues, channel, connection)
}

/// 10 queues, each with 100 targets.
async fn sqs_queues(held: &mut Vec<Held>) {
    let endpoint = broker("PLIMSOLL_TEST_SQS");
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(&endpoint)
        .credentials_provider(Credentials::new("writer", "secret", None, None, "bench"));
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let run = std::process::id();
    for n in 0..QUEUES {
        let created = client.create_queue().queue_name(format!("bench-soak-{run}-{n}")).send().await.expect("created");
        let url = created.queue_url.expect("a URL");
        for _ in 0..work(n) {
            client.send_message().queue_url(&url).message_body("work").send().await.expect("sent");
        }
        for target in 1..=TRIGGERS / QUEUES {
            let metadata = vec![
                ("scalerType", "aws-sqs-queue".to_owned()),
                ("awsEndpoint", endpoint.clone()),
                ("awsRegion", "eu-west-1".to_owned()),
                ("awsAccessKeyID", "reader".to_owned()),
                ("awsSecretAccessKey", "secret".to_owned()),
                ("queueURL", url.clone()),
                ("queueLength", target.to_string()),
            ];
            held.push(Held { metadata, work: work(n) });
        }
    }
}

/// A list for each trigger.
async fn redis_lists(held: &mut Vec<Held>) {
    let address = broker("PLIMSOLL_TEST_REDIS");
    let mut writer = redis::connect(&address).await;
    let lists: Vec<String> = (0..TRIGGERS).map(|n| format!("bench-soak-{n}")).collect();
    redis::delete(&mut writer, &lists).await;
    for (n, list) in lists.iter().enumerate() {
        for _ in 0..work(n) {
            redis::push(&mut writer, list).await;
        }
        held.push(Held { metadata: redis_trigger(&address, list), work: work(n) });
    }
}

/// What Prometheus scrapes each second: a series for each query.
struct Target {
    file: PathBuf,
    _serving: JoinSet<()>,
}

impl Target {
    /// 50 queries, each with 20 thresholds.
    async fn scraped(held: &mut Vec<Held>) -> Self {
        let (server, folder) = (broker("PLIMSOLL_TEST_PROMETHEUS"), broker("PLIMSOLL_TEST_PROMETHEUS_TARGETS"));
        let page: String = (0..QUERIES).map(|n| format!("bench_soak_jobs{{n=\"{n}\"}} {}\n", work(n))).collect();
        let app = Router::new().route("/metrics", get(move || async move { page }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.expect("serves") });
        let run = format!("bench-{}", std::process::id());
        let file = PathBuf::from(folder).join(format!("{run}.json"));
        let entry = format!(r#"[{{"targets": ["{address}"], "labels": {{"test": "{run}"}}}}]"#);
        // Renamed into place: Prometheus must not see half a file.
        fs::write(file.with_extension("new"), entry).expect("written");
        fs::rename(file.with_extension("new"), &file).expect("in place");
        for n in 0..QUERIES {
            let query = format!(r#"sum(bench_soak_jobs{{test="{run}",n="{n}"}})"#);
            for threshold in 1..=TRIGGERS / QUERIES {
                let metadata = vec![
                    ("scalerType", "prometheus".to_owned()),
                    ("serverAddress", server.clone()),
                    ("query", query.clone()),
                    ("threshold", threshold.to_string()),
                    // Until the first scrape there is no such series: an error, and not 0.
                    ("ignoreNullValues", "false".to_owned()),
                ];
                held.push(Held { metadata, work: work(n) });
            }
        }
        Self { file, _serving: serving }
    }
}
