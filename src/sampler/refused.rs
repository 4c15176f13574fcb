//! Triggers that are not observed, since their metadata cannot be followed or there is no room: to be logged once and
//! shown. What KEDA is answered does not come from here.

use std::collections::HashMap;

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

use super::askers::{Ask, Askers};
use crate::{error::clean, limits, object::ObjectRef, reading::Metric};

/// The refused triggers of late, by a digest of what identifies them.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<HashMap<u64, Row>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) scaler_type: String,
    /// What KEDA is told of it.
    pub(super) metric: Metric,
    pub(super) text: String,
    pub(super) askers: Askers,
    pub(super) since: Instant,
    pub(super) count: u64,
    last_asked: Instant,
}

impl Row {
    /// When somebody last asked for it.
    pub(super) fn last_asked(&self) -> Instant {
        self.last_asked
    }
}

impl Refused {
    /// Notes that `object` is refused now, with `text`. True when that is news: it was not refused before, or for
    /// another reason. What is beyond the bound is not remembered, and no news either.
    pub(super) fn note(
        &self,
        (digest, forget_after): (u64, Duration),
        object: ObjectRef<&str>,
        text: &str,
        describe: impl FnOnce() -> (u64, String, Metric),
    ) -> bool {
        let now = Instant::now();
        let mut rows = self.0.lock();
        let remembered = rows.get_mut(&digest).filter(|row| row.last_asked + forget_after > now);
        if let Some(row) = remembered {
            row.last_asked = now;
            row.count += 1;
            row.askers.asked(Ask::of(object), now);
            let news = row.text != text;
            if news {
                text.clone_into(&mut row.text);
            }
            return news;
        }
        if rows.len() >= limits::REFUSED_TRIGGERS {
            rows.retain(|_, row| row.last_asked + forget_after > now);
        }
        if rows.len() >= limits::REFUSED_TRIGGERS && !rows.contains_key(&digest) {
            return false;
        }
        let (number, scaler_type, metric) = describe();
        let askers = Askers::default();
        askers.asked(Ask::of(object), now);
        let (text, metric) = (text.to_owned(), Metric { name: clean(&metric.name).into_owned(), ..metric });
        rows.insert(digest, Row { number, scaler_type, metric, text, askers, since: now, count: 1, last_asked: now });
        true
    }

    /// `object` is no more: what was refused to it alone is forgotten.
    pub(super) fn let_go(&self, object: ObjectRef<&str>) {
        self.0.lock().retain(|_, row| !row.askers.let_go(object));
    }

    /// Does `show` for each that was asked about within `forget_after`, and forgets the others.
    pub(super) fn show<T>(&self, forget_after: Duration, show: impl FnMut(&Row) -> Option<T>) -> Vec<T> {
        let now = Instant::now();
        let mut rows = self.0.lock();
        rows.retain(|_, row| row.last_asked + forget_after > now);
        rows.values().filter_map(show).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_news_once_and_again_when_its_reason_changes() {
        let (refused, forget_after) = (Refused::default(), Duration::from_secs(600));
        let object = ObjectRef { namespace: "shop", name: "orders" };
        let note = |digest, text: &str| {
            let metric = Metric { name: "m".repeat(5000), target: 1.0 };
            refused.note((digest, forget_after), object, text, || (digest, "kafka".to_owned(), metric))
        };
        let news = [note(1, "a"), note(1, "a"), note(1, "b"), note(1, "b"), note(2, "a"), note(1, "b")];
        assert_eq!(news, [true, false, true, false, true, false]);
        // A namespace that makes up new ones cannot fill the memory or the log.
        let more = (10..10_000).filter(|digest| note(*digest, "a")).count();
        assert_eq!(more, limits::REFUSED_TRIGGERS - 2);
        let rows = refused.show(forget_after, |row| Some(row.metric.name.len()));
        assert!(rows.len() == limits::REFUSED_TRIGGERS && rows.iter().all(|bytes| *bytes <= limits::TEXT));
        tokio::time::advance(forget_after * 2).await;
        assert!(note(1, "b"), "forgotten, so it is news again");
        assert_eq!(refused.show(forget_after, |_| Some(())).len(), 1);
    }
}
