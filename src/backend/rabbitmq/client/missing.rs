//! Queues that the broker has refused to tell of: asked about again ever less often, since each question costs it a
//! channel and two lines in its log.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;

use crate::error::ReadError;

/// Until the second question.
const SHORTEST: Duration = Duration::from_secs(5);
/// Between later ones.
const LONGEST: Duration = Duration::from_secs(30);
/// What nobody has asked about for so long is forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// The queues of one connection that are not there, or not for us.
#[derive(Debug, Default)]
pub(super) struct Missing(Mutex<HashMap<Arc<str>, Entry>>);

#[derive(Debug)]
struct Entry {
    error: ReadError,
    delay: Duration,
    due: Instant,
}

/// What is known of a queue.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// Nothing bad.
    Nothing,
    /// It was refused lately: this is still the answer.
    Refused(ReadError),
    /// It was refused, and may be asked about again.
    Due,
}

impl Missing {
    pub fn look_up(&self, queue: &Arc<str>) -> Known {
        match self.0.lock().get(queue) {
            None => Known::Nothing,
            Some(entry) if Instant::now() < entry.due => Known::Refused(entry.error.clone()),
            Some(_) => Known::Due,
        }
    }

    pub fn refuse(&self, queue: &Arc<str>, error: ReadError) {
        let now = Instant::now();
        let mut missing = self.0.lock();
        missing.retain(|_, entry| now < entry.due + FORGET);
        let delay = missing.get(queue).map_or(SHORTEST, |entry| (entry.delay * 2).min(LONGEST));
        // Spread, so that many that went missing together do not come back together.
        let due = now + delay.mul_f64(rand::rng().random_range(0.9..1.1));
        missing.insert(Arc::clone(queue), Entry { error, delay, due });
    }

    pub fn is_there(&self, queue: &Arc<str>) {
        self.0.lock().remove(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ReadErrorKind;

    #[tokio::test(start_paused = true)]
    async fn a_missing_queue_is_asked_about_after_5_10_20_and_then_every_30_seconds() {
        let missing = Missing::default();
        let queue: Arc<str> = "gone".into();
        let error = ReadError::new(ReadErrorKind::NotFound, "no");
        assert_eq!(missing.look_up(&queue), Known::Nothing);
        for seconds in [5.0, 10.0, 20.0, 30.0, 30.0] {
            missing.refuse(&queue, error.clone());
            tokio::time::advance(Duration::from_secs_f64(seconds * 0.85)).await;
            assert_eq!(missing.look_up(&queue), Known::Refused(error.clone()), "{seconds}");
            tokio::time::advance(Duration::from_secs_f64(seconds * 0.3)).await;
            assert_eq!(missing.look_up(&queue), Known::Due, "{seconds}");
        }
        missing.is_there(&queue);
        assert_eq!(missing.look_up(&queue), Known::Nothing);
    }
}
