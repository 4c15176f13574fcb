//! How many requests a minute each backend sends: the difference of two counts a minute apart.
//!
//! Not for: series (`telemetry`), which leave such arithmetic to whoever reads them.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, interval};

use crate::{
    sampler::Sampler,
    task::{self, Task},
};

/// How often counts are taken.
const EVERY: Duration = Duration::from_secs(5);
/// How long they are kept.
const KEPT: Duration = Duration::from_secs(60);

/// The counts of the last minute.
#[derive(Debug)]
pub(super) struct Rates {
    counts: Arc<Mutex<Counts>>,
    _counting: Task,
}

type Counts = VecDeque<(Instant, Vec<(&'static str, u64)>)>;

impl Rates {
    /// Counts what the backends of `sampler` send, for as long as this lives.
    pub(super) fn of(sampler: &Sampler) -> Self {
        let counts: Arc<Mutex<Counts>> = Arc::default();
        let (sampler, kept) = (sampler.clone(), Arc::clone(&counts));
        let counting = task::supervise("request rates", move || {
            let (sampler, kept) = (sampler.clone(), Arc::clone(&kept));
            async move {
                let mut ticks = interval(EVERY);
                loop {
                    ticks.tick().await;
                    let (now, mut counts) = (Instant::now(), kept.lock());
                    counts.push_back((now, sampler.broker_requests()));
                    while counts.front().is_some_and(|(at, _)| *at + KEPT + EVERY < now) {
                        counts.pop_front();
                    }
                }
            }
        });
        Self { counts, _counting: counting }
    }

    /// Requests a minute of `backend`, which has sent `so_far`; unknown in the first seconds.
    pub(super) fn per_minute(&self, backend: &str, so_far: u64) -> Option<f64> {
        let counts = self.counts.lock();
        let (at, before) = counts.front()?;
        let (_, before) = before.iter().find(|(name, _)| *name == backend)?;
        let passed = at.elapsed();
        let rate = so_far.saturating_sub(*before) as f64 * 60.0 / passed.as_secs_f64();
        (passed >= EVERY).then(|| (rate * 10.0).round() / 10.0)
    }
}
