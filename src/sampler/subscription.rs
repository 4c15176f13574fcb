//! A look over a trigger's shoulder: what an activation stream follows.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Core, State, Told, entry::Entry};
use crate::{object::ObjectRef, telemetry::spans::Kept, trigger::Push};

/// A look over a trigger's shoulder. Dropping it lets the trigger go.
#[derive(Debug)]
pub struct Subscription {
    object: ObjectRef,
    entry: Arc<Entry>,
    states: watch::Receiver<State>,
    told: Option<Told>,
    opened: Instant,
    span: Kept,
    core: Arc<Core>,
}

impl Subscription {
    pub(super) fn new(object: ObjectRef<&str>, entry: Arc<Entry>, core: Arc<Core>) -> Self {
        let told = entry.stream_opened(object);
        core.metrics.streams.inc();
        let object = ObjectRef { namespace: object.namespace.to_owned(), name: object.name.to_owned() };
        let (states, opened, span) = (entry.state.subscribe(), Instant::now(), Kept::here());
        Self { object, states, told, opened, span, entry, core }
    }

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

    /// `true` is said at `now`; how long that took is noted at the `first` time for a rise that was not here before us.
    pub fn pushed(&self, now: Instant, first: bool) {
        self.core.metrics.pushes.inc();
        self.entry.pushed();
        if !first {
            return;
        }
        let state = self.entry.state.borrow();
        state.look.link_to(&self.span.span());
        if let Some(woken) = state.woken.filter(|woken| *woken >= self.opened) {
            self.core.metrics.woken(self.entry.trigger.scaler_type, now - woken, state.look.exemplar());
        }
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
