//! The heart: one sample per distinct trigger, refreshed ahead of time, for everybody who asks.
//!
//! Invariants: at most one read in flight per trigger, owned by the server; unknown is an error, never 0; what
//! nobody wants costs nothing. Absent on purpose: anything about the wire or about one kind of broker.

mod askers;
mod entry;
mod gate;
mod pages;
mod plan;
mod refused;
mod state;
mod table;
mod view;

use std::{
    hash::BuildHasher,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use askers::Told;
pub use pages::{Filter, Page};
pub use state::{Failure, State};
pub use table::{Allowance, Full, Room};
pub use view::View;

use self::{
    entry::Entry,
    gate::Gates,
    refused::Refused,
    table::{Slot, Table},
};
use crate::{
    backend::Registry,
    clock::Clock,
    error::{Problem, ReadError, SpecError, quoted},
    limits::{self, Limit},
    metadata::Metadata,
    net::{Policy, Reach},
    reading::{Metric, Sample},
    task::{self, Task},
    telemetry::Metrics,
    trigger::{Push, Trigger, metric_of_refused},
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
    /// How much may be observed.
    pub allowance: Allowance,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_interval: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            wanted_for: Duration::from_secs(40),
            forget_after: Duration::from_secs(600),
            policy: Policy::same_for_all(Reach::open()),
            allowance: Allowance::default(),
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
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] Full),
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
    table: RwLock<Table>,
    refused: Refused,
    /// The last number that a trigger was given.
    numbers: AtomicU64,
    /// What tells refused triggers apart.
    digests: std::hash::RandomState,
    /// Follows the policy.
    _follower: Task,
    /// Set when nothing is observed any more.
    closed: CancellationToken,
}

impl Sampler {
    /// A sampler that knows no trigger yet.
    #[must_use]
    pub fn new(registry: Registry, settings: Settings, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let core = |core: &Weak<Core>| Core {
            registry,
            clock,
            metrics,
            gates: Arc::default(),
            table: RwLock::default(),
            refused: Refused::default(),
            numbers: AtomicU64::new(0),
            digests: std::hash::RandomState::new(),
            _follower: task::spawn(follow(settings.policy.clone(), Weak::clone(core))),
            settings,
            closed: CancellationToken::new(),
        };
        Self(Arc::new_cyclic(core))
    }

    /// The metric of a trigger, whatever else is wrong with it: KEDA shows why there is no value only where there is a
    /// metric. Pure: no I/O, and the trigger is not put under observation. An error only where no object asks.
    pub fn metric(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Metric, SpecError> {
        check(object)?;
        let reach = self.0.settings.policy.reach(object.namespace);
        if let Some(entry) = self.0.table.read().find(metadata, &reach) {
            return Ok(entry.trigger.source.metric().clone());
        }
        match self.0.parse(&reach, metadata) {
            Ok(trigger) => Ok(trigger.source.metric().clone()),
            Err(error) => {
                self.0.refuse(object, &reach, metadata, &error.to_string());
                Ok(metric_of_refused(&self.0.registry, metadata))
            }
        }
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
    pub fn subscribe(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Subscription, AskError> {
        let (entry, _) = self.0.observe(object, metadata)?;
        let told = entry.stream_opened(object);
        self.0.metrics.streams.inc();
        let object = ObjectRef { namespace: object.namespace.to_owned(), name: object.name.to_owned() };
        Ok(Subscription { object, states: entry.state.subscribe(), told, entry, core: Arc::clone(&self.0) })
    }

    /// Resolves when what may be reached changes.
    pub fn policy_changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.0.settings.policy.changes();
        async move {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// How many connections are in use.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.table.read().connections()
    }

    /// Each backend's name and how many requests it has sent to its brokers.
    pub fn broker_requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.registry.requests()
    }

    /// How many connections are failing now.
    #[must_use]
    pub fn failing_connections(&self) -> usize {
        self.0.gates.len()
    }

    /// Forgets every trigger, so that their clients close. Nothing is observed any more.
    pub fn close(&self) {
        self.0.closed.cancel();
        let table = std::mem::take(&mut *self.0.table.write());
        self.0.metrics.triggers.dec_by(i64::try_from(table.len()).unwrap_or(i64::MAX));
    }
}

impl Core {
    fn parse(&self, reach: &Reach, metadata: &Metadata) -> Result<Trigger, SpecError> {
        Trigger::parse(&self.registry, metadata, reach, self.settings.default_interval)
    }

    /// The entry of a trigger, made if it is new, and for how long nobody had asked for it.
    fn observe(
        self: &Arc<Self>,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<(Arc<Entry>, Duration), AskError> {
        check(object)?;
        let now = Instant::now();
        let reach = self.settings.policy.reach(object.namespace);
        let room = {
            let table = self.table.read();
            if let Some(entry) = table.find(metadata, &reach) {
                return Ok((Arc::clone(entry), entry.asked(object, now)));
            }
            // Asked before the metadata is read, which costs much more.
            table.room_for_trigger(object.namespace, &self.settings.allowance)
        };
        let made = room.map_err(AskError::from).and_then(|()| self.make(object, &reach, metadata, now));
        if let Err(error) = &made {
            self.refuse(object, &reach, metadata, &error.to_string());
        }
        Ok((made?, Duration::ZERO))
    }

    /// Puts a trigger under observation, unless somebody else just has.
    fn make(
        self: &Arc<Self>,
        object: ObjectRef<&str>,
        reach: &Reach,
        metadata: &Metadata,
        now: Instant,
    ) -> Result<Arc<Entry>, AskError> {
        let trigger = self.parse(reach, metadata)?;
        let mut table = self.table.write();
        if let Some(entry) = table.find(metadata, reach) {
            entry.asked(object, now);
            return Ok(Arc::clone(entry));
        }
        table.room_for_trigger(object.namespace, &self.settings.allowance)?;
        table.room_for_connection(trigger.source.connection(), object.namespace, &self.settings.allowance)?;
        let entry = Arc::new(Entry::new(self.next_number(), trigger));
        entry.asked(object, now);
        if self.settings.policy.reach(object.namespace) != *reach {
            // Replaced meanwhile: whoever follows the policy may have been here already.
            entry.retire();
        } else if !self.closed.is_cancelled() {
            let (observed, core) = (Arc::clone(&entry), Arc::downgrade(self));
            let refresh = task::spawn(async move { observed.run(core).await });
            table.insert(Slot {
                entry: Arc::clone(&entry),
                reach: reach.clone(),
                namespace: Arc::from(object.namespace),
                _loop: refresh,
            });
            self.metrics.triggers.inc();
        }
        drop(table);
        announce(object, &entry.trigger);
        Ok(entry)
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Remembers a trigger that is not observed, and says so once.
    fn refuse(&self, object: ObjectRef<&str>, reach: &Reach, metadata: &Metadata, text: &str) {
        let digest = self.digests.hash_one((metadata, reach));
        let describe = || {
            let scaler_type = quoted(metadata.get("scalerType").unwrap_or_default());
            (self.next_number(), scaler_type, metric_of_refused(&self.registry, metadata))
        };
        if self.refused.note((digest, self.settings.forget_after), object, text, describe) {
            let (namespace, name) = (object.namespace, object.name);
            warn!(namespace, name, "trigger is refused: {text}");
        }
    }

    /// Lets go of every trigger that observes what the namespace of one of its objects may not reach in this way any more.
    fn retire(&self) {
        let policy = &self.settings.policy;
        let mut table = self.table.write();
        let stale =
            |slot: &&Slot| slot.entry.askers.namespaces().any(|namespace| policy.reach(&namespace) != slot.reach);
        let stale: Vec<Arc<Entry>> = table.slots().filter(stale).map(|slot| Arc::clone(&slot.entry)).collect();
        let gone: Vec<Slot> = stale.iter().filter_map(|entry| table.remove(entry)).collect();
        drop(table);
        self.metrics.triggers.dec_by(i64::try_from(gone.len()).unwrap_or(i64::MAX));
        for entry in stale {
            entry.retire();
        }
    }

    /// Forgets an entry unless somebody has asked for it in the meantime. True when it is gone.
    fn forget(&self, entry: &Entry) -> bool {
        let mut table = self.table.write();
        if entry.is_listened_to() || entry.last_asked() + self.settings.forget_after > Instant::now() {
            return false;
        }
        self.gates.forget(entry.trigger.source.connection());
        let forgotten = table.remove(entry).is_some();
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

/// What Kubernetes gives as names, and nothing that would garble a log.
fn check(object: ObjectRef<&str>) -> Result<(), SpecError> {
    let legal = |text: &str| text.len() <= limits::NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
    if legal(object.namespace) && legal(object.name) {
        return Ok(());
    }
    Limit::Request.crossed();
    let text =
        format!("`namespace` and `name` must be names as Kubernetes has them, of {} bytes at most", limits::NAME);
    Err(SpecError { problems: vec![Problem::new("name", &text)] })
}

/// Holds the triggers against the policy whenever that is replaced.
async fn follow(policy: Policy, core: Weak<Core>) {
    let mut changes = policy.changes();
    while changes.changed().await.is_ok() {
        let Some(core) = core.upgrade() else { return };
        core.retire();
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
