//! Every series we export. Prefix `plimsoll_`, base units, labels from fixed sets only, and each starts at 0.

use std::{sync::atomic::Ordering, time::Duration};

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

use crate::{error::ReadErrorKind, task};

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
struct Supervised {
    task: &'static str,
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
    failing_connections: Gauge,
    task_restarts: Family<Supervised, Counter>,
    task_panics: Counter,
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
        let (triggers, streams, failing_connections) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("triggers", "Triggers under observation", triggers.clone());
        registry.register("streams", "Open activation streams", streams.clone());
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
            failing_connections,
            task_restarts,
            task_panics,
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

    /// Sets what others count, just before it is shown: requests by backend, and failing connections.
    pub fn observe(&self, broker_requests: impl Iterator<Item = (&'static str, u64)>, failing_connections: usize) {
        for (backend, requests) in broker_requests {
            self.broker_requests.get_or_create(&Backend { backend }).inner().store(requests, Ordering::Relaxed);
        }
        for (task, restarts) in task::restarts() {
            self.task_restarts.get_or_create(&Supervised { task }).inner().store(restarts, Ordering::Relaxed);
        }
        self.task_panics.inner().store(task::panics(), Ordering::Relaxed);
        self.failing_connections.set(i64::try_from(failing_connections).unwrap_or(i64::MAX));
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
