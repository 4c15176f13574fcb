//! Prometheus.

use std::sync::Arc;

use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::Reader,
};

/// Prometheus.
#[derive(Debug, Default)]
pub struct Prometheus;

impl Backend for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["prometheus"]
    }

    fn parse(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }

    fn requests(&self) -> u64 {
        0
    }
}
