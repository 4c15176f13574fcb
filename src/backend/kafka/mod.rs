//! Kafka: how far a consumer group is behind on its topics.
//!
//! `spec.rs` and `auth.rs` read a trigger, `client` asks the cluster, `lag.rs` counts the answer; here they meet.

mod auth;
pub mod client;
pub mod connection;
mod lag;
mod partitions;
mod spec;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::Instant;

use self::{
    client::{PartitionOffsets, Topics},
    lag::Memory,
    spec::{Dialect, Spec},
};
use crate::{
    backend::{Backend, Source},
    error::{ReadError, ReadErrorKind, SpecError},
    metadata::Reader,
    reading::Reading,
};

/// Kafka.
#[derive(Debug, Default)]
pub struct Kafka;

impl Backend for Kafka {
    fn scaler_types(&self) -> &'static [&'static str] {
        &["kafka", "apache-kafka"]
    }

    fn parse(&self, scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        Spec::read(Dialect::of(scaler_type), metadata)?;
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }
}

/// Counts what the cluster said.
fn count(spec: &Spec, offsets: &[PartitionOffsets], memory: &mut Memory, now: Instant) -> Result<Reading, ReadError> {
    if let (Topics::Named(topics), true) = (&spec.query.topics, offsets.is_empty()) {
        let topics = topics.join(",");
        let text = format!("`partitionLimitation` matches no partition of topic `{topics}`: correct it in the trigger");
        return Err(ReadError::new(ReadErrorKind::NotFound, text));
    }
    lag::measure(offsets, &spec.settings, memory, now)
}
