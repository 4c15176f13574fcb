//! Push: the activation stream of one trigger, a loop around the sampler.
//!
//! It says `true` on each rise, again 1 s and 5 s after it (KEDA can drop one), and then only while KEDA's own polls of
//! the object have not heard of the rise or have ceased: every `true` costs KEDA a request to the API server. It says
//! nothing else, never `false`, never an error. It is only polled when the client has room, so a slow reader gets the
//! latest state and no backlog. While the value is unknown it is silent.

use std::time::Duration;

use futures::{Stream, StreamExt};
use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    sampler::{Subscription, Told},
    trigger::Push,
};

/// The pauses between the first times that a rise is said: after 1 s and after 5 s.
const REPEATS: [Duration; 2] = [SHORTEST_PAUSE, Duration::from_secs(4)];
/// The pause between those that follow, before jitter makes it longer.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// Between any two messages of a stream.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// So many times a rise is said in any case.
const IN_ANY_CASE: usize = REPEATS.len() + 1;

/// The activations of one trigger, until `stop` or, so that streams spread over replicas, about `max_age`.
pub fn activations(
    subscription: Subscription,
    stop: CancellationToken,
    max_age: Option<Duration>,
) -> impl Stream<Item = ()> {
    let now = Instant::now();
    let ends_at = max_age.map(|age| now + age.mul_f64(rand::rng().random_range(0.75..1.25)));
    let mut watcher = Watcher { subscription, stop, ends_at, told: None, last_said: None, interrupted: false };
    watcher.told = watcher.told_before(now);
    futures::stream::unfold(watcher, |mut watcher| async move { watcher.next().await.then_some(((), watcher)) })
}

/// The stream of a trigger that cannot be followed: silent, since KEDA takes an end by error for an outage and shows its
/// text nowhere. It ends with OK when `again` resolves: another try may go better then.
pub fn silence(stop: CancellationToken, again: impl Future<Output = ()> + Send) -> impl Stream<Item = ()> + Send {
    let ends = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = again => {}
        }
    };
    futures::stream::once(ends).filter_map(|()| std::future::ready(None))
}

struct Watcher {
    subscription: Subscription,
    stop: CancellationToken,
    ends_at: Option<Instant>,
    /// The last rise that was said or is to be said.
    told: Option<Told>,
    last_said: Option<Instant>,
    /// It has not been known to be active for a while.
    interrupted: bool,
}

/// What there is to do.
enum Step {
    End,
    Say,
    Wait(Option<Instant>),
}

impl Watcher {
    /// What the object knows when its stream opens: all that the last one told it, if that has only aged; of what its
    /// polls have heard, one word more is enough.
    fn told_before(&mut self, now: Instant) -> Option<Told> {
        let rise = self.subscription.state().rises;
        let of_polls = || {
            self.subscription.hears(rise, now)?;
            let times = if self.subscription.push() == Push::Once { 1 } else { REPEATS.len() };
            Some(Told { rise, times, due: now })
        };
        self.subscription.told().or_else(of_polls)
    }

    /// Waits until `true` is to be said. False when the stream ends.
    async fn next(&mut self) -> bool {
        loop {
            let due = match self.step(Instant::now()) {
                Step::End => return false,
                Step::Say => return true,
                Step::Wait(due) => due,
            };
            // A disabled branch of `select!` still evaluates its instant.
            let never = Instant::now();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep_until(self.ends_at.unwrap_or(never)), if self.ends_at.is_some() => {
                    if let Some(told) = self.told {
                        self.subscription.aged(told);
                    }
                    return false;
                }
                alive = self.subscription.changed() => if !alive { return false },
                () = sleep_until(due.unwrap_or(never)), if due.is_some() => {}
            }
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        let (push, max_staleness) = (self.subscription.push(), self.subscription.max_staleness());
        let (active, rise, retired) = {
            let state = self.subscription.state();
            (state.is_active(now, max_staleness), state.rises, state.retired)
        };
        if retired {
            return Step::End;
        }
        if !active || push == Push::Never {
            self.interrupted = true;
            return Step::Wait(None);
        }
        // A source that flaps costs KEDA one message a second, not one a rise.
        let begin = || Told { rise, times: 0, due: self.last_said.map_or(now, |at| now.max(at + SHORTEST_PAUSE)) };
        let mut told = self.told.filter(|told| told.rise == rise).unwrap_or_else(begin);
        // What was unknown for a while and is known again: the polls, which heard errors meanwhile, may come first.
        if std::mem::take(&mut self.interrupted) && told.times >= IN_ANY_CASE {
            told.due = now + pause(told.times);
        }
        self.told = Some(told);
        if push == Push::Once && told.times > 0 {
            return Step::Wait(None);
        }
        if now < told.due {
            return Step::Wait(Some(told.due));
        }
        if told.times >= IN_ANY_CASE
            && let Some(until) = self.subscription.hears(rise, now)
        {
            return Step::Wait(Some(until));
        }
        self.last_said = Some(now);
        self.subscription.pushed(now, told.times == 0);
        self.told = Some(Told { rise, times: told.times + 1, due: now + pause(told.times) });
        Step::Say
    }
}

/// The pause after a rise was said once more than `before` times.
fn pause(before: usize) -> Duration {
    let long = || LONG_PAUSE.mul_f64(rand::rng().random_range(1.0..1.2));
    REPEATS.get(before).copied().unwrap_or_else(long)
}
