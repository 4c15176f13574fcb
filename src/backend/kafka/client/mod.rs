//! The Kafka client: asks a cluster for committed and end offsets, many groups at once, and waits for new records.
//!
//! It speaks the protocol itself, on the codecs of `kafka-protocol`, and only the few requests that lag needs. Never
//! joins a group, never commits, never consumes. The types of `kafka-protocol` do not leave this folder.

mod query;

pub use query::{Commit, Isolation, PartitionOffsets, Query, Topics};
