//! Work for many triggers of one backend, and what its broker says of the price.

use std::{fs, path::PathBuf, time::Duration};

use futures::{StreamExt, stream};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::host::cpu_seconds;

const PATIENCE: Duration = Duration::from_secs(120);
/// Of Kafka in one request.
const AT_A_TIME: usize = 100;

fn variable(name: &str) -> String {
    let name = format!("PLIMSOLL_TEST_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run this by `make bench-keda`"))
}

/// Where work waits, a place for each name.
pub enum Work {
    Redis(MultiplexedConnection),
    Kafka(FutureProducer),
}

impl Work {
    /// Empty places of these names.
    pub async fn new(backend: &str, names: &[String]) -> Self {
        if backend == "redis" {
            let client = redis::Client::open(format!("redis://{}", variable("REDIS"))).expect("an address");
            let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
            let _: i64 = redis::cmd("DEL").arg(names).query_async(&mut redis).await.expect("deleted");
            return Self::Redis(redis);
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", variable("KAFKA")).set("linger.ms", "0");
        let admin: AdminClient<DefaultClientContext> = config.create().expect("a client");
        for names in names.chunks(AT_A_TIME) {
            let topics: Vec<_> = names.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1))).collect();
            let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
            admin.create_topics(&topics, &options).await.expect("topics");
        }
        let producer: FutureProducer = config.create().expect("a producer");
        // A producer that has written to its topics before, as one does; what it wrote is done.
        let work = Self::Kafka(producer);
        stream::iter(names).for_each_concurrent(16, |name| work.put(name, 1)).await;
        let names = names.to_vec();
        let commit = move || {
            for name in names {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&name, 0, Offset::Offset(1)).expect("a valid offset");
                let consumer: BaseConsumer = config.clone().set("group.id", &name).create().expect("a consumer");
                consumer.commit(&list, CommitMode::Sync).expect("committed");
            }
        };
        tokio::task::spawn_blocking(commit).await.expect("no panic");
        work
    }

    pub async fn put(&self, name: &str, pieces: usize) {
        match self {
            Self::Redis(redis) => {
                let mut redis = redis.clone();
                let pieces = vec!["work"; pieces];
                let _: i64 = redis::cmd("LPUSH").arg(name).arg(pieces).query_async(&mut redis).await.expect("written");
            }
            Self::Kafka(producer) => {
                for _ in 0..pieces {
                    let record = FutureRecord::<(), _>::to(name).payload("work").partition(0);
                    producer.send(record, PATIENCE).await.expect("stored");
                }
            }
        }
    }

    /// A replica for five pieces; the metadata of KEDA's own scaler.
    pub fn metadata(&self, name: &str) -> Value {
        match self {
            Self::Redis(_) => json!({"address": variable("REDIS"), "listName": name, "listLength": "5"}),
            Self::Kafka(_) => json!({
                "bootstrapServers": variable("KAFKA"), "consumerGroup": name, "topic": name, "lagThreshold": "5",
                "allowIdleConsumers": "true",
            }),
        }
    }

    pub fn port(&self) -> u16 {
        let address = match self {
            Self::Redis(_) => variable("REDIS"),
            Self::Kafka(_) => variable("KAFKA"),
        };
        address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("host:port")
    }

    /// Seconds of a processor that its broker has used so far.
    pub fn broker_seconds(&self) -> f64 {
        let node = match self {
            Self::Redis(_) => "redis",
            Self::Kafka(_) => "kafka",
        };
        let folder = PathBuf::from(variable("TLS_DIR")).parent().expect("a folder").join(node);
        cpu_seconds(fs::read_to_string(folder.join("pid")).expect("it runs").trim().parse().expect("a pid"))
    }

    /// Commands that Redis has done so far; Kafka does not say.
    pub async fn commands(&self) -> Option<f64> {
        let Self::Redis(redis) = self else { return None };
        let info: String =
            redis::cmd("INFO").arg("stats").query_async(&mut redis.clone()).await.expect("Redis answers");
        info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")?.trim().parse().ok())
    }
}
