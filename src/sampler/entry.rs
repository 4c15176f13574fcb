//! One trigger under observation: its state, who wants it, and the loop that refreshes it.
//!
//! The loop is the trigger's only reader, so single flight needs no lock: callers ask, wait and leave as they
//! like, the look goes on.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};
use tracing::{Instrument, debug, error, info, warn};

use super::{
    Core,
    askers::{Ask, Askers, Told},
    gate::{Fault, Gates, Member},
    history::Ring,
    plan::{Next, Plan},
    state::State,
    traces::answered,
};
use crate::{
    backend::batch::at_once,
    error::{ReadError, ReadErrorKind},
    object::ObjectRef,
    reading::{Reading, Sample},
    task::{self, Backoff},
    telemetry::{
        Answer,
        spans::{self, Seen},
    },
    trigger::{Push, Trigger},
};

/// After a panic of a source's wake; doubled each time.
const WAKE_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_WAKE_PAUSE: Duration = Duration::from_secs(60);
/// How much longer than a look may take somebody waits for it: only a defect of ours takes that long.
const WAIT_LONGER: Duration = Duration::from_secs(5);
/// Looks caused by a wake keep this distance, whatever a backend signals.
const WAKE_FLOOR: Duration = Duration::from_millis(10);

/// One distinct trigger.
#[derive(Debug)]
pub(super) struct Entry {
    /// The order in which triggers came: a place in the pages.
    pub(super) number: u64,
    pub(super) trigger: Arc<Trigger>,
    /// Its place on the connection.
    pub(super) connection: Member,
    pub(super) state: watch::Sender<State>,
    /// Who asks, and what they have heard.
    pub(super) askers: Askers,
    /// Open activation streams.
    pub(super) streams: AtomicUsize,
    created: Instant,
    /// When somebody last asked, in nanoseconds after `created`.
    last_asked: AtomicU64,
    /// The number of the look that somebody waits for.
    demanded: AtomicU64,
    /// Something changed that the loop should know of: a demand, a new stream.
    pub(super) nudge: Notify,
    /// Panics of the wake: how long to leave it alone.
    wake_rests: Mutex<Option<(Backoff, Instant)>>,
    /// For the pages.
    pub(super) record: Mutex<Record>,
}

/// What the pages show of the past.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) ring: Box<Ring>,
    /// When the last look began, and how many triggers of the connection were looked at together then.
    pub(super) look: Option<(Instant, Arc<AtomicU32>)>,
}

impl Entry {
    pub(super) fn new(number: u64, trigger: Trigger, gates: &Arc<Gates>) -> Self {
        Self {
            number,
            connection: gates.join(&trigger.source.connection(), trigger.interval),
            trigger: Arc::new(trigger),
            state: watch::Sender::default(),
            askers: Askers::default(),
            streams: AtomicUsize::new(0),
            created: Instant::now(),
            last_asked: AtomicU64::new(0),
            demanded: AtomicU64::new(0),
            nudge: Notify::new(),
            wake_rests: Mutex::default(),
            record: Mutex::default(),
        }
    }

    /// How long it has been observed.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }

    /// When it came under observation.
    pub(super) fn created(&self) -> Instant {
        self.created
    }

    /// Notes that KEDA is told that it is active.
    pub(super) fn pushed(&self) {
        self.record.lock().ring.pushed(self.age(Instant::now()));
    }

    /// Notes who asks now; for how long nobody had asked before.
    pub(super) fn asked(&self, ask: Ask<'_>, now: Instant) -> Duration {
        let now_ns = u64::try_from((now - self.created).as_nanos()).unwrap_or(u64::MAX);
        let before = self.last_asked.swap(now_ns, Ordering::Relaxed);
        self.askers.asked(ask, now);
        Duration::from_nanos(now_ns.saturating_sub(before))
    }

    /// Counts a stream in: from now on the wake is armed. What the object's last stream had told it, if it was just now.
    pub(super) fn stream_opened(&self, object: ObjectRef<&str>) -> Option<Told> {
        self.streams.fetch_add(1, Ordering::Relaxed);
        self.nudge.notify_one();
        self.askers.stream_opened(object, Instant::now())
    }

    /// Notes that a poll of `object` is answered now.
    pub(super) fn polled(&self, object: ObjectRef<&str>) {
        let now = Instant::now();
        let heard = {
            let state = self.state.borrow();
            state.is_active(now, self.trigger.max_staleness).then_some(state.rises)
        };
        self.askers.polled(object, now, heard);
    }

    /// The last good sample or the present failure; waits for the look that is due if neither will do.
    pub(super) async fn sample(&self, core: &Core, unasked_for: Duration) -> Result<Sample, ReadError> {
        let trigger = &self.trigger;
        let now = Instant::now();
        let refreshed = unasked_for < core.wanted_for(trigger) || self.is_listened_to();
        if !refreshed {
            // From now on it is wanted again, even if the last sample still serves this once.
            self.nudge.notify_one();
        }
        let seen = {
            let state = self.state.borrow();
            if refreshed && let Some(answer) = state.answer(now, trigger.max_staleness) {
                answered(core, &state, if answer.is_ok() { Answer::Sample } else { Answer::Failure });
                return answer;
            }
            if let Some(sample) = state.younger_than(now, trigger.interval) {
                answered(core, &state, Answer::Sample);
                return Ok(sample);
            }
            state.looks
        };
        let refused = |_: &ReadError| answered(core, &self.state.borrow(), Answer::Failure);
        self.connection.may_look(now, now).inspect_err(refused)?;
        let demanded = self.demanded.fetch_max(seen + 1, Ordering::Relaxed);
        let how = if demanded > seen { Answer::Joined } else { Answer::Look };
        self.nudge.notify_one();
        let mut states = self.state.subscribe();
        let state = tokio::select! {
            state = states.wait_for(|state| state.looks > seen || state.retired) => state,
            () = core.closed.cancelled() => {
                return Err(ReadError::new(ReadErrorKind::Unreachable, "the server is shutting down"));
            }
            () = sleep_until(now + core.read_deadline(trigger) + WAIT_LONGER) => {
                return Err(ReadError::new(ReadErrorKind::Internal, "no look came to its end: see the server's log"));
            }
        };
        if state.as_ref().is_ok_and(|state| state.retired) {
            let text = "what may be reached has changed while this was looked at: ask again";
            return Err(ReadError::new(ReadErrorKind::Unreachable, text));
        }
        let Ok(state) = state else { unreachable!("the entry owns the sender and is borrowed") };
        answered(core, &state, how);
        // What a look found is good for whoever has waited for it, however long it took.
        if state.failure.is_none()
            && let Some(sample) = state.sample
        {
            return Ok(sample);
        }
        state.answer(Instant::now(), trigger.max_staleness).unwrap_or_else(|| {
            Err(ReadError::new(ReadErrorKind::Internal, "a look ended without an answer: see the server's log"))
        })
    }

    /// Tells all who follow it or wait for it that it is no longer observed.
    pub(super) fn retire(&self) {
        self.state.send_modify(|state| state.retired = true);
    }

    pub(super) fn last_asked(&self) -> Instant {
        self.created + Duration::from_nanos(self.last_asked.load(Ordering::Relaxed))
    }

    pub(super) fn look_is_demanded(&self) -> bool {
        self.demanded.load(Ordering::Relaxed) > self.state.borrow().looks
    }

    pub(super) fn is_active(&self) -> bool {
        self.state.borrow().is_active(Instant::now(), self.trigger.max_staleness)
    }

    /// Whether somebody waits to be told of a rise.
    pub(super) fn is_listened_to(&self) -> bool {
        self.trigger.push != Push::Never && self.streams.load(Ordering::Relaxed) > 0
    }

    /// Whether its last look failed, and with the whole connection.
    pub(super) fn failed_with_connection(&self) -> bool {
        self.state.borrow().failure.as_ref().is_some_and(|failure| failure.error.whole_connection)
    }

    /// Refreshes for as long as somebody wants it. Ends when it has forgotten itself, or with the sampler. A panic is an
    /// answer for whoever waits, and then its supervisor's.
    pub(super) async fn run(&self, core: Weak<Core>) {
        let Err(panic) = AssertUnwindSafe(self.refresh(&core)).catch_unwind().await else { return };
        let Some(core) = core.upgrade() else { return };
        let text = "looking after this trigger met a defect of this server: see its log";
        let now = Instant::now();
        self.failed(ReadError::new(ReadErrorKind::Internal, text), (now, now), Seen::default());
        if !core.forget(self) {
            resume_unwind(panic);
        }
    }

    async fn refresh(&self, core: &Weak<Core>) {
        let Some(mut plan) = core.upgrade().map(|core| Plan::new(self, &core)) else { return };
        loop {
            // While it waits it holds nothing of the sampler, so that dropping that ends the loop.
            let next = plan.next().await;
            let Some(core) = core.upgrade() else { return };
            match next {
                Next::Forget if core.forget(self) => return,
                Next::Forget => continue,
                Next::Look => {
                    plan.last_look = Some(Instant::now());
                    self.look(&core, None).await;
                }
                Next::Wake => {
                    let woken = Instant::now();
                    core.metrics.wakes.inc();
                    if let Some(last) = plan.last_look {
                        sleep_until(last + WAKE_FLOOR).await;
                    }
                    plan.last_look = Some(Instant::now());
                    self.look(&core, Some(woken)).await;
                }
            }
        }
    }

    /// Reads the source, with the login that is good now.
    async fn read(&self, core: &Core) -> Result<Reading, ReadError> {
        self.trigger.prepare().await?;
        if !self.trigger.binding.is_nothing() {
            core.move_to_connection(self)?;
        }
        let now = Instant::now();
        self.record.lock().look = Some((now, self.connection.looks(now)));
        self.trigger.source.read().await
    }

    /// The backend's own signal. One that panics is left alone for a while, ever longer.
    pub(super) async fn wake(&self) {
        loop {
            let rests_until = self.wake_rests.lock().as_ref().map(|(_, until)| *until);
            if let Some(until) = rests_until {
                sleep_until(until).await;
            }
            if task::caught(self.trigger.source.wake()).await.is_some() {
                *self.wake_rests.lock() = None;
                return;
            }
            let source = self.trigger.describe();
            error!(
                source,
                "the wake of a source panicked: the clock does until it is tried again; please report what stands above"
            );
            let mut rests = self.wake_rests.lock();
            let mut backoff =
                rests.take().map_or_else(|| Backoff::new(WAKE_PAUSE, LONGEST_WAKE_PAUSE), |(backoff, _)| backoff);
            let until = Instant::now() + backoff.pause();
            *rests = Some((backoff, until));
        }
    }

    /// One look, with deadline, whatever happens inside; `woken` is when the backend's signal for it came.
    async fn look(&self, core: &Core, woken: Option<Instant>) {
        let started = Instant::now();
        let span = spans::look(self.trigger.scaler_type, if woken.is_some() { "wake" } else { "clock" });
        let deadline = started + core.read_deadline(&self.trigger);
        let outcome = self.outcome(core, woken.is_some(), deadline).instrument(span.clone()).await;
        // Who gives a source less time than others have is alone with what comes of it.
        let own_deadline = self.trigger.source.deadline().is_some_and(|own| own < core.settings.read_timeout);
        let outcome = outcome.map_err(|error| match error.kind {
            ReadErrorKind::Timeout if own_deadline => error.of_source(),
            _ => error,
        });
        let ended = Instant::now();
        let failure = outcome.as_ref().err().map(|error| error.kind);
        let seen = self.seen(&span, &outcome);
        core.metrics.looked(self.trigger.scaler_type, failure, ended - started, seen.exemplar());
        match outcome {
            Ok(reading) => self.succeeded(core, reading, woken, (started, ended), seen),
            Err(error) => self.failed(error, (started, ended), seen),
        }
    }

    async fn outcome(&self, core: &Core, woken: bool, deadline: Instant) -> Result<Reading, ReadError> {
        let source = &self.trigger.source;
        // Made here, where it is awaited: each `async fn` that it were handed through would keep room for it once more.
        let read = async { if woken { at_once(self.read(core)).await } else { self.read(core).await } };
        let reading = match timeout_at(deadline, task::caught(read)).await {
            Ok(Some(outcome)) => outcome?,
            Ok(None) => {
                let text = format!("reading {} met a defect of this server: see its log", self.trigger.describe());
                return Err(ReadError::new(ReadErrorKind::Internal, text));
            }
            Err(_elapsed) => {
                let (what, connection) = (self.trigger.describe(), source.connection());
                let place = connection.label();
                let text =
                    format!("{what} on {place} did not answer in time: check that the broker is up and not overloaded");
                return Err(ReadError::new(ReadErrorKind::Timeout, text));
            }
        };
        if reading.value.is_finite() {
            return Ok(reading);
        }
        let text = format!("{} gave a value that is not a number: see what it measures", self.trigger.describe());
        Err(ReadError::new(ReadErrorKind::BadReply, text))
    }

    fn succeeded(
        &self,
        core: &Core,
        reading: Reading,
        woken: Option<Instant>,
        (started, ended): (Instant, Instant),
        seen: Seen,
    ) {
        let source = &self.trigger.source;
        if let Some(lasted) = self.connection.succeeded(ended) {
            info!(connection = source.connection().label(), ?lasted, "connection works again");
        }
        let failed_since = self.state.borrow().failure.as_ref().filter(|f| !f.error.whole_connection).map(|f| f.since);
        if let Some(since) = failed_since {
            info!(source = self.trigger.describe(), objects = %self.objects_text(), lasted = ?(ended - since), "trigger works again");
        }
        let sample = Sample { reading, at: started, wall: core.clock.wall(started) };
        self.record.lock().ring.read(self.age(ended), reading.value, reading.active);
        self.state.send_modify(|state| {
            (state.last_look_took, state.look) = (ended - started, seen);
            state.looked(sample, woken);
        });
    }

    fn failed(&self, error: ReadError, (started, ended): (Instant, Instant), seen: Seen) {
        let source = &self.trigger.source;
        let connection = source.connection();
        let connection = connection.label();
        let fault = if error.whole_connection { self.connection.failed(started, ended, &error) } else { Fault::Source };
        let error = if fault == Fault::Source { error.of_source() } else { error };
        match fault {
            Fault::Connection => warn!(connection, kind = %error.kind, %error, "connection is failing"),
            Fault::ConnectionStill => debug!(connection, kind = %error.kind, %error, "connection is still failing"),
            Fault::Source if self.state.borrow().failure.as_ref().is_none_or(|last| last.error != error) => {
                let objects = self.objects_text();
                warn!(source = self.trigger.describe(), %objects, kind = %error.kind, %error, "trigger is failing");
            }
            Fault::Source => {}
        }
        self.record.lock().ring.failed(self.age(ended));
        self.state.send_modify(|state| {
            (state.last_look_took, state.look) = (ended - started, seen);
            state.failed(error, ended);
        });
    }

    fn objects_text(&self) -> String {
        self.askers.names().join(", ")
    }
}
