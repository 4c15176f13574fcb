//! The calls that come in, under the names of go-grpc-prometheus, which every dashboard of gRPC servers knows.
//!
//! Not for: who calls, or what a call is about.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use super::latency::{Exemplar, Latencies, Latency, Timed};

/// Each method that is served: its path, and what kind of call it is.
const METHODS: [(&str, &str); 9] = [
    ("/externalscaler.ExternalScaler/IsActive", UNARY),
    ("/externalscaler.ExternalScaler/StreamIsActive", STREAM),
    ("/externalscaler.ExternalScaler/GetMetricSpec", UNARY),
    ("/externalscaler.ExternalScaler/StreamMetricSpec", STREAM),
    ("/externalscaler.ExternalScaler/GetMetrics", UNARY),
    ("/grpc.health.v1.Health/Check", UNARY),
    ("/grpc.health.v1.Health/Watch", STREAM),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", BOTH),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", BOTH),
];

const UNARY: &str = "unary";
const STREAM: &str = "server_stream";
const BOTH: &str = "bidi_stream";

/// The codes of gRPC, by their numbers and with the names that Go gives them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The buckets of go-grpc-prometheus, and finer ones below them: an answer from memory takes microseconds.
const BUCKETS: [f64; 16] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    grpc_service: &'static str,
    grpc_method: &'static str,
    grpc_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    grpc_service: &'static str,
    grpc_method: &'static str,
    grpc_type: &'static str,
    grpc_code: &'static str,
}

/// A method that is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Method(usize);

impl Method {
    /// By its path; none of a path that nobody serves.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        METHODS.iter().position(|(known, _)| *known == path).map(Self)
    }

    /// Its service and its name.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        METHODS.get(self.0).map_or(("", ""), |(path, _)| names(path))
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().1)
    }
}

/// The series of each method, found by its place: a call hashes no label.
#[derive(Debug)]
pub(super) struct Calls(Vec<OfMethod>);

#[derive(Debug)]
struct OfMethod {
    started: Counter,
    handled: Vec<Counter>,
    seconds: Timed,
}

impl Calls {
    /// All at 0.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (started, handled) = (Family::<Labels, Counter>::default(), Family::<Ended, Counter>::default());
        let seconds = Latencies::<Labels>::new_with_constructor(|| Latency::new(BUCKETS));
        let calls = METHODS.iter().map(|(path, grpc_type)| {
            let (grpc_service, grpc_method) = names(path);
            let labels = Labels { grpc_service, grpc_method, grpc_type };
            let pairs = [("grpc_service", grpc_service), ("grpc_method", grpc_method), ("grpc_type", *grpc_type)];
            let of_code = |grpc_code| Ended { grpc_service, grpc_method, grpc_type, grpc_code };
            OfMethod {
                started: started.get_or_create(&labels).clone(),
                handled: CODES.iter().map(|code| handled.get_or_create(&of_code(code)).clone()).collect(),
                seconds: Timed::new(
                    ("grpc_server_handling_seconds", HANDLING),
                    &pairs,
                    &BUCKETS,
                    seconds.get_or_create(&labels).clone(),
                ),
            }
        });
        let calls = Self(calls.collect());
        registry.register("grpc_server_started", "Calls that have come in", started);
        registry.register("grpc_server_handled", "Calls that have ended, by their code", handled);
        registry.register_with_unit("grpc_server_handling", HANDLING, Unit::Seconds, seconds);
        calls
    }

    pub(super) fn started(&self, method: Method) {
        if let Some(of) = self.0.get(method.0) {
            of.started.inc();
        }
    }

    pub(super) fn handled(&self, method: Method, code: usize, took: Duration, exemplar: Option<Exemplar>) {
        let Some(of) = self.0.get(method.0) else { return };
        // What is no code of gRPC is `Unknown`.
        if let Some(counter) = of.handled.get(code).or_else(|| of.handled.get(2)) {
            counter.inc();
        }
        of.seconds.observe(took, exemplar);
    }
}

const HANDLING: &str = "How long calls took, from their head to their answer's end";

fn names(path: &'static str) -> (&'static str, &'static str) {
    path.trim_start_matches('/').split_once('/').unwrap_or((path, ""))
}
