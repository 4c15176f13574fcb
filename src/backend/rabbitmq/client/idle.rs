//! Looks at idle queues that somebody waits for, all of a connection together: RabbitMQ tells nobody of a message
//! without giving it away.
//!
//! Each waiter has an interval that grows with the number of queues, so that the cost does not. The shortest is the
//! beat; a beat asks about all whose time has come, or nearly so.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until},
};

use super::wire::Wire;
use crate::{
    backend::rabbitmq::{
        measure::Measure,
        question::{Askers, Found, Pace, Question},
    },
    error::ReadError,
    task::{self, Task},
};

/// Over AMQP, however few queues there are.
const SHORTEST: Duration = Duration::from_millis(50);
/// Over HTTP.
const SHORTEST_HTTP: Duration = Duration::from_secs(1);
/// Rates are samples of this age in any case.
const RATES: Duration = Duration::from_secs(5);
/// Over HTTP a look takes at most a twentieth of the time: about that much of a broker's core.
const SHARE: u32 = 20;
/// While looks fail.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The idle looks of one connection.
pub(super) struct Idle {
    waiting: Arc<Waiting>,
    _task: Task,
}

#[derive(Default)]
struct Waiting {
    waiters: Mutex<HashMap<u64, Waiter>>,
    next: AtomicU64,
    /// Somebody waits whose time may come before the next beat.
    sooner: Notify,
    beat: Mutex<Option<Instant>>,
}

/// Rung once, with what was found.
type Bell = Arc<Mutex<Option<oneshot::Sender<Found>>>>;

struct Waiter {
    question: Question,
    pace: Pace,
    measure: Measure,
    looked: Instant,
    bell: Bell,
}

/// Takes the waiter away when nobody waits any more.
struct Place<'p>(&'p Waiting, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiters.lock().remove(&self.1);
    }
}

impl Idle {
    pub fn new(wire: Arc<Wire>) -> Self {
        let waiting = Arc::<Waiting>::default();
        let kept = Arc::clone(&waiting);
        let task = task::supervise("rabbitmq idle", move || look_for_ever(Arc::clone(&wire), Arc::clone(&kept)));
        Self { waiting, _task: task }
    }

    /// Resolves when a look finds `question` active by `measure`.
    pub async fn wait(&self, question: Question, pace: Pace, measure: Measure) -> Found {
        let waiting = &*self.waiting;
        let (bell, rung) = oneshot::channel();
        let bell = Arc::new(Mutex::new(Some(bell)));
        let now = Instant::now();
        let id = waiting.next.fetch_add(1, Ordering::Relaxed);
        let soonest = now + pace.every.unwrap_or(SHORTEST);
        let waiter = Waiter { question, pace, measure, looked: now, bell };
        waiting.waiters.lock().insert(id, waiter);
        let _place = Place(waiting, id);
        if waiting.beat.lock().is_none_or(|beat| soonest < beat) {
            waiting.sooner.notify_one();
        }
        match rung.await {
            Ok(found) => found,
            // Only with the client itself; a wake without a reason would be worse than none.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn look_for_ever(wire: Arc<Wire>, waiting: Arc<Waiting>) {
    let mut retry = FIRST_RETRY;
    let mut last = Instant::now();
    loop {
        let beat = waiting.shortest(&wire).map(|shortest| last + shortest);
        *waiting.beat.lock() = beat;
        tokio::select! {
            () = sleep_until(beat.unwrap_or(last)), if beat.is_some() => {}
            () = waiting.sooner.notified() => continue,
        }
        last = Instant::now();
        if waiting.look(&wire, last).await {
            retry = FIRST_RETRY;
        } else {
            // The sampler asks as well, and backs off by itself.
            let jitter = rand::rng().random_range(0.5..1.0);
            sleep(retry.mul_f64(jitter)).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }
}

impl Waiting {
    /// The shortest of all waiters' intervals.
    fn shortest(&self, wire: &Wire) -> Option<Duration> {
        let waiters = self.waiters.lock();
        let count = waiters.len();
        waiters.values().map(|waiter| waiter.interval(wire, count)).min()
    }

    /// Asks about all whose time has come and rings for the active ones. False if the connection is at fault.
    async fn look(&self, wire: &Wire, now: Instant) -> bool {
        let look = Look { due: self.due(wire, now), failed: AtomicBool::new(false) };
        wire.look(look.due.keys().cloned().collect(), &look).await;
        !look.failed.load(Ordering::Relaxed)
    }

    fn due(&self, wire: &Wire, now: Instant) -> HashMap<Question, Vec<(Measure, Bell)>> {
        let mut waiters = self.waiters.lock();
        let count = waiters.len();
        let beat = waiters.values().map(|waiter| waiter.interval(wire, count)).min().unwrap_or_default();
        let mut due = HashMap::<_, Vec<_>>::new();
        for waiter in waiters.values_mut() {
            if now.saturating_duration_since(waiter.looked) + beat / 2 >= waiter.interval(wire, count) {
                waiter.looked = now;
                due.entry(waiter.question.clone())
                    .or_default()
                    .push((waiter.measure.clone(), Arc::clone(&waiter.bell)));
            }
        }
        due
    }
}

/// All whose time has come.
struct Look {
    due: HashMap<Question, Vec<(Measure, Bell)>>,
    /// The connection is at fault.
    failed: AtomicBool,
}

impl Askers for Look {
    fn tell(&self, question: &Question, found: Result<Found, ReadError>) {
        match found {
            Ok(found) => {
                for (measure, bell) in self.due.get(question).into_iter().flatten() {
                    // What cannot be counted is for the sampler to report.
                    if measure.reading(&found).is_ok_and(|reading| reading.active)
                        && let Some(bell) = bell.lock().take()
                    {
                        bell.send(Arc::clone(&found)).ok();
                    }
                }
            }
            Err(error) if error.whole_connection => self.failed.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    fn wait_for(&self, question: &Question) -> bool {
        let waiters = self.due.get(question).into_iter().flatten();
        waiters.into_iter().any(|(_, bell)| bell.lock().as_ref().is_some_and(|bell| !bell.is_closed()))
    }
}

impl Waiter {
    /// How often to look, with `count` waiting on this connection.
    fn interval(&self, wire: &Wire, count: usize) -> Duration {
        let Pace { every, per_second } = self.pace;
        let rates =
            matches!(self.question, Question::Queue { rates: true, .. } | Question::Pattern { rates: true, .. });
        let (shortest, cost) = match wire {
            Wire::Amqp(_) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                (SHORTEST, Duration::from_secs(1).mul_f64(f64::from(count) / f64::from(per_second.max(1))))
            }
            Wire::Management(_) if rates => (RATES, Duration::ZERO),
            Wire::Management(api) => (SHORTEST_HTTP, api.took() * SHARE),
        };
        every.unwrap_or(shortest).max(cost)
    }
}
