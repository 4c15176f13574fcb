//! Every series we export. Prefix `plimsoll_`, base units, labels from fixed sets only, and each starts at 0.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::log;
use crate::{error::ReadErrorKind, limits::Limit, task};

/// The calls KEDA makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Method {
    /// Should the workload run?
    IsActive,
    /// Tell me when it should.
    StreamIsActive,
    /// Name and target.
    GetMetricSpec,
    /// The value.
    GetMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: Method,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    scaler_type: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    scaler_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Backend {
    backend: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Files {
    files: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Supervised {
    task: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bound {
    limit: &'static str,
}

/// What is counted elsewhere, at the moment when the series are shown.
#[derive(Debug, Default)]
pub struct Observed {
    /// Each backend's name and how many requests it has sent.
    pub broker_requests: Vec<(&'static str, u64)>,
    /// Connections that have a trigger.
    pub connections: usize,
    /// Those that are failing.
    pub failing_connections: usize,
    /// How much of a limit is used, and how much may be.
    pub limits: Vec<(Limit, usize, usize)>,
}

/// The series, to count on; [`encode`](Self::encode) shows them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    reads: Family<Read, Counter>,
    read_seconds: Family<Source, Histogram, fn() -> Histogram>,
    /// Triggers under observation.
    pub triggers: Gauge,
    /// Open activation streams.
    pub streams: Gauge,
    /// `true` sent to KEDA.
    pub pushes: Counter,
    /// Signals of a backend that a source may have become active.
    pub wakes: Counter,
    broker_requests: Family<Backend, Counter>,
    connections: Gauge,
    failing_connections: Gauge,
    limit_crossed: Family<Bound, Counter>,
    limit_used: Family<Bound, Gauge>,
    limit_most: Family<Bound, Gauge>,
    log_lines_dropped: Counter,
    task_restarts: Family<Supervised, Counter>,
    task_panics: Counter,
    certificates: Family<Certificate, Gauge>,
    stale_files: Family<Files, Gauge>,
    /// TLS handshakes of callers that came to nothing.
    pub handshake_failures: Counter,
}

impl Metrics {
    /// All series at 0, for these scaler types.
    pub fn new(scaler_types: impl IntoIterator<Item = &'static str>) -> Self {
        let mut registry = Registry::with_prefix("plimsoll");
        let calls = Family::<Call, Counter>::default();
        let reads = Family::<Read, Counter>::default();
        let new_histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_5, 2.0, 14));
        let read_seconds = Family::new_with_constructor(new_histogram);
        for method in [Method::IsActive, Method::StreamIsActive, Method::GetMetricSpec, Method::GetMetrics] {
            drop(calls.get_or_create(&Call { method, code: "OK" }));
        }
        for scaler_type in scaler_types {
            let outcomes = ReadErrorKind::ALL.into_iter().map(ReadErrorKind::as_str).chain(["ok"]);
            outcomes.for_each(|outcome| drop(reads.get_or_create(&Read { scaler_type, outcome })));
            drop(read_seconds.get_or_create(&Source { scaler_type }));
        }
        registry.register("grpc_requests", "Calls of KEDA, by method and gRPC status code", calls.clone());
        registry.register("reads", "Looks at sources, by scaler type and outcome", reads.clone());
        let help = "How long looks at sources took";
        registry.register_with_unit("read_duration", help, Unit::Seconds, read_seconds.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        let (triggers, streams) = (Gauge::default(), Gauge::default());
        let (connections, failing_connections) = (Gauge::default(), Gauge::default());
        registry.register("triggers", "Triggers under observation", triggers.clone());
        registry.register("streams", "Open activation streams", streams.clone());
        registry.register("connections", "Connections to brokers that have a trigger", connections.clone());
        registry.register("failing_connections", "Connections that fail now", failing_connections.clone());
        let broker_requests = Family::<Backend, Counter>::default();
        let help = "Requests sent to brokers, by backend: the load that we are";
        registry.register("broker_requests", help, broker_requests.clone());
        let (pushes, wakes) = (Counter::default(), Counter::default());
        registry.register("pushes", "Activations pushed to KEDA", pushes.clone());
        registry.register("wakes", "Signals that a source may have become active", wakes.clone());
        let (task_restarts, task_panics) = (Family::<Supervised, Counter>::default(), Counter::default());
        let help = "Tasks that panicked and began anew, by what they do";
        registry.register("task_restarts", help, task_restarts.clone());
        registry.register("task_panics", "Panics in tasks of any kind: defects of ours", task_panics.clone());
        let limit_crossed = Family::<Bound, Counter>::default();
        for limit in Limit::ALL {
            drop(limit_crossed.get_or_create(&Bound { limit: limit.as_str() }));
        }
        let (limit_used, limit_most) = (Family::<Bound, Gauge>::default(), Family::<Bound, Gauge>::default());
        registry.register("limit_crossed", "How often a limit was crossed, and refused", limit_crossed.clone());
        registry.register("limit_used", "How much of a limit is used", limit_used.clone());
        registry.register("limit_most", "How much of a limit may be used", limit_most.clone());
        let log_lines_dropped = Counter::default();
        let help = "Log lines that nobody read in time";
        registry.register("log_lines_dropped", help, log_lines_dropped.clone());
        let (certificates, stale_files) = (Family::<Certificate, Gauge>::default(), Family::<Files, Gauge>::default());
        let help = "When our certificate and the soonest of the callers' roots expire, in Unix time";
        registry.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, certificates.clone());
        let help = "Whether the former contents of changed files are in use, because the new ones cannot be";
        registry.register("stale_files", help, stale_files.clone());
        let handshake_failures: Counter = Counter::default();
        let help = "TLS handshakes of callers that came to nothing";
        registry.register("tls_handshake_failures", help, handshake_failures.clone());
        Self {
            registry,
            calls,
            reads,
            read_seconds,
            triggers,
            streams,
            pushes,
            wakes,
            broker_requests,
            connections,
            failing_connections,
            limit_crossed,
            limit_used,
            limit_most,
            log_lines_dropped,
            task_restarts,
            task_panics,
            certificates,
            stale_files,
            handshake_failures,
        }
    }

    /// Counts a call.
    pub fn called(&self, method: Method, code: &'static str) {
        self.calls.get_or_create(&Call { method, code }).inc();
    }

    /// Counts a look at a source.
    pub fn looked(&self, scaler_type: &'static str, failure: Option<ReadErrorKind>, took: Duration) {
        let outcome = failure.map_or("ok", ReadErrorKind::as_str);
        self.reads.get_or_create(&Read { scaler_type, outcome }).inc();
        self.read_seconds.get_or_create(&Source { scaler_type }).observe(took.as_secs_f64());
    }

    /// Sets what others count, just before it is shown.
    pub fn observe(&self, observed: &Observed) {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for &(backend, requests) in &observed.broker_requests {
            self.broker_requests.get_or_create(&Backend { backend }).inner().store(requests, Ordering::Relaxed);
        }
        self.connections.set(gauge(observed.connections));
        self.failing_connections.set(gauge(observed.failing_connections));
        for limit in Limit::ALL {
            let bound = Bound { limit: limit.as_str() };
            self.limit_crossed.get_or_create(&bound).inner().store(limit.count(), Ordering::Relaxed);
        }
        for &(limit, used, most) in &observed.limits {
            let bound = Bound { limit: limit.as_str() };
            self.limit_used.get_or_create(&bound).set(gauge(used));
            self.limit_most.get_or_create(&bound).set(gauge(most));
        }
        self.log_lines_dropped.inner().store(log::dropped_lines(), Ordering::Relaxed);
        for (task, restarts) in task::restarts() {
            self.task_restarts.get_or_create(&Supervised { task }).inner().store(restarts, Ordering::Relaxed);
        }
        self.task_panics.inner().store(task::panics(), Ordering::Relaxed);
    }

    /// When a certificate of ours expires.
    pub fn certificate_expires(&self, certificate: &'static str, at: SystemTime) {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.certificates.get_or_create(&Certificate { certificate }).set(seconds);
    }

    /// When each of our certificates expires, in Unix time.
    #[must_use]
    pub fn certificate_expiries(&self) -> Vec<(&'static str, i64)> {
        let expiry = |certificate| Some((certificate, self.certificates.get(&Certificate { certificate })?.get()));
        ["server", "client_ca"].into_iter().filter_map(expiry).collect()
    }

    /// Whether the former contents of changed files are in use.
    pub fn stale(&self, files: &'static str, stale: bool) {
        self.stale_files.get_or_create(&Files { files }).set(stale.into());
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
