//! What happens between a broker and KEDA: questions, looks, wakes and pushes, and how old what we answer is.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::exponential_buckets},
    registry::{Registry, Unit},
};

use super::{
    latency::{Exemplar, Latencies, Latency, Timed},
    observed::{Observed, Survey, gauge, store},
    times::Times,
};
use crate::error::ReadErrorKind;

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
struct By {
    answer: &'static str,
}

/// Where the answer to a question came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Answer {
    /// The sample at hand.
    Sample,
    /// The failure at hand.
    Failure,
    /// A look that somebody else waited for already.
    Joined,
    /// A look that it caused.
    Look,
}

impl Answer {
    const ALL: [Self; 4] = [Self::Sample, Self::Failure, Self::Joined, Self::Look];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Failure => "failure",
            Self::Joined => "joined",
            Self::Look => "look",
        }
    }
}

/// The times of one scaler type.
#[derive(Debug)]
struct OfType {
    scaler_type: &'static str,
    read: Timed,
    wake: Timed,
}

#[derive(Debug)]
pub(super) struct Looks {
    latencies: Vec<OfType>,
    questions: Vec<Counter>,
    reads: Family<Read, Counter>,
    pub(super) triggers: Gauge,
    pub(super) streams: Gauge,
    pub(super) pushes: Counter,
    pub(super) wakes: Counter,
    failing_triggers: Gauge,
    stale_triggers: Gauge,
    refused_triggers: Gauge,
    oldest_sample: Family<Source, Gauge<f64, std::sync::atomic::AtomicU64>>,
    broker_requests: Family<Backend, Counter>,
    connections: Gauge,
    failing_connections: Gauge,
    broker_certificates: Family<Source, Gauge>,
}

const READ: &str = "How long looks at sources took";
const WAKE: &str = "From a broker's signal to the push to KEDA";

impl Looks {
    /// All at 0, for these scaler types.
    pub(super) fn new(registry: &mut Registry, scaler_types: Vec<&'static str>) -> Self {
        let questions = Family::<By, Counter>::default();
        let reads = Family::<Read, Counter>::default();
        let new_latency: fn() -> Latency = || Latency::new(buckets());
        let read_seconds = Latencies::<Source>::new_with_constructor(new_latency);
        let wake_seconds = Latencies::<Source>::new_with_constructor(new_latency);
        let buckets: Vec<f64> = buckets().collect();
        let latencies = scaler_types.into_iter().map(|scaler_type| {
            let outcomes = ReadErrorKind::ALL.into_iter().map(ReadErrorKind::as_str).chain(["ok"]);
            outcomes.for_each(|outcome| drop(reads.get_or_create(&Read { scaler_type, outcome })));
            let timed = |name, latencies: &Latencies<Source>| {
                let latency = latencies.get_or_create(&Source { scaler_type }).clone();
                Timed::new(name, &[("scaler_type", scaler_type)], &buckets, latency)
            };
            let read = timed(("plimsoll_read_duration_seconds", READ), &read_seconds);
            OfType { scaler_type, read, wake: timed(("plimsoll_wake_duration_seconds", WAKE), &wake_seconds) }
        });
        let looks = Self {
            latencies: latencies.collect(),
            questions: Answer::ALL.map(|by| questions.get_or_create(&By { answer: by.as_str() }).clone()).into(),
            reads,
            triggers: Gauge::default(),
            streams: Gauge::default(),
            pushes: Counter::default(),
            wakes: Counter::default(),
            failing_triggers: Gauge::default(),
            stale_triggers: Gauge::default(),
            refused_triggers: Gauge::default(),
            oldest_sample: Family::default(),
            broker_requests: Family::default(),
            connections: Gauge::default(),
            failing_connections: Gauge::default(),
            broker_certificates: Family::default(),
        };
        registry.register("questions", "Questions about values, by where their answer came from", questions);
        registry.register_with_unit("read_duration", READ, Unit::Seconds, read_seconds);
        registry.register_with_unit("wake_duration", WAKE, Unit::Seconds, wake_seconds);
        looks.register(registry);
        looks
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("reads", "Looks at sources, by scaler type and outcome", self.reads.clone());
        registry.register("triggers", "Triggers under observation", self.triggers.clone());
        let help = "Triggers that are asked about, and whose last look failed";
        registry.register("failing_triggers", help, self.failing_triggers.clone());
        let help = "Triggers that are asked about, and have no value that is young enough to be answered";
        registry.register("stale_triggers", help, self.stale_triggers.clone());
        let help = "Triggers that were asked about of late, and are refused";
        registry.register("refused_triggers", help, self.refused_triggers.clone());
        let help = "How old the oldest value is of the triggers that are asked about; absent where none was read yet";
        registry.register_with_unit("oldest_sample_age", help, Unit::Seconds, self.oldest_sample.clone());
        registry.register("streams", "Open activation streams", self.streams.clone());
        registry.register("pushes", "Activations pushed to KEDA", self.pushes.clone());
        registry.register("wakes", "Signals that a source may have become active", self.wakes.clone());
        registry.register("connections", "Connections to brokers that have a trigger", self.connections.clone());
        registry.register("failing_connections", "Connections that fail now", self.failing_connections.clone());
        let help =
            "When the first of the certificates expires that brokers have shown, in Unix time; absent where none was";
        let certificates = self.broker_certificates.clone();
        registry.register_with_unit("broker_certificate_expiry_timestamp", help, Unit::Seconds, certificates);
        let help = "Requests sent to brokers, by backend: the load that we are";
        registry.register("broker_requests", help, self.broker_requests.clone());
    }

    pub(super) fn asked(&self, answer: Answer) {
        if let Some(counter) = self.questions.get(answer as usize) {
            counter.inc();
        }
    }

    pub(super) fn looked(
        &self,
        scaler_type: &'static str,
        failure: Option<ReadErrorKind>,
        took: Duration,
        exemplar: Option<Exemplar>,
    ) {
        let outcome = failure.map_or("ok", ReadErrorKind::as_str);
        self.reads.get_or_create(&Read { scaler_type, outcome }).inc();
        if let Some(of) = self.of(scaler_type) {
            of.read.observe(took, exemplar);
        }
    }

    pub(super) fn woken(&self, scaler_type: &'static str, took: Duration, exemplar: Option<Exemplar>) {
        if let Some(of) = self.of(scaler_type) {
            of.wake.observe(took, exemplar);
        }
    }

    pub(super) fn wake_latencies(&self) -> Vec<(&'static str, Times)> {
        self.latencies.iter().map(|of| (of.scaler_type, of.wake.times())).collect()
    }

    fn of(&self, scaler_type: &str) -> Option<&OfType> {
        self.latencies.iter().find(|of| of.scaler_type == scaler_type)
    }

    pub(super) fn observe(&self, observed: &Observed) {
        for &(backend, requests) in &observed.broker_requests {
            store(&self.broker_requests.get_or_create(&Backend { backend }), requests);
        }
        self.connections.set(gauge(observed.connections));
        self.failing_connections.set(gauge(observed.failing_connections));
        let Survey { failing, stale, refused, oldest, certificates, .. } = &observed.survey;
        self.failing_triggers.set(gauge(*failing));
        self.stale_triggers.set(gauge(*stale));
        self.refused_triggers.set(gauge(*refused));
        for &OfType { scaler_type, .. } in &self.latencies {
            let labels = Source { scaler_type };
            match oldest.iter().find(|(of, _)| *of == scaler_type) {
                Some((_, age)) => drop(self.oldest_sample.get_or_create(&labels).set(age.as_secs_f64())),
                // What is unknown is no 0.
                None => drop(self.oldest_sample.remove(&labels)),
            }
            match certificates.iter().find(|(of, _)| *of == scaler_type) {
                Some((_, expiry)) => {
                    self.broker_certificates.get_or_create(&labels).set(i64::try_from(*expiry).unwrap_or(i64::MAX));
                }
                None => drop(self.broker_certificates.remove(&labels)),
            }
        }
    }
}

fn buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(0.000_5, 2.0, 14)
}
