//! The clock grid: refreshes of an interval R happen at multiples of R of the wall clock.
//!
//! So replicas look at the same instants and agree, and all triggers of one connection are due together and
//! become one batch. The wall clock is read once; later steps of it do not move the grid of a running process.

use std::time::{Duration, SystemTime};

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
        self.wall + instant.duration_since(self.origin)
    }

    /// The first multiple of `interval` after `instant`.
    #[must_use]
    pub fn next_tick(&self, instant: Instant, interval: Duration) -> Instant {
        let since_epoch = self.wall(instant).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let interval_ns = interval.as_nanos().max(1);
        let into_interval = since_epoch.as_nanos() % interval_ns;
        let to_next = u64::try_from(interval_ns - into_interval).unwrap_or(u64::MAX);
        instant + Duration::from_nanos(to_next)
    }
}
