//! What one broker is listened to for: partitions, who waits for each, and from which offset.
//!
//! Pure bookkeeping. Who the waiters are is `wake.rs`, how the broker is listened to is `post.rs`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::session::{Place, Places};

/// One partition wakes no more often than this from one and the same end.
const REPEAT: Duration = Duration::from_millis(500);

/// The partitions of one post.
#[derive(Default)]
pub(super) struct Watchlist {
    armed: HashMap<Arc<str>, HashMap<i32, Armed>>,
    /// The ends from which somebody was woken lately. Who comes back with the same end has looked and found nothing:
    /// there are brokers whose Fetch knows more than their ListOffsets, and that must not turn in circles.
    woken_from: HashMap<(Arc<str>, i32), (i64, Instant)>,
    /// Grows with each change.
    version: u64,
}

struct Armed {
    /// The end that each waiter has seen.
    waiters: HashMap<u64, i64>,
    epoch: i32,
    /// Not to be fetched before: the broker would answer with an error at once, again and again.
    resting: Option<Instant>,
}

impl Armed {
    fn from(&self) -> i64 {
        self.waiters.values().copied().min().unwrap_or(i64::MAX)
    }
}

impl Watchlist {
    /// `waiter` has seen `end` in a partition that is led in `epoch`. Whether that changes what is to be fetched.
    pub fn arm(&mut self, topic: &Arc<str>, partition: i32, waiter: u64, end: i64, epoch: i32) -> bool {
        let armed = self.armed.entry(Arc::clone(topic)).or_default().entry(partition).or_insert_with(|| Armed {
            waiters: HashMap::new(),
            epoch,
            resting: None,
        });
        let before = (armed.from(), armed.epoch);
        if armed.epoch != epoch {
            armed.epoch = epoch;
            armed.resting = None;
        }
        let woken_from = self.woken_from.get(&(Arc::clone(topic), partition));
        if woken_from.is_some_and(|(from, at)| *from == end && at.elapsed() < REPEAT) {
            armed.resting = Some(Instant::now() + REPEAT);
        }
        armed.waiters.insert(waiter, end);
        let changed = (armed.from(), armed.epoch) != before;
        self.version += u64::from(changed);
        changed
    }

    /// `waiter` waits no more.
    pub fn disarm(&mut self, topic: &str, partition: i32, waiter: u64) {
        let Some(partitions) = self.armed.get_mut(topic) else { return };
        let Some(armed) = partitions.get_mut(&partition) else { return };
        let before = armed.from();
        armed.waiters.remove(&waiter);
        self.version += u64::from(armed.from() != before);
        if armed.waiters.is_empty() {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.armed.remove(topic);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.armed.keys()
    }

    /// What is to be fetched, if that has changed since `version`.
    pub fn places(&self, version: &mut Option<u64>, id_of: impl Fn(&str) -> Uuid) -> Option<Places> {
        if *version == Some(self.version) {
            return None;
        }
        *version = Some(self.version);
        let mut places = Places::new();
        for (name, partitions) in &self.armed {
            let awake = partitions.iter().filter(|(_, armed)| armed.resting.is_none());
            let awake: HashMap<i32, Place> =
                awake.map(|(id, armed)| (*id, Place { from: armed.from(), epoch: armed.epoch })).collect();
            if !awake.is_empty() {
                let topic = places.entry(Arc::clone(name)).or_default();
                topic.partitions = awake;
                topic.id = id_of(name);
            }
        }
        Some(places)
    }

    /// What is armed beyond `parked`: new since its Fetch went out and, if asked for, what rests.
    pub fn unparked(&self, parked: &Places, resting_too: bool) -> Vec<(Arc<str>, Vec<i32>)> {
        let topics = self.armed.iter().filter_map(|(name, partitions)| {
            let parked = parked.get(name);
            let is_parked = |id: &i32, from: i64| {
                parked.and_then(|topic| topic.partitions.get(id)).is_some_and(|place| place.from == from)
            };
            let counts = |(id, armed): &(&i32, &Armed)| {
                if armed.resting.is_some() { resting_too } else { !is_parked(id, armed.from()) }
            };
            let rest: Vec<i32> = partitions.iter().filter(counts).map(|(id, _)| *id).collect();
            (!rest.is_empty()).then(|| (Arc::clone(name), rest))
        });
        topics.collect()
    }

    /// News of a partition: who has seen an end for which `is_news` holds.
    pub fn news(&mut self, topic: &str, partition: i32, is_news: impl Fn(i64) -> bool) -> Vec<u64> {
        let armed = self.armed.get(topic).and_then(|partitions| partitions.get(&partition));
        let behind = armed.into_iter().flat_map(|armed| &armed.waiters).filter(|(_, seen)| is_news(**seen));
        let mut waiters = Vec::new();
        for (waiter, seen) in behind {
            self.woken_from.insert((Arc::from(topic), partition), (*seen, Instant::now()));
            waiters.push(*waiter);
        }
        waiters
    }

    /// Leaves a partition out of the Fetch for a while.
    pub fn rest(&mut self, topic: &str, partition: i32, span: Duration) {
        if let Some(armed) = self.armed.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition)) {
            armed.resting = Some(Instant::now() + span);
            self.version += 1;
        }
    }

    /// Has what has rested long enough fetched again.
    pub fn wake_rested(&mut self) {
        let now = Instant::now();
        self.woken_from.retain(|_, (_, at)| at.elapsed() < REPEAT);
        for armed in self.armed.values_mut().flat_map(HashMap::values_mut) {
            if armed.resting.is_some_and(|until| until <= now) {
                armed.resting = None;
                self.version += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(list: &Watchlist) -> Option<i64> {
        let places = list.places(&mut None, |_| Uuid::nil()).unwrap();
        places.get("t").and_then(|topic| topic.partitions.get(&0)).map(|place| place.from)
    }

    fn armed(ends: &[i64]) -> Watchlist {
        let mut list = Watchlist::default();
        for (waiter, end) in (1..).zip(ends) {
            list.arm(&"t".into(), 0, waiter, *end, 3);
        }
        list
    }

    #[test]
    fn a_partition_is_fetched_from_the_smallest_end_that_a_waiter_has_seen() {
        let mut list = armed(&[7, 5, 9]);
        assert_eq!(from(&list), Some(5));
        list.disarm("t", 0, 2);
        assert_eq!(from(&list), Some(7));
        list.disarm("t", 0, 1);
        list.disarm("t", 0, 3);
        assert!(list.is_empty());
    }

    #[test]
    fn news_are_for_those_who_have_not_seen_them() {
        let mut list = armed(&[7, 5, 9]);
        let mut woken = list.news("t", 0, |seen| seen < 8);
        woken.sort_unstable();
        assert_eq!(woken, [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_woken_and_comes_back_with_the_same_end_has_to_rest() {
        let mut list = armed(&[5]);
        assert_eq!(list.news("t", 0, |_| true), [1]);
        list.disarm("t", 0, 1);
        list.arm(&"t".into(), 0, 2, 5, 3);
        assert_eq!(from(&list), None);
        assert_eq!(list.unparked(&Places::new(), true), [("t".into(), vec![0])]);
        tokio::time::advance(REPEAT).await;
        list.wake_rested();
        assert_eq!(from(&list), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_rests_is_fetched_again_under_a_new_leader() {
        let mut list = armed(&[5]);
        list.rest("t", 0, Duration::from_secs(60));
        assert_eq!(from(&list), None);
        assert!(list.arm(&"t".into(), 0, 1, 5, 4));
        assert_eq!(from(&list), Some(5));
    }
}
