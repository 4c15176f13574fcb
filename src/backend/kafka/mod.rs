//! Kafka.

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
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["kafka", "apache-kafka"]
    }

    fn parse(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }

    fn requests(&self) -> u64 {
        0
    }
}
