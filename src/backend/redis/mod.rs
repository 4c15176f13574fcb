//! Redis.

use std::sync::Arc;

use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::Reader,
};

/// Redis.
#[derive(Debug, Default)]
pub struct Redis;

impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["redis"]
    }

    fn parse(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Result<Arc<dyn Source>, SpecError> {
        metadata.problem("scalerType", "not built yet");
        Err(metadata.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
    }

    fn requests(&self) -> u64 {
        0
    }
}
