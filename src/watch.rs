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
const REPEATS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// The activations of one trigger, until `stop` or, so that streams spread over replicas, about `max_age`.
pub fn activations(
    subscription: Subscription,
    stop: CancellationToken,
    max_age: Option<Duration>,
) -> impl Stream<Item = ()> {
    let now = Instant::now();
    let ends_at = max_age.map(|age| now + age.mul_f64(rand::rng().random_range(0.75..1.25)));
    let watcher = Watcher { subscription, stop, ends_at, rises_seen: None, repeat: None };
    futures::stream::unfold(watcher, |mut watcher| async move { watcher.next().await.then_some(((), watcher)) })
}

struct Watcher {
    subscription: Subscription,
    stop: CancellationToken,
    ends_at: Option<Instant>,
    /// The count of rises at the last `true`; `None` before the first.
    rises_seen: Option<u64>,
    /// While active: when to say so again, and how often that was done.
    repeat: Option<(Instant, usize)>,
}

impl Watcher {
    /// Waits until `true` is to be said. False when the stream ends.
    async fn next(&mut self) -> bool {
        loop {
            if self.says_true() {
                return true;
            }
            let far = Instant::now() + Duration::from_secs(86_400);
            let (ends_at, repeat_at) = (self.ends_at.unwrap_or(far), self.repeat.map_or(far, |(at, _)| at));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep_until(ends_at), if self.ends_at.is_some() => return false,
                alive = self.subscription.changed() => if !alive { return false },
                () = sleep_until(repeat_at), if self.repeat.is_some() => {}
            }
        }
    }

    fn says_true(&mut self) -> bool {
        let now = Instant::now();
        let max_staleness = self.subscription.max_staleness();
        let (active, rises) = {
            let state = self.subscription.state();
            (state.is_active(now, max_staleness), state.rises)
        };
        if !active {
            self.repeat = None;
            return false;
        }
        let said = match self.repeat {
            Some((at, said)) if self.rises_seen == Some(rises) => {
                if now < at {
                    return false;
                }
                said + 1
            }
            _ => 0,
        };
        self.rises_seen = Some(rises);
        self.repeat = Some((now + pause(said), said));
        true
    }
}

fn pause(said: usize) -> Duration {
    let [.., longest] = REPEATS;
    let pause = REPEATS.get(said).copied().unwrap_or(longest);
    if pause < longest { pause } else { pause.mul_f64(rand::rng().random_range(1.0..1.2)) }
}
