//! How long and how often a read tries again while a cluster moves leaders and coordinators.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    clock::jittered,
    error::{ReadError, ReadErrorKind},
};

/// For so long a read looks for the new leader. Moves that brokers announce take some 100 ms; a broker that died
/// without a word is missed by the cluster for some seconds, which is worth an error.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// One batch's patience.
#[derive(Debug, Clone, Copy)]
pub struct Heal {
    until: Instant,
    pause: Duration,
}

impl Heal {
    pub fn start() -> Self {
        Self { until: Instant::now() + PATIENCE, pause: FIRST_PAUSE }
    }

    /// Whether there is time for another try, and whether one could end otherwise.
    pub fn is_worth_it(&self, error: &ReadError) -> bool {
        use ReadErrorKind::{NotFound, Timeout, Unreachable};
        // A partition that a leader does not know may be known to the next one.
        matches!(error.kind, Unreachable | Timeout | NotFound) && Instant::now() + self.pause < self.until
    }

    /// Waits a little; a little longer next time.
    pub async fn pause(mut self) -> Self {
        sleep(jittered(self.pause, 0.5..1.0)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self
    }
}
