//! The embedded Kafka: librdkafka's mock cluster, which speaks the protocol over TCP on the loopback interface.

use anyhow::{Context, Result};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext, types::RDKafkaRespErr};

/// The topic that is written and worked off.
pub(super) const TOPIC: &str = "orders";
/// The group that works it off.
pub(super) const GROUP: &str = "billing";
/// No more replicas than partitions: a partition has one reader of a group.
pub(super) const PARTITIONS: i32 = 10;

/// A Kafka of one broker that lives as long as this.
pub(super) struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    /// Starts it, with the topic in place.
    pub(super) fn start() -> Result<Self> {
        let cluster = MockCluster::new(1).context("the embedded Kafka did not start")?;
        cluster.create_topic(TOPIC, PARTITIONS, 1).context("the embedded Kafka refused the topic")?;
        Ok(Self(cluster))
    }

    /// Another topic, of one partition.
    pub(super) fn add_topic(&self, name: &str) -> Result<()> {
        self.0.create_topic(name, 1, 1).context("the embedded Kafka refused a topic")
    }

    /// Another that nobody may see.
    pub(super) fn add_locked_topic(&self, name: &str) -> Result<()> {
        self.add_topic(name)?;
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        self.0.topic_error(name, denied).context("the embedded Kafka did not lock a topic")
    }

    /// Its address, as a user would write it into a trigger.
    pub(super) fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }
}
