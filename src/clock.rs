//! The clock grid: refreshes of an interval R happen at multiples of R of the wall clock.
//!
//! So replicas look at the same instants and agree, and all triggers of one connection are due together and
//! become one batch. The wall clock is read once; later steps of it do not move the grid of a running process.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use rand::RngExt;
use tokio::time::Instant;

/// Relates tokio's clock, which tests can pause, to the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// The wall clock at `origin`.
    wall: SystemTime,
}

impl Clock {
    /// The grid of this machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self::showing(SystemTime::now())
    }

    /// A clock that shows `wall` now.
    #[must_use]
    pub fn showing(wall: SystemTime) -> Self {
        Self { origin: Instant::now(), wall }
    }

    /// The wall clock at `instant`.
    #[must_use]
    pub fn wall(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.origin) {
            Some(after) => self.wall + after,
            None => self.wall - self.origin.duration_since(instant),
        }
    }

    /// The first multiple of `interval` after `instant`.
    #[must_use]
    pub fn next_tick(&self, instant: Instant, interval: Duration) -> Instant {
        instant + to_next_tick(since_epoch(self.wall(instant)), interval)
    }
}

/// What the wall clock counts from.
#[must_use]
pub fn since_epoch(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// How long until the first multiple of `interval` after `elapsed`: never zero.
#[must_use]
pub fn to_next_tick(elapsed: Duration, interval: Duration) -> Duration {
    let interval_ns = interval.as_nanos().max(1);
    let to_next = interval_ns - elapsed.as_nanos() % interval_ns;
    Duration::from_nanos(u64::try_from(to_next).unwrap_or(u64::MAX))
}

/// A random part of `span`, so that what many do does not fall together.
#[must_use]
pub fn jittered(span: Duration, part: Range<f64>) -> Duration {
    span.mul_f64(rand::rng().random_range(part))
}
