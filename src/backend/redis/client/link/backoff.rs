//! How long to wait before the next attempt: longer after each failure, with jitter, for ever.

use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);

/// The waits between attempts.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It works again: the next wait is the shortest.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the next wait is a matter of milliseconds, so that it is worth waiting for.
    pub fn is_brief(&self) -> bool {
        self.failures < 3
    }

    /// Waits.
    pub async fn wait(&mut self) {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let part = rand::rng().random_range(0.5..1.0);
        sleep(doubled.mul_f64(part)).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_two_seconds_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        assert!(backoff.is_brief());
        for _ in 0..12 {
            let start = Instant::now();
            backoff.wait().await;
            waits.push(start.elapsed());
        }
        // Timers have a grain of a millisecond.
        assert!(waits[0] <= FIRST + Duration::from_millis(1), "{waits:?}");
        assert!(waits[8..].iter().all(|wait| *wait >= LONGEST / 2 && *wait <= LONGEST + FIRST), "{waits:?}");
        assert!(!backoff.is_brief());
        backoff.reset();
        assert!(backoff.is_brief());
    }
}
