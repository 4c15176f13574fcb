//! Kafka: how far a consumer group is behind on its topics.
//!
//! `spec.rs` and `auth.rs` read a trigger, `client` asks the cluster, `lag.rs` counts the answer; here they meet.

mod auth;
pub mod client;
pub mod connection;
#[cfg(feature = "gssapi")]
pub mod kerberos;
mod lag;
mod orders;
mod partitions;
mod parts;
mod servers;
mod spec;

#[cfg(test)]
mod tests;

/// What a fuzzer feeds.
#[cfg(any(test, feature = "fuzzing"))]
pub use client::fuzz;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::{
    client::{Client, PartitionOffsets, Topics},
    connection::Connection,
    lag::Memory,
    spec::{Dialect, Spec},
};
use crate::{
    backend::{Account, Backend, ConnectionId, Source, pool::Pool},
    error::{ReadError, ReadErrorKind, SpecError},
    metadata::{Orders, Reader},
    net::{Reach, tls::Tls},
    reading::{Metric, Parts, Reading},
};

/// KEDA's `kafka` and `apache-kafka`, as one.
#[derive(Debug, Default)]
pub struct Kafka {
    clients: Pool<Connection, Client>,
    /// Requests of all clients there ever were.
    requests: Arc<AtomicU64>,
    /// How long a Fetch is parked, where it is not the client's own choice.
    fetch_wait: Option<Duration>,
}

impl Kafka {
    /// For a broker that answers a parked Fetch only when its time is up, as librdkafka's mock cluster does.
    #[must_use]
    pub fn with_fetch_wait(fetch_wait: Duration) -> Self {
        Self { fetch_wait: Some(fetch_wait), ..Self::default() }
    }
}

impl Backend for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["kafka", "apache-kafka"]
    }

    fn orders(&self, scaler_type: &str) -> Orders {
        match Dialect::of(scaler_type) {
            Dialect::Kafka => orders::KAFKA,
            Dialect::ApacheKafka => orders::APACHE_KAFKA,
        }
    }

    fn parse(&self, scaler_type: &str, metadata: &mut Reader<'_>, reach: &Reach) -> Result<Arc<dyn Source>, SpecError> {
        let spec = Spec::read(Dialect::of(scaler_type), metadata, reach)?;
        let connection = &spec.connection;
        let id = ConnectionId::new(connection, &connection.label(), Tls::encryption(connection.tls.as_ref()));
        let client = self.clients.get(connection, || {
            let client = Client::on(Account::new(id.traffic(), &self.requests), connection.clone());
            match self.fetch_wait {
                Some(wait) => client.with_fetch_wait(wait),
                None => client,
            }
        });
        Ok(Arc::new(Group { spec, id, client, seen: Mutex::default() }))
    }

    fn metric(&self, scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric> {
        spec::metric_alone(Dialect::of(scaler_type), metadata)
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A consumer group and the topics on which it may be behind.
#[derive(Debug)]
struct Group {
    spec: Spec,
    id: ConnectionId,
    client: Arc<Client>,
    seen: Mutex<Seen>,
}

/// What one look leaves to the next.
#[derive(Debug, Default)]
struct Seen {
    memory: Memory,
    /// The last answer: a wake waits for what comes after it.
    offsets: Arc<[PartitionOffsets]>,
    /// The last reading, and when the answer came that it was counted from; none after a look that came to nothing.
    counted: Option<(Reading, Instant)>,
}

#[async_trait]
impl Source for Group {
    fn metric(&self) -> &Metric {
        &self.spec.metric
    }

    fn connection(&self) -> ConnectionId {
        self.id.clone()
    }

    fn describe(&self) -> String {
        let group = &self.spec.query.group;
        match &self.spec.query.topics {
            Topics::All => format!("group `{group}` on all its topics"),
            Topics::Named(topics) => {
                let noun = if topics.len() == 1 { "topic" } else { "topics" };
                format!("group `{group}` on {noun} `{}`", topics.join("`, `"))
            }
        }
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        let offsets = self.client.read(Arc::clone(&self.spec.query)).await?;
        let mut seen = self.seen.lock();
        let now = Instant::now();
        let reading = count(&self.spec, &offsets, &mut seen.memory, now);
        seen.offsets = offsets;
        seen.counted = reading.as_ref().ok().map(|reading| (*reading, now));
        reading
    }

    fn parts(&self) -> Option<Parts> {
        let seen = self.seen.lock();
        let (of, at) = seen.counted?;
        Some(parts::parts(of, &seen.offsets, &self.spec.settings, &seen.memory, at))
    }

    async fn wake(&self) {
        let offsets = Arc::clone(&self.seen.lock().offsets);
        self.client.wake(self.spec.query.isolation, &offsets).await;
    }
}

/// Counts what the cluster said.
fn count(spec: &Spec, offsets: &[PartitionOffsets], memory: &mut Memory, now: Instant) -> Result<Reading, ReadError> {
    if let (Topics::Named(topics), true) = (&spec.query.topics, offsets.is_empty()) {
        let topics = topics.join("`, `");
        let text = format!("`partitionLimitation` matches no partition of topic `{topics}`: correct it in the trigger");
        return Err(ReadError::new(ReadErrorKind::NotFound, text));
    }
    lag::measure(offsets, &spec.settings, memory, now)
}
