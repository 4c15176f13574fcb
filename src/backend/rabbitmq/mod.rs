//! RabbitMq.

use std::sync::Arc;

use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::Reader,
};

/// RabbitMq.
#[derive(Debug, Default)]
pub struct RabbitMq;

impl Backend for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["rabbitmq"]
    }

    fn parse(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }

    fn requests(&self) -> u64 {
        0
    }
}
