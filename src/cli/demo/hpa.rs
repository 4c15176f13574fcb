//! What Kubernetes' Horizontal Pod Autoscaler makes of a metric of type `AverageValue`. Pure, but for its memory.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Within this distance of the target the HPA leaves things as they are.
const TOLERANCE: f64 = 0.1;

/// One HPA with the default behaviour: up by 4 or to the double in one go, down only to the highest wish of late.
#[derive(Debug)]
pub(super) struct Hpa {
    /// What one replica can carry.
    pub(super) target: f64,
    pub(super) max_replicas: u32,
    /// How far back wishes are remembered before it scales down.
    pub(super) stabilisation: Duration,
    wishes: VecDeque<(Instant, u32)>,
}

impl Hpa {
    pub(super) fn new(target: f64, max_replicas: u32, stabilisation: Duration) -> Self {
        Self { target, max_replicas, stabilisation, wishes: VecDeque::new() }
    }

    /// It does not look at a workload of 0 replicas, and what it wished before is of no use then.
    pub(super) fn forget(&mut self) {
        self.wishes.clear();
    }

    /// How many replicas there should be, given that there are `current` (not 0) and the metric is `value`.
    pub(super) fn replicas(&mut self, now: Instant, current: u32, value: f64) -> u32 {
        let wish = self.wish(current, value);
        self.wishes.retain(|(at, _)| now.duration_since(*at) < self.stabilisation);
        self.wishes.push_back((now, wish));
        let highest = self.wishes.iter().map(|(_, wish)| *wish).max().unwrap_or(wish);
        let stable = if wish < current { highest.min(current) } else { wish };
        stable.min((current * 2).max(current + 4)).clamp(1, self.max_replicas)
    }

    fn wish(&self, current: u32, value: f64) -> u32 {
        let ratio = value / (self.target * f64::from(current));
        if (ratio - 1.0).abs() <= TOLERANCE {
            return current;
        }
        let wish = (value / self.target).ceil().clamp(1.0, f64::from(self.max_replicas));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped just above")]
        let wish = wish as u32;
        wish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(5);

    #[track_caller]
    fn check(current: u32, value: f64, expected: u32) {
        let mut hpa = Hpa::new(20.0, 10, WINDOW);
        assert_eq!(hpa.replicas(Instant::now(), current, value), expected, "{current} replicas at {value}");
    }

    #[tokio::test]
    async fn a_fresh_hpa_rounds_up_and_keeps_within_tolerance_steps_and_limits() {
        check(1, 0.0, 1);
        check(1, 20.0, 1);
        check(1, 21.9, 1); // less than 10 % over the target is tolerated
        check(1, 22.5, 2);
        check(1, 100.0, 5);
        check(1, 200.0, 5); // 4 more in one go
        check(5, 200.0, 10); // or twice as many
        check(10, 1e9, 10);
        check(10, 181.0, 10); // and under it
        check(10, 100.0, 5);
        check(10, 0.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_scales_down_only_when_no_recent_wish_was_higher() {
        let mut hpa = Hpa::new(20.0, 10, WINDOW);
        assert_eq!(hpa.replicas(Instant::now(), 5, 200.0), 10);
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(hpa.replicas(Instant::now(), 10, 60.0), 10);
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(hpa.replicas(Instant::now(), 10, 40.0), 3);
        hpa.forget();
        assert_eq!(hpa.replicas(Instant::now(), 10, 40.0), 2);
    }
}
