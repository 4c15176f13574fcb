//! The heart: one sample per distinct trigger, refreshed ahead of time, for everybody who asks.
//!
//! Invariants: at most one read in flight per trigger, owned by the server; unknown is an error, never 0; what
//! nobody wants costs nothing. Absent on purpose: anything about the wire or about one kind of broker.

mod askers;
mod entry;
mod gate;
mod plan;
mod state;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::RwLock;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use askers::Told;
pub use state::{Failure, State};
pub use view::View;

use self::{entry::Entry, gate::Gates};
use crate::{
    backend::Registry,
    clock::Clock,
    error::{ReadError, SpecError},
    limits::{self, Limit},
    metadata::Metadata,
    net::{Policy, Reach, ReplyBytes},
    reading::{Metric, Sample},
    task::{self, Task},
    telemetry::{Metrics, Observed},
    trigger::{Push, Trigger},
};

/// How the sampler behaves where a trigger does not say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a sample lives: a third of the HPA's own period, since our reads are shared.
    pub default_interval: Duration,
    /// How long one read may take.
    pub read_timeout: Duration,
    /// For how long after a question a trigger is refreshed ahead of time (three intervals if those are longer):
    /// KEDA's default poll comes every 30 s.
    pub wanted_for: Duration,
    /// When a trigger that nobody asks about is forgotten, with all it remembers and its hold on the client.
    pub forget_after: Duration,
    /// Who may reach what.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_interval: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            wanted_for: Duration::from_secs(40),
            forget_after: Duration::from_secs(600),
            policy: Policy::same_for_all(Reach::open()),
        }
    }
}

/// The name of a ScaledObject or ScaledJob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef<S = String> {
    /// Its namespace.
    pub namespace: S,
    /// Its name.
    pub name: S,
}

impl ObjectRef {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ObjectRef<&str> {
        ObjectRef { namespace: &self.namespace, name: &self.name }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The metadata cannot be followed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Every trigger under observation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sampler(Arc<Core>);

#[derive(Debug)]
struct Core {
    registry: Registry,
    settings: Settings,
    clock: Clock,
    metrics: Arc<Metrics>,
    gates: Arc<Gates>,
    slots: RwLock<HashMap<Arc<Metadata>, Slot>>,
    /// Set when nothing is observed any more.
    closed: CancellationToken,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    _loop: Task,
}

impl Sampler {
    /// A sampler that knows no trigger yet.
    #[must_use]
    pub fn new(registry: Registry, settings: Settings, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let gates = Arc::default();
        let core = Core {
            registry,
            settings,
            clock,
            metrics,
            gates,
            slots: RwLock::default(),
            closed: CancellationToken::new(),
        };
        Self(Arc::new(core))
    }

    /// The metric of a trigger. Pure: no I/O, and the trigger is not put under observation.
    pub fn metric(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Metric, SpecError> {
        if let Some(slot) = self.0.slots.read().get(metadata) {
            return Ok(slot.entry.trigger.source.metric().clone());
        }
        let trigger = self.0.parse(object, metadata)?;
        Ok(trigger.source.metric().clone())
    }

    /// The metric and present sample of a trigger: from memory, or from the look that is due.
    pub async fn sample(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<(Arc<Trigger>, Sample), AskError> {
        let (entry, unasked_for) = self.0.observe(object, metadata)?;
        let sample = entry.sample(&self.0, unasked_for).await?;
        Ok((Arc::clone(&entry.trigger), sample))
    }

    /// Whether a trigger is active, for a poll of KEDA's scale loop: what a poll has heard need not be pushed again.
    pub async fn poll(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<bool, AskError> {
        let (entry, unasked_for) = self.0.observe(object, metadata)?;
        let sample = entry.sample(&self.0, unasked_for).await;
        // A poll that hears an error shows the pace all the same.
        entry.polled(object);
        Ok(sample?.reading.active)
    }

    /// Follows a trigger's state; while the subscription lives, the trigger is wanted and its wake is armed.
    pub fn subscribe(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Subscription, SpecError> {
        let (entry, _) = self.0.observe(object, metadata)?;
        let told = entry.stream_opened(object);
        self.0.metrics.streams.inc();
        let object = ObjectRef { namespace: object.namespace.to_owned(), name: object.name.to_owned() };
        Ok(Subscription { object, states: entry.state.subscribe(), told, entry, core: Arc::clone(&self.0) })
    }

    /// Every trigger under observation, for the pages.
    #[must_use]
    pub fn triggers(&self) -> Vec<View> {
        self.0.slots.read().values().map(|slot| View::of(&slot.entry)).collect()
    }

    /// What is counted here and below, for the series.
    pub fn observed(&self) -> Observed {
        Observed {
            broker_requests: self.0.registry.requests().collect(),
            connections: self.0.gates.len(),
            failing_connections: self.0.gates.failing(),
            limits: vec![(Limit::RepliesInFlight, ReplyBytes::held(), limits::REPLIES_IN_FLIGHT)],
        }
    }

    /// How many connections are failing now.
    #[must_use]
    pub fn failing_connections(&self) -> usize {
        self.0.gates.failing()
    }

    /// Forgets every trigger, so that their clients close. Nothing is observed any more.
    pub fn close(&self) {
        self.0.closed.cancel();
        let slots = std::mem::take(&mut *self.0.slots.write());
        self.0.metrics.triggers.dec_by(i64::try_from(slots.len()).unwrap_or(i64::MAX));
    }
}

impl Core {
    fn parse(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Trigger, SpecError> {
        let reach = self.settings.policy.reach(object.namespace);
        Trigger::parse(&self.registry, metadata, &reach, self.settings.default_interval)
    }

    /// The entry of a trigger, made if it is new, and for how long nobody had asked for it.
    fn observe(
        self: &Arc<Self>,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<(Arc<Entry>, Duration), SpecError> {
        let now = Instant::now();
        if let Some(slot) = self.slots.read().get(metadata) {
            return Ok((Arc::clone(&slot.entry), slot.entry.asked(object, now)));
        }
        let trigger = self.parse(object, metadata)?;
        let mut slots = self.slots.write();
        if let Some(slot) = slots.get(metadata) {
            return Ok((Arc::clone(&slot.entry), slot.entry.asked(object, now)));
        }
        announce(object, &trigger);
        let entry = Arc::new(Entry::new(trigger, &self.gates));
        entry.asked(object, now);
        if !self.closed.is_cancelled() {
            let (observed, core) = (Arc::clone(&entry), Arc::downgrade(self));
            let refresh = task::supervise("trigger", move || {
                let (observed, core) = (Arc::clone(&observed), core.clone());
                async move { observed.run(core).await }
            });
            slots.insert(Arc::clone(&entry.trigger.metadata), Slot { entry: Arc::clone(&entry), _loop: refresh });
            self.metrics.triggers.inc();
        }
        Ok((entry, Duration::ZERO))
    }

    /// Forgets an entry unless somebody has asked for it in the meantime. True when it is gone.
    fn forget(&self, entry: &Entry) -> bool {
        let mut slots = self.slots.write();
        if entry.is_listened_to() || entry.last_asked() + self.settings.forget_after > Instant::now() {
            return false;
        }
        let forgotten = slots.remove(&entry.trigger.metadata).is_some();
        if forgotten {
            self.metrics.triggers.dec();
        }
        forgotten
    }

    /// A read may take no longer than its answer could be used, but a second at least: the first one connects.
    fn read_deadline(&self, trigger: &Trigger) -> Duration {
        let wanted = trigger.source.deadline().unwrap_or(self.settings.read_timeout);
        wanted.min(trigger.max_staleness.max(Duration::from_secs(1)))
    }

    fn wanted_for(&self, trigger: &Trigger) -> Duration {
        self.settings.wanted_for.max(trigger.interval * 3)
    }
}

fn announce(object: ObjectRef<&str>, trigger: &Trigger) {
    let (namespace, name, source) = (object.namespace, object.name, trigger.source.describe());
    info!(namespace, name, scaler_type = trigger.scaler_type, source, interval = ?trigger.interval, "new trigger");
    for warning in &trigger.warnings {
        warn!(namespace, name, "{warning}");
    }
}

/// A look over a trigger's shoulder. Dropping it lets the trigger go.
#[derive(Debug)]
pub struct Subscription {
    object: ObjectRef,
    entry: Arc<Entry>,
    states: watch::Receiver<State>,
    told: Option<Told>,
    core: Arc<Core>,
}

impl Subscription {
    /// The state now; the next [`changed`](Self::changed) waits for one after it.
    pub fn state(&mut self) -> watch::Ref<'_, State> {
        self.states.borrow_and_update()
    }

    /// Waits for a newer state. False when there will be none.
    pub async fn changed(&mut self) -> bool {
        self.states.changed().await.is_ok()
    }

    /// The trigger's own limit on how old a sample may be.
    #[must_use]
    pub fn max_staleness(&self) -> Duration {
        self.entry.trigger.max_staleness
    }

    /// What the trigger wants to be told.
    #[must_use]
    pub fn push(&self) -> Push {
        self.entry.trigger.push
    }

    /// What the object's last stream had told it, if that ended by age just now.
    #[must_use]
    pub fn told(&self) -> Option<Told> {
        self.told
    }

    /// Until when the object needs no push about `rise`, since its own polls have heard of it and keep coming.
    #[must_use]
    pub fn hears(&self, rise: u64, now: Instant) -> Option<Instant> {
        self.entry.askers.hears(self.object.borrowed(), rise, now)
    }

    /// The stream ends by its age: keeps what it has told for the one that follows.
    pub fn aged(&self, told: Told) {
        self.entry.askers.stream_aged(self.object.borrowed(), Instant::now(), told);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.entry.streams.fetch_sub(1, Ordering::Relaxed);
        self.entry.askers.stream_closed(self.object.borrowed());
        self.core.metrics.streams.dec();
    }
}
