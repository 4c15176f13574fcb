//! RabbitMQ: how many messages wait in a queue, or how fast they come and go.
//!
//! `spec.rs`, `login.rs` and `address.rs` read a trigger and say what to ask (`question.rs`) of whom (`connection.rs`), `client` asks,
//! `measure.rs` counts the answer; here they meet.

mod address;
mod client;
mod connection;
mod login;
mod measure;
mod orders;
mod parts;
mod question;
mod spec;

#[cfg(test)]
mod tests;

/// What a fuzzer feeds.
#[cfg(any(test, feature = "fuzzing"))]
pub use client::{fuzz_amqp, fuzz_http};

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use self::{
    client::Client,
    connection::Connection,
    question::{Found, Question},
    spec::Spec,
};
use crate::net::Reach;
use crate::{
    backend::{Account, Backend, ConnectionId, Source, pool::Pool},
    error::{ReadError, ReadErrorKind, SpecError},
    metadata::{Orders, Reader},
    reading::{Metric, Parts, Reading},
};

/// RabbitMQ, by AMQP or by its management API.
#[derive(Debug, Default)]
pub struct RabbitMq {
    clients: Arc<Pool<Connection, Client>>,
    /// Declares and HTTP requests.
    requests: Arc<AtomicU64>,
}

impl Backend for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["rabbitmq"]
    }

    fn orders(&self, _scaler_type: &str) -> Orders {
        orders::RABBITMQ
    }

    fn parse(
        &self,
        _scaler_type: &str,
        metadata: &mut Reader<'_>,
        reach: &Reach,
    ) -> Result<Arc<dyn Source>, SpecError> {
        let spec = Spec::read(metadata, reach)?;
        let id = spec.connection.id();
        let (clients, requests) = (Arc::clone(&self.clients), Arc::clone(&self.requests));
        Ok(Arc::new(Queue {
            spec,
            id,
            clients,
            requests,
            client: OnceLock::new(),
            found: Mutex::default(),
            counted: Mutex::default(),
        }))
    }

    fn metric(&self, _scaler_type: &str, metadata: &mut Reader<'_>) -> Option<Metric> {
        spec::metric_alone(metadata)
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A queue, or all queues whose names match.
struct Queue {
    spec: Spec,
    id: ConnectionId,
    clients: Arc<Pool<Connection, Client>>,
    requests: Arc<AtomicU64>,
    /// Held from the first look on: to parse a trigger must not connect.
    client: OnceLock<Arc<Client>>,
    /// What a wake has just found: the look that follows need not ask the same again.
    found: Mutex<Option<(Instant, Found)>>,
    /// What the last reading was made of, as much of it as is shown.
    counted: Mutex<Option<(Reading, Found, usize)>>,
}

/// How long that is true enough.
const JUST_NOW: Duration = Duration::from_millis(100);

impl Queue {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let connection = &self.spec.connection;
            let account = || Account::new(self.id.traffic(), &self.requests);
            self.clients.get(connection, || Client::new(connection.clone(), account()))
        })
    }

    fn count(&self, stats: &Found) -> Result<Reading, ReadError> {
        if self.spec.strict && stats.is_empty() {
            let text = format!("{} does not match any queue: create one, or correct `queueName`", self.describe());
            return Err(ReadError::new(ReadErrorKind::NotFound, text));
        }
        let reading = self.spec.measure.reading(stats)?;
        // Of a pattern that matches many no more is kept than somebody would look at.
        let most = parts::most(stats).unwrap_or_else(|| Arc::clone(stats));
        let omitted = stats.len() - most.len();
        *self.counted.lock() = Some((reading, most, omitted));
        Ok(reading)
    }
}

#[async_trait]
impl Source for Queue {
    fn metric(&self) -> &Metric {
        &self.spec.metric
    }

    fn connection(&self) -> ConnectionId {
        self.id.clone()
    }

    fn describe(&self) -> String {
        let vhost = self.spec.connection.vhost();
        match &self.spec.question {
            Question::Queue { name, .. } => format!("queue `{name}` on vhost `{vhost}`"),
            Question::Pattern { pattern, .. } => format!("pattern `{pattern}` on vhost `{vhost}`"),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.spec.deadline
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        let just_now = self.found.lock().take().filter(|(at, _)| at.elapsed() < JUST_NOW);
        if let Some((_, found)) = just_now {
            return self.count(&found);
        }
        let Spec { question, timeout: patience, .. } = &self.spec;
        let stats = timeout(*patience, self.client().ask(question.clone())).await.map_err(|_| {
            let (what, place) = (self.describe(), self.id.label());
            let text = format!("{what} at {place} was not told within {patience:?}: check the broker's load and state");
            ReadError::new(ReadErrorKind::Timeout, text)
        })??;
        self.count(&stats)
    }

    fn parts(&self) -> Option<Parts> {
        let (of, stats, omitted) = self.counted.lock().clone()?;
        Some(parts::parts(of, &stats, omitted, &self.spec.measure))
    }

    async fn wake(&self) {
        let Spec { question, pace, measure, .. } = &self.spec;
        let found = self.client().wake(question, *pace, measure).await;
        *self.found.lock() = Some((Instant::now(), found));
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.describe(), self.id.label())
    }
}
