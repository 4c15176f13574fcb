//! How many requests a minute each backend sends, and each connection: the difference of two counts a minute apart.
//!
//! Not for: series (`telemetry`), which leave such arithmetic to whoever reads them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, interval};

use crate::{
    sampler::{ConnectionView, Sampler},
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

type Counts = VecDeque<(Instant, Sent)>;

/// How many requests were sent so far.
#[derive(Debug)]
struct Sent {
    backends: Vec<(&'static str, u64)>,
    /// By their ids.
    connections: HashMap<u64, u64>,
}

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
                    let sent = Sent {
                        backends: sampler.broker_requests(),
                        connections: sampler.connection_requests().into_iter().collect(),
                    };
                    let (now, mut counts) = (Instant::now(), kept.lock());
                    counts.push_back((now, sent));
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
        self.rate(so_far, |sent| sent.backends.iter().find(|(name, _)| *name == backend).map(|(_, count)| *count))
    }

    /// Tells those of a connection.
    pub(super) fn put_into(&self, view: &mut ConnectionView) {
        view.requests_per_minute = self.rate(view.requests, |sent| sent.connections.get(&view.id).copied());
    }

    /// Since the first of the counts that it is in.
    fn rate(&self, so_far: u64, of: impl Fn(&Sent) -> Option<u64>) -> Option<f64> {
        let counts = self.counts.lock();
        let (at, before) = counts.iter().find_map(|(at, sent)| Some((at, of(sent)?)))?;
        let passed = at.elapsed();
        let rate = so_far.saturating_sub(before) as f64 * 60.0 / passed.as_secs_f64();
        (passed >= EVERY).then(|| (rate * 10.0).round() / 10.0)
    }
}
