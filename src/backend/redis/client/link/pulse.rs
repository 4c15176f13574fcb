//! When a connection last showed that it lives.
//!
//! What was armed on it and has not rung was unchanged then: the server sends its news before it answers what comes after.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::keeper::BEAT;

/// How old the last sign of life may be: one beat, and the time it takes.
const FRESH: Duration = Duration::from_millis(500).saturating_add(BEAT);

/// The life of one connection; none any more when it has ended.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Of a connection that lived at `at`.
    pub(super) fn new(at: Instant) -> Self {
        Self(Arc::new(Mutex::new(Some(at))))
    }

    /// It lived when it was asked at `at`.
    pub(super) fn beat(&self, at: Instant) {
        *self.0.lock() = Some(at);
    }

    /// It has ended, or is about to.
    pub(super) fn stop(&self) {
        *self.0.lock() = None;
    }

    /// Whether it lived just now.
    pub fn beats(&self, now: Instant) -> bool {
        self.0.lock().is_some_and(|last| now.saturating_duration_since(last) <= FRESH)
    }
}
