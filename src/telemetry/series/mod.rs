//! Every series we export, by subject. Prefix `plimsoll_` but for those of calls, base units, labels from fixed sets only,
//! and each starts at 0. docs/metrics.md has them all, and a test holds it against what is declared here.

mod calls;
mod latency;
mod looks;
mod observed;
mod server;
mod times;
mod triggers;

use std::time::{Duration, SystemTime};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

pub use calls::Method;
pub use latency::{Exemplar, METER, push_latencies};
pub use looks::Answer;
pub use observed::{Credentials, Observed, Survey, TriggerRow};
pub use times::Times;

use self::{calls::Calls, looks::Looks, server::Server, triggers::Triggers};
use crate::error::ReadErrorKind;

/// The series, to count on; [`encode`](Self::encode) shows them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Calls,
    looks: Looks,
    server: Server,
    of_triggers: Triggers,
    /// Triggers under observation.
    pub triggers: Gauge,
    /// Open activation streams.
    pub streams: Gauge,
    /// `true` sent to KEDA.
    pub pushes: Counter,
    /// Signals of a backend that a source may have become active.
    pub wakes: Counter,
    /// TLS handshakes of callers that came to nothing.
    pub handshake_failures: Counter,
}

impl Metrics {
    /// All series at 0, for these scaler types.
    pub fn new(scaler_types: impl IntoIterator<Item = &'static str>) -> Self {
        let mut registry = Registry::default();
        let calls = Calls::new(&mut registry);
        let ours = registry.sub_registry_with_prefix("plimsoll");
        let looks = Looks::new(ours, scaler_types.into_iter().collect());
        let server = Server::new(ours);
        let of_triggers = Triggers::default();
        ours.register_collector(Box::new(of_triggers.clone()));
        Self {
            triggers: looks.triggers.clone(),
            streams: looks.streams.clone(),
            pushes: looks.pushes.clone(),
            wakes: looks.wakes.clone(),
            handshake_failures: server.handshake_failures.clone(),
            registry,
            calls,
            looks,
            server,
            of_triggers,
        }
    }

    /// Counts a call in.
    pub fn call_started(&self, method: Method) {
        self.calls.started(method);
    }

    /// Counts a call out: gRPC's number of its code, and from its head to its answer's end.
    pub fn call_handled(&self, method: Method, code: usize, took: Duration, exemplar: Option<Exemplar>) {
        self.calls.handled(method, code, took, exemplar);
    }

    /// Counts a question about a value.
    pub fn asked(&self, answer: Answer) {
        self.looks.asked(answer);
    }

    /// Counts a look at a source.
    pub fn looked(
        &self,
        scaler_type: &'static str,
        failure: Option<ReadErrorKind>,
        took: Duration,
        exemplar: Option<Exemplar>,
    ) {
        self.looks.looked(scaler_type, failure, took, exemplar);
    }

    /// Notes how long it took from a backend's signal to the push that it led to.
    pub fn woken(&self, scaler_type: &'static str, took: Duration, exemplar: Option<Exemplar>) {
        self.looks.woken(scaler_type, took, exemplar);
    }

    /// The same of each scaler type, as the series have them.
    #[must_use]
    pub fn wake_latencies(&self) -> Vec<(&'static str, Times)> {
        self.looks.wake_latencies()
    }

    /// When each of our certificates expires, in Unix time.
    #[must_use]
    pub fn certificate_expiries(&self) -> Vec<(&'static str, i64)> {
        self.server.certificate_expiries()
    }

    /// When a certificate of ours expires.
    pub fn certificate_expires(&self, certificate: &'static str, at: SystemTime) {
        self.server.certificate_expires(certificate, at);
    }

    /// Whether the former contents of changed files are in use.
    pub fn stale(&self, files: &'static str, stale: bool) {
        self.server.stale(files, stale);
    }

    /// Sets what others count, just before it is shown.
    pub fn observe(&self, observed: &Observed) {
        self.looks.observe(observed);
        self.server.observe(observed);
        self.of_triggers.replace(observed.survey.rows.clone());
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
