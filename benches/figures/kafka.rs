//! Kafka: requests per interval, connections and threads, beside the same asked by a consumer per group.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    broker,
    fleet::{Metadata, requests_per_interval},
    host::{connections, threads},
    process::Process,
    report::{Must, Report},
};
use futures::{StreamExt, stream};
use rdkafka::{
    ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};

const TOPICS: usize = 10;
const PARTITIONS: i32 = 12;
const GROUPS: usize = 100;
const MANY_GROUPS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn requests(report: &mut Report) {
    println!("kafka: {GROUPS} groups x {TOPICS} topics x {PARTITIONS} partitions, then {MANY_GROUPS} groups");
    let servers = broker("PLIMSOLL_TEST_KAFKA");
    let topics = Topics::create(&servers, "bench-requests", TOPICS, PARTITIONS).await;
    let groups: Vec<String> = (0..MANY_GROUPS).map(|n| format!("{}-{n}", topics.names[0])).collect();
    stream::iter(&groups[..GROUPS]).for_each_concurrent(8, |group| topics.commit(&servers, group, TOPICS, 0)).await;
    stream::iter(&groups[GROUPS..]).for_each_concurrent(8, |group| topics.commit(&servers, group, 1, 0)).await;

    let every_pair = groups[..GROUPS].iter().flat_map(|group| topics.names.iter().map(move |topic| (group, topic)));
    let server = Process::start(&[]);
    let idle_threads = threads(server.pid());
    let every_trigger = every_pair.map(|(group, topic)| trigger(&servers, group, topic)).collect();
    let per_interval = requests_per_interval(&server, "kafka", every_trigger).await;
    report.add(
        "Kafka requests per interval, 100 groups x 10 topics x 12 partitions, one broker",
        per_interval,
        "requests",
        Must::AtMost(4.0),
    );
    let by_consumers = consumers(&servers, &topics, &groups[..GROUPS]).await;
    report.add("the same by a consumer per group", by_consumers, "requests", Must::Nothing);
    report.add(
        "TCP connections for those 1,000 triggers, one broker",
        connections(server.pid(), port(&servers)),
        "",
        Must::AtMost(2.0),
    );
    report.add(
        "threads more for those 1,000 triggers",
        threads(server.pid()) - idle_threads,
        "threads",
        Must::AtMost(0.0),
    );
    drop(server);

    let server = Process::start(&[]);
    let one_topic = groups.iter().map(|group| trigger(&servers, group, &topics.names[0])).collect();
    let many = requests_per_interval(&server, "kafka", one_topic).await;
    // Split by 200 groups: five OffsetFetch for one ListOffsets.
    report.add(
        "Kafka requests per interval, 1,000 groups on one topic, one broker",
        many,
        "requests",
        Must::AtMost(8.0),
    );
    topics.delete(&servers).await;
}

struct Sent(Arc<AtomicU64>);

impl ClientContext for Sent {
    fn stats(&self, statistics: Statistics) {
        let sent = statistics.brokers.values().map(|broker| broker.tx).sum();
        self.0.store(sent, Ordering::Relaxed);
    }
}

impl ConsumerContext for Sent {}

/// The requests of one round, asked by a consumer per group: commits and ends of all its partitions.
async fn consumers(servers: &str, topics: &Topics, groups: &[String]) -> f64 {
    let (servers, topics, groups) = (servers.to_owned(), topics.names.clone(), groups.to_vec());
    let round = move || {
        let mut total = 0;
        for group in groups {
            let sent = Arc::new(AtomicU64::new(0));
            let consumer: BaseConsumer<Sent> = config(&servers)
                .set("group.id", &group)
                .set("statistics.interval.ms", "50")
                .create_with_context(Sent(Arc::clone(&sent)))
                .expect("a consumer");
            let list = partitions(&topics, PARTITIONS, Offset::End);
            let ask = || {
                consumer.committed_offsets(list.clone(), PATIENCE).expect("commits");
                consumer.offsets_for_times(list.clone(), PATIENCE).expect("ends");
            };
            let count = || {
                let (before, begin) = (sent.load(Ordering::Relaxed), std::time::SystemTime::now());
                while begin.elapsed().is_ok_and(|spent| spent < Duration::from_millis(200)) {
                    consumer.poll(Duration::from_millis(50));
                }
                (before, sent.load(Ordering::Relaxed)).1
            };
            // The first round also learns the cluster.
            ask();
            let first = count();
            ask();
            total += count() - first;
        }
        total as f64
    };
    tokio::task::spawn_blocking(round).await.expect("no panic")
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "0");
    config
}

pub fn port(servers: &str) -> u16 {
    servers.rsplit(':').next().and_then(|port| port.parse().ok()).expect("host:port")
}

pub fn producer(servers: &str) -> FutureProducer {
    config(servers).create().expect("a producer")
}

pub async fn produce(producer: &FutureProducer, topic: &str) {
    producer.send(FutureRecord::<(), _>::to(topic).payload("work"), PATIENCE).await.expect("stored");
}

pub fn trigger(servers: &str, group: &str, topic: &str) -> Metadata {
    vec![
        ("scalerType", "kafka".to_owned()),
        ("bootstrapServers", servers.to_owned()),
        ("consumerGroup", group.to_owned()),
        ("topic", topic.to_owned()),
    ]
}

fn partitions(topics: &[String], count: i32, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..count {
            list.add_partition_offset(topic, partition, offset).expect("a valid offset");
        }
    }
    list
}

/// Topics of this run, named so that no other run meets them.
pub struct Topics {
    pub names: Vec<String>,
    partitions: i32,
}

impl Topics {
    pub async fn create(servers: &str, prefix: &str, count: usize, partitions: i32) -> Self {
        let run = std::process::id();
        let names: Vec<String> = (0..count).map(|n| format!("{prefix}-{run}-{n}")).collect();
        let admin: AdminClient<DefaultClientContext> = config(servers).create().expect("an admin client");
        for some in names.chunks(200) {
            let topics: Vec<_> =
                some.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
            let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
            for created in admin.create_topics(&topics, &options).await.expect("Kafka answers") {
                created.expect("created");
            }
        }
        Self { names, partitions }
    }

    pub async fn delete(self, servers: &str) {
        let admin: AdminClient<DefaultClientContext> = config(servers).create().expect("an admin client");
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        admin.delete_topics(&names, &AdminOptions::new()).await.expect("Kafka answers");
    }

    /// Commits `offset` on every partition of the first `count` topics.
    pub async fn commit(&self, servers: &str, group: &str, count: usize, offset: i64) {
        let (topics, servers, group) = (self.names[..count].to_vec(), servers.to_owned(), group.to_owned());
        let list = partitions(&topics, self.partitions, Offset::Offset(offset));
        let commit = move || {
            let consumer: BaseConsumer = config(&servers).set("group.id", &group).create().expect("a consumer");
            // A topic is created before its broker knows of it.
            let begin = std::time::Instant::now();
            while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
                let young = error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition);
                assert!(young && begin.elapsed() < PATIENCE, "not committed: {error}");
            }
        };
        tokio::task::spawn_blocking(commit).await.expect("no panic");
    }
}
