//! One bell per key: rung when the key may have changed, by whoever learns of it.
//!
//! Rings are counted, not queued: a source remembers the count from before its last look and waits for another
//! one. So nothing is lost between look and wait, and a thousand rings are one.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

/// A key is looked at this often, whether its bell rings or not.
pub const DUE_AFTER: Duration = Duration::from_secs(30);

/// The bell of one key.
#[derive(Debug)]
pub struct Bell {
    rings: watch::Sender<u64>,
    looked_at: Mutex<Instant>,
}

impl Bell {
    fn new() -> Self {
        Self { rings: watch::Sender::new(0), looked_at: Mutex::new(Instant::now()) }
    }

    /// Notes that the key is being looked at now. Give the result to [`rung_since`](Self::rung_since).
    pub fn look(&self) -> u64 {
        *self.looked_at.lock() = Instant::now();
        *self.rings.borrow()
    }

    /// Whether it has not rung since `look`.
    pub fn is_silent_since(&self, look: u64) -> bool {
        *self.rings.borrow() == look
    }

    /// Waits until it has rung after `look`.
    pub async fn rung_since(&self, look: u64) {
        let mut rings = self.rings.subscribe();
        if rings.wait_for(|count| *count != look).await.is_err() {
            // Cannot be: the sender is in `self`. But a wake without a reason would be worse than none.
            std::future::pending().await
        }
    }

    fn ring(&self) {
        self.rings.send_modify(|count| *count += 1);
    }
}

/// The bells of one client's keys; each lives as long as a source holds it.
#[derive(Debug, Default)]
pub struct Bells(Mutex<HashMap<Arc<str>, Weak<Bell>>>);

impl Bells {
    /// The bell of `key`, shared by all sources of that key.
    pub fn of(&self, key: &Arc<str>) -> Arc<Bell> {
        let mut bells = self.0.lock();
        if let Some(bell) = bells.get(key).and_then(Weak::upgrade) {
            return bell;
        }
        let bell = Arc::new(Bell::new());
        bells.insert(Arc::clone(key), Arc::downgrade(&bell));
        bell
    }

    /// Whether some source looks at `key`.
    pub fn has(&self, key: &str) -> bool {
        self.0.lock().get(key).is_some_and(|bell| bell.strong_count() > 0)
    }

    /// `key` may have changed. Keys that nobody looks at are no news.
    pub fn ring(&self, key: &str) {
        if let Some(bell) = self.0.lock().get(key).and_then(Weak::upgrade) {
            bell.ring();
        }
    }

    /// Any key may have changed.
    pub fn ring_all(&self) {
        for bell in self.0.lock().values().filter_map(Weak::upgrade) {
            bell.ring();
        }
    }

    /// Rings for every key that is due for a look.
    pub fn sweep(&self) {
        let now = Instant::now();
        for bell in self.0.lock().values().filter_map(Weak::upgrade) {
            let looked_at = *bell.looked_at.lock();
            if now.saturating_duration_since(looked_at) >= DUE_AFTER {
                bell.ring();
            }
        }
    }

    /// Forgets the keys that no source is left for.
    pub fn tidy(&self) {
        self.0.lock().retain(|_, bell| bell.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn key(name: &str) -> Arc<str> {
        name.into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_between_look_and_wait_is_not_lost_and_many_are_one() {
        let bells = Bells::default();
        let bell = bells.of(&key("a"));
        let look = bell.look();
        assert_eq!(bell.rung_since(look).now_or_never(), None);
        bells.ring("a");
        bells.ring("a");
        bell.rung_since(look).await;
        let look = bell.look();
        assert_eq!(bell.rung_since(look).now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_hears_its_own_key_only() {
        let bells = Bells::default();
        let (a, b) = (bells.of(&key("a")), bells.of(&key("b")));
        bells.ring("a");
        bells.ring("c");
        assert_eq!(a.rung_since(0).now_or_never(), Some(()));
        assert_eq!(b.rung_since(0).now_or_never(), None);
        bells.ring_all();
        assert_eq!(b.rung_since(0).now_or_never(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweep_rings_for_what_was_not_looked_at() {
        let bells = Bells::default();
        let (old, young) = (bells.of(&key("old")), bells.of(&key("young")));
        tokio::time::advance(DUE_AFTER).await;
        let look = young.look();
        bells.sweep();
        assert_eq!(old.rung_since(0).now_or_never(), Some(()));
        assert_eq!(young.rung_since(look).now_or_never(), None);
        assert!(young.is_silent_since(look) && !old.is_silent_since(0));
    }

    #[tokio::test]
    async fn keys_without_a_source_are_forgotten() {
        let bells = Bells::default();
        let held = bells.of(&key("held"));
        drop(bells.of(&key("gone")));
        assert!(!bells.has("gone") && bells.has("held"));
        bells.tidy();
        assert_eq!(bells.0.lock().len(), 1);
        drop(held);
    }
}
