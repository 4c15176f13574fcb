//! The Kafka client: asks a cluster for committed and end offsets, many groups at once, and waits for new records.
//!
//! It speaks the protocol itself, on the codecs of `kafka-protocol`, and only the few requests that lag needs. Never
//! joins a group, never commits, never consumes. The types of `kafka-protocol` do not leave this folder.
//!
//! From the outside in: a read (here) asks `topics`, `commits` and `offsets`, each of which turns many questions into
//! one request per broker; they reach brokers by `cluster`, `broker`, `dial` (`sasl`, `token`, `versions`) and `link`.

mod broker;
mod cluster;
mod codes;
mod commits;
mod coordinators;
mod dial;
mod explain;
mod heal;
mod link;
mod offsets;
mod query;
mod read;
mod requests;
mod sasl;
mod token;
mod topics;
mod versions;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

pub use query::{Commit, Isolation, PartitionOffsets, Query, Topics};
pub use requests::Requests;

use self::{cluster::Cluster, read::Readers};
use super::connection::Connection;
use crate::error::ReadError;

/// One cluster as one login sees it, whatever the number of triggers.
pub struct Client {
    label: String,
    cluster: Arc<Cluster>,
    readers: OnceLock<Readers>,
}

impl Client {
    /// A client of `connection`. Starts nothing: the first read does.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let label = connection.label();
        Self { label, cluster: Arc::new(Cluster::new(connection)), readers: OnceLock::new() }
    }

    /// Every partition of every topic of `query`: topics in the query's order (by name, if it names none), partitions
    /// ascending. Leaders and coordinators that move are followed for some seconds; what is left is the error.
    pub async fn read(&self, query: Arc<Query>) -> Result<Arc<[PartitionOffsets]>, ReadError> {
        self.readers().read(&query).await
    }

    /// Resolves when a partition of `seen`, an answer of [`read`](Self::read), has got a record beyond its end.
    pub async fn wake(&self, _isolation: Isolation, _seen: &[PartitionOffsets]) {
        std::future::pending().await
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.label)
    }
}
