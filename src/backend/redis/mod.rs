//! Redis: how long a list (or set, sorted set, hash) is, or how much of a stream waits.
//!
//! `spec.rs` reads a trigger, `measure.rs` knows what to ask and how to count, `client` asks, `source.rs` is where
//! they meet. `bells.rs` carries the news that a key has changed.

mod address;
mod bells;
mod client;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod measure;
mod orders;
mod refusal;
mod reply;
mod source;
mod spec;
mod url;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::{client::Clients, source::Key, spec::Spec};
use crate::net::Reach;
use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::{Orders, Reader},
    reading::Metric,
};

/// Redis alone, in a cluster, or behind Sentinel.
#[derive(Debug, Default)]
pub struct Redis {
    clients: Arc<Clients>,
}

impl Backend for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        spec::SCALER_TYPES
    }

    fn orders(&self, _scaler_type: &str) -> Orders {
        orders::REDIS
    }

    fn parse(&self, scaler_type: &str, metadata: &mut Reader<'_>, reach: &Reach) -> Result<Arc<dyn Source>, SpecError> {
        let spec = Spec::read(scaler_type, metadata, reach)?;
        Ok(Arc::new(Key::new(spec, Arc::clone(&self.clients))))
    }

    fn metric(&self, scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric> {
        spec::metric_alone(scaler_type, metadata)
    }

    fn requests(&self) -> u64 {
        self.clients.sent()
    }
}
