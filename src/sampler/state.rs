//! What is known about one trigger: the last good sample, the present failure, and what may be answered from them.
//!
//! Pure: given the state and the time, the answer follows. This is where "never a false zero" is decided.

use std::time::Duration;

use tokio::time::Instant;

use crate::{error::ReadError, reading::Sample, telemetry::spans::Seen};

/// One trigger's state; replaced as a whole after each look.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How many looks have ended.
    pub looks: u64,
    /// The last good sample, however old.
    pub sample: Option<Sample>,
    /// The present failure: the last look did not succeed.
    pub failure: Option<Failure>,
    /// How often it became active: what is active before and after a time without readings has not risen, since nobody
    /// was told that it was idle.
    pub rises: u64,
    /// When the backend's signal came that led to the last of them, if one did.
    pub woken: Option<Instant>,
    /// How long the last look took.
    pub last_look_took: Duration,
    /// The last look, in traces.
    pub look: Seen,
    /// No longer observed in this form: who follows it begins anew.
    pub retired: bool,
}

/// Looks that fail, since when.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why the last look failed.
    pub error: ReadError,
    /// When the first one of this spell failed.
    pub since: Instant,
    /// How many have failed in a row.
    pub count: u64,
}

impl State {
    /// The answer for a trigger that is being refreshed: the last good sample until it is `max_staleness` old,
    /// then the failure. `None` while nothing is known yet.
    #[must_use]
    pub fn answer(&self, now: Instant, max_staleness: Duration) -> Option<Result<Sample, ReadError>> {
        if let Some(sample) = self.younger_than(now, max_staleness) {
            return Some(Ok(sample));
        }
        self.failure.as_ref().map(|failure| Err(failure.error.clone()))
    }

    /// The sample, if it is not older than `age`.
    #[must_use]
    pub fn younger_than(&self, now: Instant, age: Duration) -> Option<Sample> {
        self.sample.filter(|sample| now.saturating_duration_since(sample.at) <= age)
    }

    /// Whether the trigger is known to be active.
    #[must_use]
    pub fn is_active(&self, now: Instant, max_staleness: Duration) -> bool {
        self.younger_than(now, max_staleness).is_some_and(|sample| sample.reading.active)
    }

    pub(super) fn looked(&mut self, sample: Sample, woken: Option<Instant>) {
        let was_active = self.sample.is_some_and(|last| last.reading.active);
        if sample.reading.active && !was_active {
            self.rises += 1;
            self.woken = woken;
        }
        self.looks += 1;
        self.sample = Some(sample);
        self.failure = None;
    }

    pub(super) fn failed(&mut self, error: ReadError, now: Instant) {
        let (since, count) = self.failure.as_ref().map_or((now, 0), |failure| (failure.since, failure.count));
        self.looks += 1;
        self.failure = Some(Failure { error, since, count: count + 1 });
    }
}
