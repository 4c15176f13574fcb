//! KEDA at one trigger: polls it, holds its stream open, and holds every answer against the truth.
//!
//! Not for: when a fault begins and ends (`cell.rs`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Code, Status};

use crate::{emulator::Keda, truth::Truth};

/// Between two polls of one trigger.
const PACE: Duration = Duration::from_millis(100);
/// How old what is answered may be: `maxStaleness`, and the time that the read itself took.
pub const STALENESS: Duration = Duration::from_secs(4);

/// Everything that must never be, in words; shared by all.
#[derive(Clone, Default)]
pub struct Violations(Arc<Mutex<Vec<String>>>);

impl Violations {
    pub fn note(&self, text: String) {
        self.0.lock().push(text);
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// The last poll.
#[derive(Debug, Clone)]
struct Poll {
    begin: Instant,
    answer: Result<(f64, bool), Status>,
}

/// What is seen of one trigger. Ends when dropped.
pub struct Watch {
    shared: Arc<Shared>,
    polls: watch::Receiver<Option<Poll>>,
    _tasks: JoinSet<()>,
}

struct Shared {
    name: String,
    metric: String,
    truth: Truth,
    violations: Violations,
    may_fail: AtomicBool,
    /// When an answer was asked for, and how long that took.
    times: Mutex<Vec<(Instant, Duration)>>,
    /// The first failure since this was last asked.
    failure: Mutex<Option<Code>>,
    pushed: watch::Sender<Option<Instant>>,
}

impl Watch {
    /// `name` is for people.
    pub async fn start(mut keda: Keda, name: String, truth: Truth, violations: Violations) -> Self {
        let metric = keda.spec().await.expect("a spec needs no broker").metric_name;
        let shared = Arc::new(Shared {
            name,
            metric,
            truth,
            violations,
            may_fail: AtomicBool::new(true),
            times: Mutex::default(),
            failure: Mutex::default(),
            pushed: watch::Sender::new(None),
        });
        let (seen, polls) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(poll(keda.clone(), Arc::clone(&shared), seen));
        tasks.spawn(listen(keda, Arc::clone(&shared)));
        Self { shared, polls, _tasks: tasks }
    }

    /// Whether a failure is something to be expected from now on.
    pub fn may_fail(&self, may: bool) {
        self.shared.may_fail.store(may, Ordering::Relaxed);
    }

    /// Waits until a poll that began after `since` finds the present truth. How long after `since` that was.
    pub async fn right(&mut self, since: Instant, patience: Duration) -> Option<Duration> {
        let truth = self.shared.truth.now();
        let fits = |poll: &Option<Poll>| {
            let poll = poll.as_ref().filter(|poll| poll.begin >= since);
            poll.is_some_and(|poll| poll.answer.as_ref().is_ok_and(|answer| *answer == (truth as f64, truth > 0)))
        };
        let found = tokio::time::timeout(patience, self.polls.wait_for(fits)).await.ok()?.ok()?;
        found.as_ref().map(|poll| poll.begin - since)
    }

    /// Waits until `true` has been pushed after `since`, and says when.
    pub async fn pushed(&self, since: Instant, patience: Duration) -> Option<Instant> {
        let mut pushed = self.shared.pushed.subscribe();
        let fits = |at: &Option<Instant>| at.is_some_and(|at| at >= since);
        *tokio::time::timeout(patience, pushed.wait_for(fits)).await.ok()?.ok()?
    }

    /// For people: what the last poll found.
    pub fn last(&self) -> String {
        self.polls.borrow().as_ref().map_or_else(String::new, |poll| format!("{:?}", poll.answer))
    }

    /// The first failure since this was last asked.
    pub fn take_failure(&self) -> Option<Code> {
        self.shared.failure.lock().take()
    }

    /// When answers were asked for, and how long they took, since that was forgotten.
    pub fn times(&self) -> Vec<(Instant, Duration)> {
        self.shared.times.lock().clone()
    }

    pub fn forget_times(&self) {
        self.shared.times.lock().clear();
    }
}

impl Shared {
    fn holds(&self, what: &str, begin: Instant, fits: impl Fn(usize) -> bool) {
        let (from, until) = (begin.checked_sub(STALENESS).unwrap_or(begin), Instant::now());
        if !self.truth.had(fits, from, until) {
            let truth = self.truth.between(from, until);
            self.violations.note(format!("{}: {what}, while it held {truth:?}", self.name));
        }
    }

    fn failed(&self, status: &Status) {
        self.failure.lock().get_or_insert(status.code());
        if !self.may_fail.load(Ordering::Relaxed) {
            self.violations.note(format!("{}: failed though its broker is well: {status}", self.name));
        }
        if matches!(status.code(), Code::Internal | Code::Unknown) {
            self.violations.note(format!("{}: a defect of ours: {status}", self.name));
        }
    }

    fn took(&self, begin: Instant) {
        self.times.lock().push((begin, begin.elapsed()));
    }
}

/// The scale loop, faster.
async fn poll(mut keda: Keda, shared: Arc<Shared>, seen: watch::Sender<Option<Poll>>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let begin = Instant::now();
        let value = keda.value(&shared.metric, None).await;
        shared.took(begin);
        let answer = match value {
            Ok(value) => {
                let value = value.metric_value_float;
                #[expect(clippy::float_cmp, reason = "whole numbers")]
                shared.holds(&format!("GetMetrics said {value}"), begin, |truth| truth as f64 == value);
                let begin = Instant::now();
                let active = keda.active().await;
                shared.took(begin);
                if let Ok(active) = active {
                    shared.holds(&format!("IsActive said {active}"), begin, |truth| (truth > 0) == active);
                }
                active.map(|active| (value, active))
            }
            Err(status) => Err(status),
        };
        if let Err(status) = &answer {
            shared.failed(status);
        }
        seen.send_replace(Some(Poll { begin, answer }));
    }
}

/// The push goroutine: a stream that ends with OK is opened again, and no stream may end otherwise.
async fn listen(mut keda: Keda, shared: Arc<Shared>) {
    loop {
        let mut stream = match keda.stream().await {
            Ok(stream) => stream,
            Err(status) => {
                return shared.violations.note(format!("{}: its stream does not open: {status}", shared.name));
            }
        };
        while let Some(said) = stream.next().await {
            match said {
                Ok(said) => {
                    let now = Instant::now();
                    shared.holds(&format!("{} was pushed", said.result), now, |truth| (truth > 0) == said.result);
                    shared.pushed.send_replace(Some(now));
                }
                Err(status) => {
                    return shared.violations.note(format!("{}: its stream ended with {status}", shared.name));
                }
            }
        }
    }
}
