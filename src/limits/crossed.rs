//! How often each bound has been crossed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bound that something has crossed: a label of `plimsoll_limit_crossed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    /// [`REQUEST`](super::REQUEST), or one of its parts.
    Request,
    /// One reply of a broker.
    Reply,
    /// [`REPLIES_IN_FLIGHT`](super::REPLIES_IN_FLIGHT).
    RepliesInFlight,
    /// Triggers under observation.
    Triggers,
    /// Connections to brokers.
    Connections,
    /// What a key or certificate may cost.
    Key,
    /// What an identity's service may send, or how often it is asked.
    Identity,
    /// Connections to our own ports.
    Callers,
    /// Calls that a connection has unanswered.
    Calls,
    /// Streams that are parked.
    Streams,
    /// Triggers that have series of their own.
    TriggerSeries,
}

static CROSSED: [AtomicU64; Limit::ALL.len()] = [const { AtomicU64::new(0) }; Limit::ALL.len()];

impl Limit {
    /// Every limit, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Request,
        Self::Reply,
        Self::RepliesInFlight,
        Self::Triggers,
        Self::Connections,
        Self::Key,
        Self::Identity,
        Self::Callers,
        Self::Calls,
        Self::Streams,
        Self::TriggerSeries,
    ];

    /// The label in series.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::RepliesInFlight => "replies_in_flight",
            Self::Triggers => "triggers",
            Self::Connections => "connections",
            Self::Key => "key",
            Self::Identity => "identity",
            Self::Callers => "callers",
            Self::Calls => "calls",
            Self::Streams => "streams",
            Self::TriggerSeries => "trigger_series",
        }
    }

    /// Counts that it was crossed.
    pub fn crossed(self) {
        if let Some(count) = CROSSED.get(self as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it has been crossed.
    #[must_use]
    pub fn count(self) -> u64 {
        CROSSED.get(self as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
