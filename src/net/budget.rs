//! The bytes of replies that all clients hold at a time, so that no number of brokers can fill the memory.
//!
//! Whoever takes a reply off the wire takes its bytes here first and gives them back when the reply has been counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    error::{ReadError, ReadErrorKind},
    limits::{self, Limit},
};

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes of a reply; dropping it gives them back.
#[derive(Debug, Default)]
pub struct ReplyBytes(usize);

impl ReplyBytes {
    /// Takes `bytes`. Fails at once when all replies together would hold more than [`limits::REPLIES_IN_FLIGHT`]: the
    /// trigger keeps its last sample, and by the next interval others have given theirs back.
    pub fn take(bytes: usize) -> Result<Self, ReadError> {
        let mut taken = Self::default();
        taken.grow(bytes)?;
        Ok(taken)
    }

    /// Takes `bytes` more, for a reply whose size is not known beforehand.
    pub fn grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= limits::REPLIES_IN_FLIGHT);
        if HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            Limit::RepliesInFlight.crossed();
            let text = format!(
                "replies of brokers hold {} MiB at the moment, no more are taken: spread large reads, or run more replicas",
                limits::REPLIES_IN_FLIGHT >> 20
            );
            return Err(ReadError::new(ReadErrorKind::Throttled, text).of_source());
        }
        self.0 += bytes;
        Ok(())
    }

    /// Gives `bytes` of these to a holder of their own, at most what there is.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let part = bytes.min(self.0);
        self.0 -= part;
        Self(part)
    }

    /// How many bytes all clients hold now.
    #[must_use]
    pub fn held() -> usize {
        HELD.load(Ordering::Relaxed)
    }
}

impl Drop for ReplyBytes {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_together_is_refused_and_what_is_dropped_is_free_again() {
        let most = limits::REPLIES_IN_FLIGHT;
        assert!(ReplyBytes::take(most + 1).is_err());
        let mut half = ReplyBytes::take(most / 2).expect("half is free");
        assert!(ReplyBytes::take(most).is_err());
        assert!(half.grow(usize::MAX).is_err());
        drop(half);
        // Tests of one process share the budget, so others may hold some of it.
        assert!(ReplyBytes::take(most / 2).is_ok());
    }
}
