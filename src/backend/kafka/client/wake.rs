//! Who waits for new records, in which partitions, and which broker's post each is with.
//!
//! A waiter brings the ends that it has read; whatever comes after them wakes it, also what came before it began to
//! wait. Not for: how a post listens (`post.rs`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

use super::{
    cluster::Cluster,
    offsets::Offsets,
    post,
    query::{Isolation, PartitionOffsets},
    session::{Place, Places},
    topics::Topics,
};
use crate::{
    error::ReadErrorKind,
    task::{self, Task},
};

/// Between two rounds of looking where partitions have gone.
const FOLLOW_FLOOR: Duration = Duration::from_millis(300);

/// One partition wakes no more often than this from one and the same end.
const REPEAT: Duration = Duration::from_millis(500);

/// A broker, and what counts as a record.
pub(super) type PostKey = (i32, Isolation);

/// All who wait on one connection.
pub(super) struct Wakes {
    pub cluster: Arc<Cluster>,
    pub topics: Arc<Topics>,
    pub offsets: Arc<Offsets>,
    /// How long a Fetch is parked.
    pub wait: Duration,
    state: Mutex<State>,
    /// Partitions whose leader is not where we thought.
    astray: Notify,
    follower: OnceLock<Task>,
}

#[derive(Default)]
struct State {
    next_waiter: u64,
    waiters: HashMap<u64, Waiter>,
    posts: HashMap<PostKey, Post>,
    stale: HashSet<Arc<str>>,
}

struct Waiter {
    isolation: Isolation,
    waits: Vec<Wait>,
    wake: oneshot::Sender<()>,
}

/// One partition that a waiter listens to.
struct Wait {
    topic: Arc<str>,
    partition: i32,
    end: i64,
    /// The post it is with; `None` while the partition has no leader.
    with: Option<i32>,
}

/// What one broker is listened to for.
struct Post {
    armed: HashMap<Arc<str>, HashMap<i32, Armed>>,
    /// The ends from which somebody was woken lately. Who comes back with the same end has looked and found nothing:
    /// there are brokers whose Fetch knows more than their ListOffsets, and that must not turn in circles.
    woken_from: HashMap<(Arc<str>, i32), (i64, Instant)>,
    changed: Arc<Notify>,
    /// Grows with each change.
    version: u64,
    _task: Task,
}

struct Armed {
    /// The end that each waiter has seen.
    waiters: HashMap<u64, i64>,
    epoch: i32,
    /// Not to be fetched before: the broker answers with an error at once, so it would turn in circles.
    resting: Option<Instant>,
}

impl Armed {
    fn from(&self) -> i64 {
        self.waiters.values().copied().min().unwrap_or(i64::MAX)
    }
}

impl Wakes {
    pub fn new(cluster: &Arc<Cluster>, topics: &Arc<Topics>, offsets: &Arc<Offsets>, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            topics: Arc::clone(topics),
            offsets: Arc::clone(offsets),
            wait,
            state: Mutex::default(),
            astray: Notify::new(),
            follower: OnceLock::new(),
        })
    }

    /// Resolves when a partition of `seen` has got a record beyond its end.
    pub async fn wait(self: &Arc<Self>, isolation: Isolation, seen: &[PartitionOffsets]) {
        self.follower.get_or_init(|| task::spawn(follow(Arc::downgrade(self))));
        let waits = seen.iter().filter_map(|known| {
            let (topic, partition) = (Arc::clone(&known.topic), known.partition);
            Some(Wait { topic, partition, end: known.end?, with: None })
        });
        let (wake, woken) = oneshot::channel();
        let id = {
            let mut state = self.state.lock();
            state.next_waiter += 1;
            let id = state.next_waiter;
            state.waiters.insert(id, Waiter { isolation, waits: waits.collect(), wake });
            self.place(&mut state, id);
            id
        };
        let _leave = Leave { wakes: self, id };
        // The sender is dropped with the state only, and that with the client.
        if woken.await.is_err() {
            std::future::pending().await
        }
    }

    /// Puts each partition of a waiter with the post of its leader.
    fn place(self: &Arc<Self>, state: &mut State, id: u64) {
        let State { waiters, posts, .. } = state;
        let Some(waiter) = waiters.get_mut(&id) else { return };
        for wait in &mut waiter.waits {
            let topic = self.topics.peek(&wait.topic);
            let leader = topic.and_then(|topic| topic.partition(wait.partition)?.leader);
            let broker = leader.map(|(broker, _)| broker);
            let moved = wait.with != broker;
            if moved && let Some(before) = wait.with {
                disarm(posts, (before, waiter.isolation), wait, id);
            }
            wait.with = broker;
            let Some((broker, epoch)) = leader else { continue };
            let key = (broker, waiter.isolation);
            let post = posts.entry(key).or_insert_with(|| self.open(key));
            let of_topic = post.armed.entry(Arc::clone(&wait.topic)).or_default();
            let armed = of_topic.entry(wait.partition).or_insert_with(|| Armed {
                waiters: HashMap::new(),
                epoch,
                resting: None,
            });
            let before = (armed.from(), armed.epoch);
            let woken_from = post.woken_from.get(&(Arc::clone(&wait.topic), wait.partition));
            if woken_from.is_some_and(|(end, at)| *end == wait.end && at.elapsed() < REPEAT) {
                armed.resting = Some(Instant::now() + REPEAT);
            }
            armed.waiters.insert(id, wait.end);
            armed.epoch = epoch;
            if armed.epoch != before.1 {
                armed.resting = None;
            }
            if (armed.from(), armed.epoch) != before {
                post.version += 1;
                post.changed.notify_one();
            }
        }
    }

    fn open(self: &Arc<Self>, key: PostKey) -> Post {
        let changed = Arc::new(Notify::new());
        let task = task::spawn(post::run(Arc::downgrade(self), key, Arc::clone(&changed)));
        Post { armed: HashMap::new(), woken_from: HashMap::new(), changed, version: 1, _task: task }
    }

    /// What a post has to listen for, if that has changed since `version`.
    pub fn places(&self, key: PostKey, version: &mut u64) -> Option<Places> {
        let state = self.state.lock();
        let post = state.posts.get(&key)?;
        if post.version == *version {
            return None;
        }
        *version = post.version;
        let now = Instant::now();
        let mut places = Places::new();
        for (name, partitions) in &post.armed {
            let awake = partitions.iter().filter(|(_, armed)| armed.resting.is_none_or(|until| until <= now));
            let places_of: HashMap<i32, Place> =
                awake.map(|(id, armed)| (*id, Place { from: armed.from(), epoch: armed.epoch })).collect();
            if !places_of.is_empty() {
                let topic = places.entry(Arc::clone(name)).or_default();
                topic.partitions = places_of;
                topic.id = self.topics.peek(name).map_or_else(uuid::Uuid::nil, |topic| topic.id);
            }
        }
        Some(places)
    }

    /// Closes the post if nobody needs it any more; its task ends with it.
    pub fn close_idle(&self, key: PostKey) -> bool {
        let mut state = self.state.lock();
        let idle = state.posts.get(&key).is_none_or(|post| post.armed.is_empty());
        if idle {
            state.posts.remove(&key);
        }
        idle
    }

    /// What is armed at a post beyond `parked`: new since its Fetch went out and, if asked for, what rests.
    pub fn unparked(&self, key: PostKey, parked: &Places, resting_too: bool) -> Vec<(Arc<str>, Vec<i32>)> {
        let state = self.state.lock();
        let Some(post) = state.posts.get(&key) else { return Vec::new() };
        let topics = post.armed.iter().filter_map(|(name, partitions)| {
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

    /// News of a partition: wakes whoever has seen an end for which `is_news` holds. Returns how many.
    pub fn reached(&self, key: PostKey, topic: &str, partition: i32, is_news: impl Fn(i64) -> bool) -> usize {
        let mut state = self.state.lock();
        let armed = state.posts.get(&key).and_then(|post| post.armed.get(topic)?.get(&partition));
        let Some(armed) = armed else { return 0 };
        let waiters: Vec<(u64, i64)> =
            armed.waiters.iter().filter(|(_, seen)| is_news(**seen)).map(|(id, seen)| (*id, *seen)).collect();
        for (id, seen) in &waiters {
            if let Some(post) = state.posts.get_mut(&key) {
                post.woken_from.insert((Arc::from(topic), partition), (*seen, Instant::now()));
            }
            state.wake(*id);
        }
        waiters.len()
    }

    /// Leaves a partition out of the Fetch for a while.
    pub fn rest(&self, key: PostKey, topic: &str, partition: i32, span: Duration) {
        let mut state = self.state.lock();
        let Some(post) = state.posts.get_mut(&key) else { return };
        post.version += 1;
        let armed = post.armed.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition));
        if let Some(armed) = armed {
            armed.resting = Some(Instant::now() + span);
        }
    }

    /// Rested partitions are to be fetched again.
    pub fn rested(&self, key: PostKey) {
        let mut state = self.state.lock();
        let Some(post) = state.posts.get_mut(&key) else { return };
        let now = Instant::now();
        post.woken_from.retain(|_, (_, at)| at.elapsed() < REPEAT);
        for armed in post.armed.values_mut().flat_map(HashMap::values_mut) {
            if armed.resting.is_some_and(|until| until <= now) {
                armed.resting = None;
                post.version += 1;
            }
        }
    }

    /// These topics are not led by whom we thought.
    pub fn is_stale(&self, topics: impl Iterator<Item = Arc<str>>) {
        self.state.lock().stale.extend(topics);
        self.astray.notify_one();
    }

    /// The topics armed at a post.
    pub fn armed_topics(&self, key: PostKey) -> Vec<Arc<str>> {
        let state = self.state.lock();
        state.posts.get(&key).map(|post| post.armed.keys().cloned().collect()).unwrap_or_default()
    }

    fn place_all(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let ids: Vec<u64> = state.waiters.keys().copied().collect();
        for id in ids {
            self.place(&mut state, id);
        }
    }

    /// Ends all posts.
    pub fn close(&self) {
        self.state.lock().posts.clear();
    }

    /// A topic is gone: its waiters had better look.
    fn wake_all_of(&self, topic: &str) {
        let mut state = self.state.lock();
        let of_topic = |waiter: &Waiter| waiter.waits.iter().any(|wait| &*wait.topic == topic);
        let ids: Vec<u64> = state.waiters.iter().filter(|(_, waiter)| of_topic(waiter)).map(|(id, _)| *id).collect();
        for id in ids {
            state.wake(id);
        }
    }
}

impl State {
    fn wake(&mut self, id: u64) {
        if let Some(waiter) = self.remove(id) {
            waiter.wake.send(()).ok();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&id)?;
        for wait in &waiter.waits {
            if let Some(broker) = wait.with {
                disarm(&mut self.posts, (broker, waiter.isolation), wait, id);
            }
        }
        Some(waiter)
    }
}

fn disarm(posts: &mut HashMap<PostKey, Post>, key: PostKey, wait: &Wait, id: u64) {
    let Some(post) = posts.get_mut(&key) else { return };
    let Some(partitions) = post.armed.get_mut(&wait.topic) else { return };
    let Some(armed) = partitions.get_mut(&wait.partition) else { return };
    let before = armed.from();
    armed.waiters.remove(&id);
    if armed.from() != before {
        post.version += 1;
    }
    if armed.waiters.is_empty() {
        partitions.remove(&wait.partition);
        if partitions.is_empty() {
            post.armed.remove(&wait.topic);
        }
    }
}

/// Takes a waiter off the list when it is woken or gives up.
struct Leave<'w> {
    wakes: &'w Wakes,
    id: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.wakes.state.lock().remove(self.id);
    }
}

/// Moves partitions to the posts of their leaders, as these move.
async fn follow(wakes: Weak<Wakes>) {
    let mut moves = match wakes.upgrade() {
        Some(wakes) => wakes.topics.moves(),
        None => return,
    };
    loop {
        let Some(strong) = wakes.upgrade() else { return };
        tokio::select! {
            moved = moves.changed() => if moved.is_err() { return },
            () = strong.astray.notified() => {
                let stale: Vec<Arc<str>> = strong.state.lock().stale.drain().collect();
                let now = Instant::now();
                let looked = join_all(stale.into_iter().map(|name| {
                    let topics = &strong.topics;
                    async move { (topics.newer(&name, Some(now)).await.map(drop), name) }
                })).await;
                for (looked, name) in looked {
                    if looked.is_err_and(|error| error.kind == ReadErrorKind::NotFound) {
                        strong.wake_all_of(&name);
                    }
                }
            }
        }
        strong.place_all();
        drop(strong);
        sleep(FOLLOW_FLOOR).await;
    }
}
