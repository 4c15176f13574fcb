//! Which queues are there and which are not, as far as the broker has said.
//!
//! A queue that was refused is asked about again ever less often, since each question costs the broker a channel and
//! two lines in its log.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;

use crate::error::ReadError;

/// Until the second question about a queue that was refused.
const SHORTEST: Duration = Duration::from_secs(5);
/// Between later ones.
const LONGEST: Duration = Duration::from_secs(30);
/// What nobody has asked about for so long is forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// The queues of one connection.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    by_name: HashMap<Arc<str>, Entry>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    asked: Instant,
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Refused {
    error: ReadError,
    delay: Duration,
    due: Instant,
}

/// What is known of a queue.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// It was there when it was last asked about.
    There,
    /// Nothing.
    Nothing,
    /// It was refused lately: this is still the answer.
    Refused(ReadError),
    /// It was refused, and may be asked about again.
    Due,
}

impl Census {
    /// What is known of `queue`, which somebody asks about now.
    pub fn look_up(&self, queue: &Arc<str>) -> Known {
        let now = Instant::now();
        let mut queues = self.0.lock();
        queues.sweep(now);
        let Some(entry) = queues.by_name.get_mut(queue) else { return Known::Nothing };
        entry.asked = now;
        match &entry.refused {
            None => Known::There,
            Some(refused) if now < refused.due => Known::Refused(refused.error.clone()),
            Some(_) => Known::Due,
        }
    }

    pub fn is_there(&self, queue: &Arc<str>) {
        let entry = Entry { asked: Instant::now(), refused: None };
        self.0.lock().by_name.insert(Arc::clone(queue), entry);
    }

    pub fn refuse(&self, queue: &Arc<str>, error: ReadError) {
        let now = Instant::now();
        let mut queues = self.0.lock();
        let before = queues.by_name.get(queue).and_then(|entry| entry.refused.as_ref());
        let delay = before.map_or(SHORTEST, |refused| (refused.delay * 2).min(LONGEST));
        // Spread, so that many that went missing together do not come back together.
        let due = now + delay.mul_f64(rand::rng().random_range(0.9..1.1));
        let entry = Entry { asked: now, refused: Some(Refused { error, delay, due }) };
        queues.by_name.insert(Arc::clone(queue), entry);
    }
}

impl Queues {
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now > swept + FORGET) {
            self.by_name.retain(|_, entry| now < entry.asked + FORGET);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ReadErrorKind;

    #[tokio::test(start_paused = true)]
    async fn a_missing_queue_is_asked_about_after_5_10_20_and_then_every_30_seconds() {
        let census = Census::default();
        let queue: Arc<str> = "gone".into();
        let error = ReadError::new(ReadErrorKind::NotFound, "no");
        assert_eq!(census.look_up(&queue), Known::Nothing);
        for seconds in [5.0, 10.0, 20.0, 30.0, 30.0] {
            census.refuse(&queue, error.clone());
            tokio::time::advance(Duration::from_secs_f64(seconds * 0.85)).await;
            assert_eq!(census.look_up(&queue), Known::Refused(error.clone()), "{seconds}");
            tokio::time::advance(Duration::from_secs_f64(seconds * 0.3)).await;
            assert_eq!(census.look_up(&queue), Known::Due, "{seconds}");
        }
        census.is_there(&queue);
        assert_eq!(census.look_up(&queue), Known::There);
    }

    #[tokio::test(start_paused = true)]
    async fn queues_that_nobody_asks_about_any_more_are_forgotten() {
        let census = Census::default();
        let (asked, forgotten): (Arc<str>, Arc<str>) = ("asked".into(), "forgotten".into());
        census.is_there(&asked);
        census.is_there(&forgotten);
        for _ in 0..10 {
            tokio::time::advance(FORGET / 4).await;
            assert_eq!(census.look_up(&asked), Known::There);
        }
        assert_eq!(census.0.lock().by_name.len(), 1);
    }
}
