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

use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::Reader,
};

/// Kafka.
#[derive(Debug, Default)]
pub struct Kafka;

impl Backend for Kafka {
    fn scaler_types(&self) -> &'static [&'static str] {
        &["kafka", "apache-kafka"]
    }

    fn parse(&self, scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        spec::Spec::read(spec::Dialect::of(scaler_type), metadata)?;
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }
}
