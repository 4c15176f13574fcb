//! How a trigger comes under observation and leaves it again: made when first asked about, let go when nobody asks or
//! when it reaches what it may not reach any more.

use std::{
    hash::BuildHasher,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{AskError, Core, askers::Ask, entry::Entry, table::Slot};
use crate::{
    credentials::{Binding, Unbound},
    error::{Problem, ReadError, ReadErrorKind, SpecError, clean, quoted},
    limits::{self, Limit},
    metadata::Metadata,
    net::{Policy, Reach},
    object::ObjectRef,
    task,
    trigger::{Trigger, metric_of_refused},
};

impl Core {
    pub(super) fn parse(&self, reach: &Reach, metadata: &Metadata, binding: &Binding) -> Result<Trigger, SpecError> {
        Trigger::with(&self.registry, metadata, reach, self.settings.default_interval, binding.clone())
    }

    /// What gives a trigger its login; one that has none is remembered as refused.
    pub(super) fn bound(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
        binding: Result<Binding, Unbound>,
    ) -> Result<Binding, AskError> {
        let binding = binding.map(|binding| binding.asked_within(self.settings.default_interval));
        binding.map_err(|unbound| {
            let reach = self.settings.policy.reach(object.namespace);
            self.refuse(object, &reach, metadata, &unbound.to_string());
            match unbound {
                Unbound::Spec(error) => AskError::Spec(error),
                Unbound::Unknown(error) => AskError::Read(error),
            }
        })
    }

    /// The entry of a trigger, made if it is new, and for how long nobody had asked for it.
    pub(super) fn observe(
        self: &Arc<Self>,
        ask: Ask<'_>,
        metadata: &Metadata,
        binding: &Binding,
    ) -> Result<(Arc<Entry>, Duration), AskError> {
        let object = ask.object;
        check(object)?;
        let now = Instant::now();
        let reach = self.settings.policy.reach(object.namespace);
        let room = {
            let table = self.table.read();
            if let Some(entry) = table.find(metadata, &reach, binding) {
                return Ok((Arc::clone(entry), entry.asked(ask, now)));
            }
            // Asked before the metadata is read, which costs much more.
            table.room_for_trigger(object.namespace, &self.settings.allowance)
        };
        let made = room.map_err(AskError::from).and_then(|()| self.make(ask, &reach, metadata, binding, now));
        if let Err(error) = &made {
            self.refuse(object, &reach, metadata, &error.to_string());
        }
        Ok((made?, Duration::ZERO))
    }

    /// Puts a trigger under observation, unless somebody else just has.
    fn make(
        self: &Arc<Self>,
        ask: Ask<'_>,
        reach: &Reach,
        metadata: &Metadata,
        binding: &Binding,
        now: Instant,
    ) -> Result<Arc<Entry>, AskError> {
        let (trigger, object) = (self.parse(reach, metadata, binding)?, ask.object);
        let connection = trigger.source.connection();
        let mut table = self.table.write();
        if let Some(entry) = table.find(metadata, reach, binding) {
            entry.asked(ask, now);
            return Ok(Arc::clone(entry));
        }
        table.room_for_trigger(object.namespace, &self.settings.allowance)?;
        table.room_for_connection(&connection, object.namespace, &self.settings.allowance)?;
        let entry = Arc::new(Entry::new(self.next_number(), trigger, &self.gates));
        entry.asked(ask, now);
        if self.settings.policy.reach(object.namespace) != *reach {
            // Replaced meanwhile: whoever follows the policy may have been here already.
            entry.retire();
        } else if !self.closed.is_cancelled() {
            let (observed, core) = (Arc::clone(&entry), Arc::downgrade(self));
            let refresh = task::supervise("trigger", move || {
                let (observed, core) = (Arc::clone(&observed), core.clone());
                async move { observed.run(core).await }
            });
            table.insert(Slot {
                entry: Arc::clone(&entry),
                reach: reach.clone(),
                connection,
                namespace: Arc::from(object.namespace),
                _loop: refresh,
            });
            self.metrics.triggers.inc();
        }
        drop(table);
        announce(object, &entry.trigger);
        Ok(entry)
    }

    /// What an entry reads now is counted under its connection, and backs off with it.
    pub(super) fn move_to_connection(&self, entry: &Entry) -> Result<(), ReadError> {
        let connection = entry.trigger.source.connection();
        if !entry.connection.is_of(&connection) {
            let moved = self.table.write().move_to(entry, &connection, &self.settings.allowance);
            moved.map_err(|full| ReadError::new(ReadErrorKind::Throttled, full.to_string()).of_source())?;
            entry.connection.move_to(&connection);
        }
        Ok(())
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Remembers a trigger that is not observed, and says so once.
    pub(super) fn refuse(&self, object: ObjectRef<&str>, reach: &Reach, metadata: &Metadata, text: &str) {
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
    pub(super) fn forget(&self, entry: &Entry) -> bool {
        let mut table = self.table.write();
        if entry.is_listened_to() || entry.last_asked() + self.settings.forget_after > Instant::now() {
            return false;
        }
        let forgotten = table.remove(entry).is_some();
        if forgotten {
            self.metrics.triggers.dec();
        }
        forgotten
    }

    /// A read may take no longer than its answer could be used, but a second at least: the first one connects.
    pub(super) fn read_deadline(&self, trigger: &Trigger) -> Duration {
        let wanted = trigger.source.deadline().unwrap_or(self.settings.read_timeout);
        wanted.min(trigger.max_staleness.max(Duration::from_secs(1)))
    }

    pub(super) fn wanted_for(&self, trigger: &Trigger) -> Duration {
        self.settings.wanted_for.max(trigger.interval * 3)
    }
}

/// What Kubernetes gives as names, and nothing that would garble a log.
pub(super) fn check(object: ObjectRef<&str>) -> Result<(), SpecError> {
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
pub(super) async fn follow(policy: Policy, core: Weak<Core>) {
    let mut changes = policy.changes();
    while changes.changed().await.is_ok() {
        // Ended with the sampler, not from here: it may just be on its way into being.
        if let Some(core) = core.upgrade() {
            core.retire();
        }
    }
}

fn announce(object: ObjectRef<&str>, trigger: &Trigger) {
    let (namespace, name, source) = (object.namespace, object.name, trigger.describe());
    info!(namespace, name, scaler_type = trigger.scaler_type, source, interval = ?trigger.interval, "new trigger");
    let warnings = trigger.warnings();
    if !warnings.is_empty() {
        let warnings = warnings.join("; ");
        warn!(namespace, name, "{}", clean(&warnings));
    }
}
