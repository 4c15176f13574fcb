//! Sqs.

use std::sync::Arc;

use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::Reader,
};

/// Sqs.
#[derive(Debug, Default)]
pub struct Sqs;

impl Backend for Sqs {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["aws-sqs-queue"]
    }

    fn parse(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }

    fn requests(&self) -> u64 {
        0
    }
}
