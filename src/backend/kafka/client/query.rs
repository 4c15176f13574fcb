//! What a trigger asks of a cluster and what it hears: plain types.

use std::sync::Arc;

use crate::backend::kafka::partitions::Partitions;

/// One group's offsets on some topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// The consumer group.
    pub group: Arc<str>,
    /// Which topics.
    pub topics: Topics,
    /// Which partitions of a named topic; `None` is all.
    pub partitions: Option<Partitions>,
    /// What counts as the end of a partition.
    pub isolation: Isolation,
    /// Also ask where the log starts, of partitions that are behind: [`PartitionOffsets::start`].
    pub start_offsets: bool,
}

/// Which topics a query is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topics {
    /// These, in this order. One that does not exist is an error that names it.
    Named(Arc<[String]>),
    /// Every topic that the group has a committed offset in; a group without commits has none.
    All,
}

/// What counts as the end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Isolation {
    /// The high watermark: every record, those of open transactions too. KEDA's way.
    #[default]
    ReadUncommitted,
    /// The last stable offset: records of open transactions do not count yet.
    ReadCommitted,
}

/// What is known of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// Where the group stands.
    pub committed: Commit,
    /// The first offset still in the log: only for a partition without a commit or with one before the end, and only
    /// if asked for.
    pub start: Option<i64>,
    /// The end of the log, which the next record will get; `None` when the broker left the partition out of its
    /// answer twice (Azure Event Hubs does).
    pub end: Option<i64>,
}

/// Where a group stands in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// The next record it will read.
    Offset(i64),
    /// It has committed nothing there, or the commit has expired.
    None,
    /// The broker left the partition out of its answer.
    Missing,
}
