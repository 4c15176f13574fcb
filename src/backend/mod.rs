//! The seam between Plimsoll and a kind of broker: two traits and the list of who implements them.
//!
//! A sixth backend is one folder here, one `mod` and one line in [`Registry::with`]. Absent on purpose: caching,
//! retries, logging and batching across connections. The sampler owns time; a backend only looks.

pub mod batch;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod pool;
mod traffic;

#[cfg(test)]
mod recorded;

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqs")]
pub mod sqs;

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;

pub use traffic::{Account, Traffic};

#[cfg(test)]
use crate::net::stand_in;
use crate::{
    error::{ReadError, SpecError, clean},
    identity::cache::Cache,
    metadata::{Orders, Reader},
    net::{Reach, tls::Encryption},
    reading::{Metric, Parts, Reading},
};

/// A kind of source that we can read.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Its name in series and docs: `kafka`.
    fn name(&self) -> &'static str;

    /// The values of `scalerType` it answers for: KEDA's own type names.
    fn scaler_types(&self) -> &'static [&'static str];

    /// Which keys may come from a named connection or an `authenticationRef`, in KEDA's order for each. What is not there is
    /// of the metadata alone.
    fn orders(&self, scaler_type: &str) -> Orders;

    /// Turns metadata into a source. Touches no network: it runs on every question about a new trigger.
    ///
    /// Ends with `metadata.finish()?`, so that one error names every problem. Hosts that `reach` refuses by their names
    /// are such problems; `reach` is part of the source's connection and goes with every dial.
    fn parse(&self, scaler_type: &str, metadata: &mut Reader<'_>, reach: &Reach) -> Result<Arc<dyn Source>, SpecError>;

    /// What the HPA would see of a trigger, as far as its name and target can be read; `None` where either has a problem.
    /// Asked when [`parse`](Self::parse) has refused the trigger: KEDA then makes the HPA all the same, and shows why there
    /// is no value.
    fn metric(&self, scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric>;

    /// How many requests it has sent to brokers so far, as those count them: the load that we are.
    fn requests(&self) -> u64;
}

/// One trigger's place to read.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Name and target of what the HPA sees; pure.
    fn metric(&self) -> &Metric;

    /// The connection it reads from; sources with an equal id back off together.
    fn connection(&self) -> ConnectionId;

    /// What is read, for people: ``group `billing` on topic `orders` ``.
    fn describe(&self) -> String;

    /// One look; no retry, no cache, no log. The caller sets the deadline by dropping the future.
    async fn read(&self) -> Result<Reading, ReadError>;

    /// How long a read may take, where the trigger itself says so.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// What the last reading was made of, for people. Put together when it is asked for, from what the last look left: a look
    /// that nobody watches pays nothing for it.
    fn parts(&self) -> Option<Parts> {
        None
    }

    /// Resolves when the source may have become active: look now. Never resolves spuriously in a tight loop.
    /// Called again after each look for as long as the source is idle and somebody listens.
    async fn wake(&self);
}

/// Which connection a source reads from: equal when address, credentials and TLS are.
#[derive(Clone)]
pub struct ConnectionId {
    /// A digest of everything that makes the connection, secrets included; never shown.
    digest: u64,
    traffic: Arc<Traffic>,
}

/// The traffic of all connections that somebody holds an id of.
static TRAFFIC: LazyLock<Cache<u64, Traffic>> = LazyLock::new(Cache::default);

impl ConnectionId {
    /// An id for the connection made of `parts`, shown as `label`: scheme and addresses, no user part. It is
    /// [cleaned](clean).
    pub fn new(parts: &impl Hash, label: &str, encryption: impl Into<Option<Encryption>>) -> Self {
        // One random key per process: the digest cannot be used to guess a secret from outside.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let digest = KEY.hash_one((parts, label));
        Self { digest, traffic: TRAFFIC.get(digest, |_| Traffic::new(&clean(label), encryption.into())) }
    }

    /// For people: `kafka://b1:9092`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.traffic.label()
    }

    /// What goes over it: the same for all that are equal.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }
}

impl PartialEq for ConnectionId {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ConnectionId {}

impl Hash for ConnectionId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The backends of this server, found by `scalerType`.
#[derive(Debug, Clone)]
pub struct Registry(Arc<[Box<dyn Backend>]>);

impl Registry {
    /// All the backends that this build has.
    #[must_use]
    pub fn standard() -> Self {
        Self::with(vec![
            #[cfg(feature = "kafka")]
            Box::new(kafka::Kafka::default()),
            #[cfg(feature = "rabbitmq")]
            Box::new(rabbitmq::RabbitMq::default()),
            #[cfg(feature = "sqs")]
            Box::new(sqs::Sqs::default()),
            #[cfg(feature = "redis")]
            Box::new(redis::Redis::default()),
            #[cfg(feature = "prometheus")]
            Box::new(prometheus::Prometheus::default()),
        ])
    }

    /// Just these backends.
    #[must_use]
    pub fn with(backends: Vec<Box<dyn Backend>>) -> Self {
        Self(backends.into())
    }

    /// The backend that answers for `scaler_type`.
    #[must_use]
    pub fn find(&self, scaler_type: &str) -> Option<&dyn Backend> {
        self.0.iter().map(AsRef::as_ref).find(|backend| backend.scaler_types().contains(&scaler_type))
    }

    /// What a named connection of `scaler_type` is for, and the keys it may have: all type names of the backend, and every key
    /// that any of them may have from elsewhere.
    #[must_use]
    pub fn connection_kind(&self, scaler_type: &str) -> Option<(&'static [&'static str], Vec<&'static str>)> {
        let backend = self.find(scaler_type)?;
        let orders = backend.scaler_types().iter().flat_map(|scaler_type| backend.orders(scaler_type));
        let mut keys: Vec<&'static str> = orders.flat_map(|(_, keys)| keys.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        Some((backend.scaler_types(), keys))
    }

    /// Each backend's name and how many requests it has sent.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|backend| (backend.name(), backend.requests()))
    }

    /// Every `scalerType` this server knows.
    pub fn scaler_types(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|backend| backend.scaler_types().iter().copied())
    }
}
