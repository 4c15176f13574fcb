//! Prometheus, and what speaks its query API (Thanos, Mimir, VictoriaMetrics, managed services): one number by one
//! instant query.
//!
//! `spec.rs`, `auth.rs` and `identity.rs` read a trigger, `client` asks the server, `answer.rs` finds the number in
//! what it says, `query.rs` is where they meet.

mod answer;
mod auth;
pub mod client;
pub mod connection;
mod elements;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod identity;
mod orders;
mod query;
mod spec;

#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use self::{client::Client, connection::Connection, query::Query, spec::Spec};
use crate::{
    backend::{Backend, Source, pool::Pool},
    error::SpecError,
    metadata::{Orders, Reader},
    net::Reach,
    reading::Metric,
};

/// Prometheus and its kin.
#[derive(Debug, Default)]
pub struct Prometheus {
    shared: Arc<Shared>,
}

/// What triggers share.
#[derive(Debug, Default)]
struct Shared {
    clients: Pool<Connection, Client>,
    /// Queries sent.
    requests: Arc<AtomicU64>,
}

impl Backend for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["prometheus"]
    }

    fn orders(&self, _scaler_type: &str) -> Orders {
        orders::PROMETHEUS
    }

    fn parse(
        &self,
        _scaler_type: &str,
        metadata: &mut Reader<'_>,
        reach: &Reach,
    ) -> Result<Arc<dyn Source>, SpecError> {
        let spec = Spec::read(metadata, reach)?;
        Ok(Arc::new(Query::new(spec, Arc::clone(&self.shared))))
    }

    fn metric(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric> {
        spec::metric_alone(metadata)
    }

    fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}
