//! Push: the activation stream of one trigger, a loop around the sampler.
//!
//! It says `true` on each rise, again after 1 s and 5 s and then every 30 s while the trigger stays active (KEDA
//! can drop one), and nothing else: never `false`, never an error. It is only polled when the client has room, so
//! a slow reader gets the latest state and no backlog. While the value is unknown it is silent.

use std::time::Duration;

use futures::Stream;
use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::sampler::Subscription;

/// When an activation is said again, counted from the one before; the last holds for all that follow, with jitter.
const REPEATS: [Duration; 3] = [SHORTEST_PAUSE, Duration::from_secs(5), Duration::from_secs(30)];
/// Between any two messages of a stream.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The activations of one trigger, until `stop` or, so that streams spread over replicas, about `max_age`.
pub fn activations(
    subscription: Subscription,
    stop: CancellationToken,
    max_age: Option<Duration>,
) -> impl Stream<Item = ()> {
    let now = Instant::now();
    let ends_at = max_age.map(|age| now + age.mul_f64(rand::rng().random_range(0.75..1.25)));
    let watcher = Watcher { subscription, stop, ends_at, rise: 0, plan: None, last_said: None };
    futures::stream::unfold(watcher, |mut watcher| async move { watcher.next().await.then_some(((), watcher)) })
}

struct Watcher {
    subscription: Subscription,
    stop: CancellationToken,
    ends_at: Option<Instant>,
    /// The rise that `plan` belongs to.
    rise: u64,
    /// While active: when `true` is to be said next, and how often it has been said of this rise.
    plan: Option<(Instant, usize)>,
    last_said: Option<Instant>,
}

impl Watcher {
    /// Waits until `true` is to be said. False when the stream ends.
    async fn next(&mut self) -> bool {
        loop {
            if self.says_true() {
                return true;
            }
            // A disabled branch of `select!` still evaluates its instant.
            let never = Instant::now();
            let (ends_at, due) = (self.ends_at.unwrap_or(never), self.plan.map_or(never, |(due, _)| due));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep_until(ends_at), if self.ends_at.is_some() => return false,
                alive = self.subscription.changed() => if !alive { return false },
                () = sleep_until(due), if self.plan.is_some() => {}
            }
        }
    }

    fn says_true(&mut self) -> bool {
        let now = Instant::now();
        let max_staleness = self.subscription.max_staleness();
        let (active, rise) = {
            let state = self.subscription.state();
            (state.is_active(now, max_staleness), state.rises)
        };
        if !active {
            self.plan = None;
            return false;
        }
        let planned = self.plan.filter(|_| self.rise == rise);
        // A source that flaps costs KEDA one message a second, not one a rise.
        let (due, said) = planned.unwrap_or_else(|| (self.last_said.map_or(now, |at| now.max(at + SHORTEST_PAUSE)), 0));
        self.rise = rise;
        if now < due {
            self.plan = Some((due, said));
            return false;
        }
        self.last_said = Some(now);
        self.plan = Some((now + pause(said), said + 1));
        true
    }
}

fn pause(said: usize) -> Duration {
    let [.., longest] = REPEATS;
    let pause = REPEATS.get(said).copied().unwrap_or(longest);
    if pause < longest { pause } else { pause.mul_f64(rand::rng().random_range(1.0..1.2)) }
}
