//! Amazon SQS: how many messages a queue holds, by `GetQueueAttributes`. A message is never received.
//!
//! `spec.rs` reads a trigger, `client` asks, `count.rs` adds up the answer, `queue.rs` is where they meet.

mod address;
mod client;
mod connection;
mod count;
mod orders;
mod queue;
mod spec;

#[cfg(test)]
mod tests;

/// What a fuzzer feeds.
#[cfg(any(test, feature = "fuzzing"))]
pub use client::fuzz;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use self::{
    client::{Budgets, Client},
    connection::Connection,
    queue::Queue,
    spec::Spec,
};
use crate::{
    backend::{Backend, Source, pool::Pool},
    error::SpecError,
    metadata::{Orders, Reader},
    net::Reach,
    reading::Metric,
};

/// Amazon SQS and what speaks its protocol.
#[derive(Debug, Default)]
pub struct Sqs {
    shared: Arc<Shared>,
}

/// What triggers share.
#[derive(Debug, Default)]
struct Shared {
    clients: Pool<Connection, Client>,
    budgets: Budgets,
    /// Requests sent.
    requests: Arc<AtomicU64>,
}

impl Backend for Sqs {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["aws-sqs-queue"]
    }

    fn orders(&self, _scaler_type: &str) -> Orders {
        orders::SQS
    }

    fn parse(
        &self,
        _scaler_type: &str,
        metadata: &mut Reader<'_>,
        reach: &Reach,
    ) -> Result<Arc<dyn Source>, SpecError> {
        let spec = Spec::read(metadata, reach)?;
        Ok(Arc::new(Queue::new(spec, Arc::clone(&self.shared))))
    }

    fn metric(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric> {
        spec::metric_alone(metadata)
    }

    fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}
