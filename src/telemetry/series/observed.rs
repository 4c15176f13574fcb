//! What is counted elsewhere, at the moment when the series are shown.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

use crate::limits::Limit;

/// See the head of this file.
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
    /// All triggers, looked over.
    pub survey: Survey,
    /// The credentials that are not a trigger's own, by who keeps them.
    pub credentials: Vec<(&'static str, Credentials)>,
}

/// What a walk over all triggers finds.
#[derive(Debug, Default)]
pub struct Survey {
    /// Of those that are asked about, whose last look failed.
    pub failing: usize,
    /// Those of them that have nothing young enough to be answered.
    pub stale: usize,
    /// Those that were refused of late.
    pub refused: usize,
    /// How old the oldest sample is that is asked about, by scaler type; what has none is not in it.
    pub oldest: Vec<(&'static str, Duration)>,
    /// When the first of the certificates expires that brokers have shown, likewise, in Unix time.
    pub certificates: Vec<(&'static str, u64)>,
    /// Some of them in full, where each is to have its own series.
    pub rows: Vec<TriggerRow>,
}

/// One trigger of one object.
#[derive(Debug, Clone, Default)]
pub struct TriggerRow {
    /// Of the object.
    pub namespace: String,
    /// Of the object.
    pub name: String,
    /// Its own name, or that of its metric.
    pub trigger: String,
    /// KEDA's name for the kind of source.
    pub scaler_type: &'static str,
    /// The value that is answered now; none while an error is.
    pub value: Option<f64>,
    /// Whether the workload should run, likewise.
    pub active: Option<bool>,
    /// Per replica.
    pub target: f64,
    /// How old the last value read is, if one was.
    pub sample_age: Option<Duration>,
    /// Whether the last look failed.
    pub failing: bool,
}

/// Credentials that somebody keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials {
    /// How many.
    pub held: usize,
    /// How many of them could not be renewed at the last try.
    pub failing: usize,
    /// How long ago the one was read that was read the longest ago.
    pub oldest: Option<Duration>,
}

pub(super) fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counter that somebody else counts.
pub(super) fn store(counter: &Counter<u64, AtomicU64>, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}
