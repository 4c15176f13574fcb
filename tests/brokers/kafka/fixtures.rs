//! What the Kafka tests stand on: addresses, topics of their own, records, commits.
//!
//! Records and commits come from librdkafka, so that our client is checked against another one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use plimsoll::backend::kafka::{
    client::{Client, Commit, Isolation, PartitionOffsets, Query, Topics},
    connection::Connection,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{FutureProducer, FutureRecord},
};

/// The address in `variable`.
pub fn address(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("plimsoll-test-{what}-{:016x}", rand::random::<u64>())
}

pub fn plain(servers: &str) -> Connection {
    Connection { servers: servers.split(',').map(str::to_owned).collect(), tls: None, sasl: None }
}

pub fn query(group: &str, topics: &[&str]) -> Query {
    Query {
        group: group.into(),
        topics: Topics::Named(topics.iter().map(|&topic| topic.to_owned()).collect()),
        partitions: None,
        isolation: Isolation::ReadUncommitted,
        start_offsets: false,
    }
}

/// Commit and end by partition of the only topic.
pub fn brief(offsets: &[PartitionOffsets]) -> Vec<(i32, Option<i64>, Option<i64>)> {
    let committed = |commit| match commit {
        Commit::Offset(offset) => Some(offset),
        Commit::None => None,
        Commit::Missing => panic!("the broker kept silent: {offsets:?}"),
    };
    offsets.iter().map(|known| (known.partition, committed(known.committed), known.end)).collect()
}

/// A cluster, from the other side.
pub struct Cluster {
    servers: String,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Cluster {
    pub fn new(servers: impl Into<String>) -> Self {
        let servers = servers.into();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &servers).set("message.timeout.ms", "20000").set("linger.ms", "0");
        Self { admin: config.create().unwrap(), producer: config.create().unwrap(), servers }
    }

    pub fn client(&self) -> Client {
        Client::new(plain(&self.servers))
    }

    pub async fn create(&self, topic: &str, partitions: i32) {
        self.create_replicated(topic, partitions, 1).await;
    }

    /// Creates it and waits until every broker knows its leaders.
    pub async fn create_replicated(&self, topic: &str, partitions: i32, replicas: i32) {
        self.create_many(&[topic], partitions, replicas).await;
    }

    pub async fn create_many(&self, topics: &[&str], partitions: i32, replicas: i32) {
        let new: Vec<_> =
            topics.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas))).collect();
        for result in self.admin.create_topics(&new, &options()).await.unwrap() {
            result.unwrap();
        }
        for topic in topics {
            self.until(topic, |count| count == usize::try_from(partitions).unwrap()).await;
        }
    }

    pub async fn delete(&self, topic: &str) {
        for result in self.admin.delete_topics(&[topic], &options()).await.unwrap() {
            result.unwrap();
        }
        self.until(topic, |count| count == 0).await;
    }

    pub async fn add_partitions(&self, topic: &str, count: usize) {
        for result in self.admin.create_partitions(&[NewPartitions::new(topic, count)], &options()).await.unwrap() {
            result.unwrap();
        }
        self.until(topic, |found| found == count).await;
    }

    /// Writes `count` records to one partition.
    pub async fn produce(&self, topic: &str, partition: i32, count: usize) {
        let record = || FutureRecord::<(), str>::to(topic).partition(partition).payload("record");
        let sends = (0..count).map(|_| self.producer.send(record(), Duration::from_secs(20)));
        futures::future::try_join_all(sends).await.unwrap();
    }

    /// Commits `offsets` (topic, partition, offset) for `group`.
    pub async fn commit(&self, group: &str, offsets: &[(&str, i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).unwrap();
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("group.id", group).set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        // Its calls block.
        tokio::task::spawn_blocking(move || consumer.commit(&list, CommitMode::Sync).unwrap()).await.unwrap();
    }

    async fn until(&self, topic: &str, right: impl Fn(usize) -> bool) {
        let client = self.admin.inner();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
            let led = metadata.topics()[0].partitions().iter().filter(|partition| partition.leader() >= 0).count();
            if right(led) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "topic {topic} has {led} partitions with a leader");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

/// Reads once.
pub async fn read(client: &Client, query: &Query) -> Arc<[PartitionOffsets]> {
    client.read(Arc::new(query.clone())).await.unwrap()
}

/// The ends by topic and partition.
pub fn ends(offsets: &[PartitionOffsets]) -> HashMap<(String, i32), Option<i64>> {
    offsets.iter().map(|known| ((known.topic.to_string(), known.partition), known.end)).collect()
}
