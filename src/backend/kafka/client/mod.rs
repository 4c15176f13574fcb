//! The Kafka client: asks a cluster for committed and end offsets, many groups at once, and waits for new records.
//!
//! It speaks the protocol itself, on the codecs of `kafka-protocol`, and only the few requests that lag needs. Never
//! joins a group, never commits, never consumes. The types of `kafka-protocol` do not leave this folder.
//!
//! A room each, and each uses only those below it: `wake` waits for new records, `read` asks for offsets, many questions
//! in one request per broker; `cluster` knows the brokers and what they lead; `dial` opens links and logs in; `wire` is
//! a link, its frames and requests. `query` has the plain types of all. Not for: what the numbers mean (`lag.rs`).

mod cluster;
mod dial;
mod query;
mod read;
mod wake;
mod wire;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use query::{Commit, Isolation, PartitionOffsets, Query, Topics};
#[cfg(any(test, feature = "fuzzing"))]
pub use wire::fuzz;
pub use wire::requests::Requests;

use self::{
    cluster::Cluster,
    read::Readers,
    wake::{Wait, Wakes},
};
use super::connection::Connection;
use crate::{backend::Account, error::ReadError};

/// One cluster as one login sees it, whatever the number of triggers.
pub struct Client {
    label: String,
    cluster: Arc<Cluster>,
    readers: OnceLock<Readers>,
    wakes: OnceLock<Arc<Wakes>>,
    fetch_wait: Wait,
}

impl Client {
    /// A client of `connection`. Starts nothing: the first read does.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self::on(Account::default(), connection)
    }

    /// The same, on an account.
    #[must_use]
    pub fn on(account: Account, connection: Connection) -> Self {
        let label = connection.label();
        Self {
            label,
            cluster: Arc::new(Cluster::new(connection, account)),
            readers: OnceLock::new(),
            wakes: OnceLock::new(),
            fetch_wait: Wait::default(),
        }
    }

    /// Every partition of every topic of `query`: topics in the query's order (by name, if it names none), partitions
    /// ascending. Leaders and coordinators that move are followed for some seconds; what is left is the error.
    pub async fn read(&self, query: Arc<Query>) -> Result<Arc<[PartitionOffsets]>, ReadError> {
        self.readers().read(&query).await
    }

    /// The same with another time for parked Fetches: some brokers (librdkafka's mock cluster) answer only when it is up.
    #[must_use]
    pub fn with_fetch_wait(mut self, wait: Duration) -> Self {
        self.fetch_wait = Wait { shortest: wait, longest: wait };
        self
    }

    /// Resolves when a partition of `seen`, an answer of [`read`](Self::read), has got a record beyond its end, also if
    /// it got it before this call. Takes Read on the topic to be told at once; with Describe alone, half a second.
    pub async fn wake(&self, isolation: Isolation, seen: &[PartitionOffsets]) {
        let wakes = self.wakes.get_or_init(|| {
            let Readers { topics, offsets, .. } = self.readers();
            Wakes::new(&self.cluster, topics, offsets, self.fetch_wait)
        });
        wakes.wait(isolation, seen).await;
    }

    /// How many requests it has cost so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.cluster.counts.snapshot()
    }

    fn readers(&self) -> &Readers {
        self.readers.get_or_init(|| Readers::new(&self.cluster))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(wakes) = self.wakes.get() {
            wakes.close();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.label)
    }
}
