//! What the Kafka tests stand on: addresses, topics of their own, records, commits.
//!
//! Records and commits come from librdkafka, so that our client is checked against another one.

#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use plimsoll::{
    backend::kafka::{
        client::{Client, Commit, Isolation, PartitionOffsets, Query, Topics},
        connection::{Connection, Login, Sasl},
    },
    error::ReadErrorKind,
    metadata::Secret,
    net::Reach,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{FutureProducer, FutureRecord, Producer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Command,
    sync::RwLockReadGuard,
};

use super::three::calm;

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
    Connection { servers: servers.split(',').map(str::to_owned).collect(), tls: None, sasl: None, reach: Reach::open() }
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
    _calm: Option<RwLockReadGuard<'static, ()>>,
    servers: String,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Cluster {
    pub fn new(servers: impl Into<String>) -> Self {
        let servers = servers.into();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &servers).set("message.timeout.ms", "60000").set("linger.ms", "0");
        Self { _calm: None, admin: config.create().unwrap(), producer: config.create().unwrap(), servers }
    }

    /// The cluster whose address is in `variable`.
    pub async fn at(variable: &str) -> Self {
        let calm = if variable == "PLIMSOLL_TEST_KAFKA_3" { Some(calm().await) } else { None };
        Self { _calm: calm, ..Self::new(address(variable)) }
    }

    /// The brokers that lead the partitions of `topic`.
    pub fn leaders(&self, topic: &str) -> Vec<i32> {
        let metadata = self.admin.inner().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        metadata.topics()[0].partitions().iter().map(|partition| partition.leader()).collect()
    }

    pub fn client(&self) -> Client {
        Client::new(plain(&self.servers))
    }

    pub async fn create(&self, topic: &str, partitions: i32) {
        self.create_replicated(topic, partitions, 1).await;
    }

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
            self.until(topic, usize::try_from(partitions).unwrap()).await;
        }
    }

    pub async fn delete(&self, topic: &str) {
        for result in self.admin.delete_topics(&[topic], &options()).await.unwrap() {
            result.unwrap();
        }
        self.until(topic, 0).await;
    }

    pub async fn add_partitions(&self, topic: &str, count: usize) {
        for result in self.admin.create_partitions(&[NewPartitions::new(topic, count)], &options()).await.unwrap() {
            result.unwrap();
        }
        self.until(topic, count).await;
    }

    /// Writes `count` records to one partition.
    pub async fn produce(&self, topic: &str, partition: i32, count: usize) {
        let record = || FutureRecord::<(), str>::to(topic).partition(partition).payload("record");
        let sends = (0..count).map(|_| self.producer.send(record(), Duration::from_secs(60)));
        futures::future::try_join_all(sends).await.unwrap();
    }

    /// Writes one record within a transaction and leaves that open.
    pub async fn begin(&self, topic: &str) -> Transaction {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("transactional.id", unique("transaction"));
        let producer: FutureProducer = config.create().unwrap();
        let beginning = producer.clone();
        let begin = move || {
            beginning.init_transactions(Duration::from_secs(20)).unwrap();
            beginning.begin_transaction().unwrap();
        };
        tokio::task::spawn_blocking(begin).await.unwrap();
        let record = FutureRecord::<(), str>::to(topic).partition(0).payload("record");
        producer.send(record, Duration::from_secs(20)).await.unwrap();
        Transaction(producer)
    }

    /// The end of a partition as librdkafka sees it.
    pub fn end(&self, topic: &str, partition: i32) -> i64 {
        self.producer.client().fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap().1
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

    /// Until every single broker knows so many partitions of `topic`: they do not learn in step.
    async fn until(&self, topic: &str, count: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        for server in self.servers.split(',') {
            loop {
                // A fresh client knows this broker only.
                let found = match Client::new(plain(server)).read(query("nobody", &[topic]).into()).await {
                    Ok(offsets) => Ok(offsets.len()),
                    Err(error) if error.kind == ReadErrorKind::NotFound => Ok(0),
                    Err(error) => Err(error),
                };
                if found.as_ref().is_ok_and(|found| *found == count) {
                    break;
                }
                assert!(tokio::time::Instant::now() < deadline, "{server} knows {found:?} partitions of {topic}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// An open transaction.
pub struct Transaction(FutureProducer);

impl Transaction {
    /// Commits it or aborts it.
    pub async fn end(self, commits: bool) {
        let end = move || match commits {
            true => self.0.commit_transaction(Duration::from_secs(20)).unwrap(),
            false => self.0.abort_transaction(Duration::from_secs(20)).unwrap(),
        };
        tokio::task::spawn_blocking(end).await.unwrap();
    }
}

/// The login of one of the test users.
pub fn login_as(user: &str) -> Connection {
    let login = Login { username: user.into(), password: Secret::new(format!("{user}-secret")) };
    Connection { sasl: Some(Sasl::Scram256(login)), ..plain(&address("PLIMSOLL_TEST_KAFKA_SASL")) }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

/// Reads once.
pub async fn read(client: &Client, query: &Query) -> Arc<[PartitionOffsets]> {
    client.read(Arc::new(query.clone())).await.unwrap()
}

/// Where the brokers keep their files.
pub fn brokers_dir() -> PathBuf {
    Path::new(&address("PLIMSOLL_TEST_TLS_DIR")).parent().unwrap().to_owned()
}

/// Stops and starts a node with its data kept, as an operator would.
pub async fn restart(node: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/restart");
    let status = Command::new(script).arg(node).env("BROKERS_DIR", brokers_dir()).status().await.unwrap();
    assert!(status.success(), "restart {node}: {status}");
}

/// A node that is stopped by a signal: its sockets accept, nothing answers. Runs on when this is dropped.
pub struct Frozen(String);

impl Frozen {
    pub fn new(node: &str) -> Self {
        let frozen = Self(std::fs::read_to_string(brokers_dir().join(node).join("pid")).unwrap().trim().to_owned());
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, signal: &str) {
        assert!(std::process::Command::new("kill").args([signal, &self.0]).status().unwrap().success());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// Listens on `on` and passes all it hears to `to`. Returns where it listens.
pub async fn forward(on: &str, to: String) -> String {
    let listener = TcpListener::bind(on).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
            });
        }
    });
    address
}
