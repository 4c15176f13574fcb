//! What one post listens for: partitions, who waits for each, and from which offset.
//!
//! Pure bookkeeping. Who the waiters are is `wake.rs`, how the broker is listened to is `post.rs`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::session::{Place, Places};

/// One partition wakes no more often than this from one and the same end.
const REPEAT: Duration = Duration::from_millis(500);
/// A waiter that gives up does so to look by the clock, and comes back: its partitions are fetched on for so long.
const AWAY: Duration = Duration::from_secs(1);
/// And belong here for so long.
const HOME: Duration = Duration::from_secs(10);

/// The partitions of one post.
#[derive(Default)]
pub struct Watchlist {
    armed: HashMap<Arc<str>, HashMap<i32, Armed>>,
    /// How many partitions that is.
    count: usize,
    /// The ends from which somebody was woken lately. Who comes back with the same end has looked and found nothing:
    /// there are brokers whose Fetch knows more than their ListOffsets, and that must not turn in circles.
    woken_from: HashMap<(Arc<str>, i32), (i64, Instant)>,
    /// Grows with each change.
    version: u64,
}

struct Armed {
    /// The end that each waiter has seen.
    waiters: HashMap<u64, i64>,
    /// While nobody waits: since when, and the end that is listened at all the same.
    away: Option<(Instant, Option<i64>)>,
    epoch: i32,
    /// Not to be fetched before: the broker would answer with an error at once, again and again.
    resting: Option<Instant>,
}

impl Armed {
    /// Where to listen; `None` for nowhere.
    fn from(&self) -> Option<i64> {
        self.waiters.values().copied().min().or(self.away.and_then(|(_, end)| end))
    }
}

impl Watchlist {
    /// `waiter` has seen `end` in a partition that is led in `epoch`. Whether that changes what is to be fetched.
    pub fn arm(&mut self, topic: &Arc<str>, partition: i32, waiter: u64, end: i64, epoch: i32) -> bool {
        let count = &mut self.count;
        let armed = self.armed.entry(Arc::clone(topic)).or_default().entry(partition).or_insert_with(|| {
            *count += 1;
            Armed { waiters: HashMap::new(), away: None, epoch, resting: None }
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
        armed.away = None;
        armed.waiters.insert(waiter, end);
        let changed = (armed.from(), armed.epoch) != before;
        self.version += u64::from(changed);
        changed
    }

    /// `waiter` waits no more.
    pub fn disarm(&mut self, topic: &str, partition: i32, waiter: u64) {
        let armed = self.armed.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition));
        let Some(armed) = armed else { return };
        let before = armed.from();
        let Some(end) = armed.waiters.remove(&waiter) else { return };
        if armed.waiters.is_empty() {
            armed.away = Some((Instant::now(), Some(end)));
        }
        self.version += u64::from(armed.from() != before);
    }

    /// Whether the partition belongs here.
    pub fn has(&self, topic: &str, partition: i32) -> bool {
        self.armed.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// How many partitions belong here.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing to listen for.
    pub fn is_idle(&self) -> bool {
        self.armed.values().flat_map(HashMap::values).all(|armed| armed.from().is_none())
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
            let awake: HashMap<i32, Place> = awake
                .filter_map(|(id, armed)| Some((*id, Place { from: armed.from()?, epoch: armed.epoch })))
                .collect();
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
            let counts = |(id, armed): &(&i32, &Armed)| match armed.from() {
                Some(_) if armed.resting.is_some() => resting_too,
                Some(from) => !armed.waiters.is_empty() && !is_parked(id, from),
                None => false,
            };
            let rest: Vec<i32> = partitions.iter().filter(counts).map(|(id, _)| *id).collect();
            (!rest.is_empty()).then(|| (Arc::clone(name), rest))
        });
        topics.collect()
    }

    /// News of a partition: takes off and returns who has seen an end for which `is_news` holds. Also whether it was
    /// news at all, be it to somebody who is away.
    pub fn news(&mut self, topic: &str, partition: i32, is_news: impl Fn(i64) -> bool) -> (Vec<u64>, bool) {
        let armed = self.armed.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition));
        let Some(armed) = armed else { return (Vec::new(), false) };
        if let Some((since, Some(end))) = armed.away {
            let is_news = is_news(end);
            if is_news {
                armed.away = Some((since, None));
                self.version += 1;
            }
            return (Vec::new(), is_news);
        }
        let woken: Vec<(u64, i64)> = armed.waiters.extract_if(|_, seen| is_news(*seen)).collect();
        let Some((_, seen)) = woken.last() else { return (Vec::new(), false) };
        let now = Instant::now();
        self.woken_from.insert((Arc::from(topic), partition), (*seen, now));
        if armed.waiters.is_empty() {
            armed.away = Some((now, None));
        }
        self.version += 1;
        (woken.into_iter().map(|(waiter, _)| waiter).collect(), true)
    }

    /// Leaves a partition out of the Fetch for a while.
    pub fn rest(&mut self, topic: &str, partition: i32, span: Duration) {
        if let Some(armed) = self.armed.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition)) {
            armed.resting = Some(Instant::now() + span);
            self.version += 1;
        }
    }

    /// Has what has rested long enough fetched again, and lets go of what is away for good.
    pub fn tidy(&mut self) {
        let now = Instant::now();
        let Self { armed, count, woken_from, version } = self;
        woken_from.retain(|_, (_, at)| at.elapsed() < REPEAT);
        armed.retain(|_, partitions| {
            partitions.retain(|_, armed| {
                if armed.resting.is_some_and(|until| until <= now) {
                    armed.resting = None;
                    *version += 1;
                }
                let Some((since, end)) = &mut armed.away else { return true };
                if now - *since >= AWAY && end.take().is_some() {
                    *version += 1;
                }
                let stays = now - *since < HOME;
                *count -= usize::from(!stays);
                stays
            });
            !partitions.is_empty()
        });
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

    #[tokio::test(start_paused = true)]
    async fn a_partition_is_fetched_from_the_smallest_end_that_a_waiter_has_seen() {
        let mut list = armed(&[7, 5, 9]);
        assert_eq!(from(&list), Some(5));
        list.disarm("t", 0, 2);
        assert_eq!(from(&list), Some(7));
        list.disarm("t", 0, 1);
        list.disarm("t", 0, 3);
        tokio::time::advance(AWAY).await;
        list.tidy();
        assert!(list.is_idle());
    }

    #[test]
    fn news_are_for_those_who_have_not_seen_them() {
        let mut list = armed(&[7, 5, 9]);
        let (mut woken, was_news) = list.news("t", 0, |seen| seen < 8);
        woken.sort_unstable();
        assert_eq!((woken.as_slice(), was_news), ([1, 2].as_slice(), true));
        assert_eq!(list.news("t", 0, |seen| seen < 8), (vec![], false));
        assert_eq!(from(&list), Some(9));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_woken_and_comes_back_with_the_same_end_has_to_rest() {
        let mut list = armed(&[5]);
        assert_eq!(list.news("t", 0, |_| true), (vec![1], true));
        list.arm(&"t".into(), 0, 2, 5, 3);
        assert_eq!(from(&list), None);
        assert_eq!(list.unparked(&Places::new(), true), [("t".into(), vec![0])]);
        tokio::time::advance(REPEAT).await;
        list.tidy();
        assert_eq!(from(&list), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_to_look_finds_everything_as_it_was() {
        let mut list = armed(&[5]);
        let mut version = None;
        list.places(&mut version, |_| Uuid::nil()).unwrap();
        list.disarm("t", 0, 1);
        // Not asleep, for nothing would wake the post.
        assert!(!list.is_idle() && !list.arm(&"t".into(), 0, 2, 5, 3));
        assert!(list.places(&mut version, |_| Uuid::nil()).is_none());
        // What comes while nobody is there is fetched once.
        list.disarm("t", 0, 2);
        assert_eq!(list.news("t", 0, |seen| seen < 6), (vec![], true));
        assert!(list.is_idle());
        assert!(list.unparked(&Places::new(), true).is_empty());
        assert!(list.arm(&"t".into(), 0, 3, 6, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_away_is_no_longer_listened_for_and_then_forgotten() {
        let mut list = armed(&[5]);
        list.disarm("t", 0, 1);
        list.tidy();
        assert_eq!((from(&list), list.len(), list.is_idle()), (Some(5), 1, false));
        tokio::time::advance(AWAY).await;
        list.tidy();
        assert_eq!((from(&list), list.len(), list.is_idle()), (None, 1, true));
        tokio::time::advance(HOME).await;
        list.tidy();
        assert_eq!((list.len(), list.has("t", 0)), (0, false));
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
