//! Who waits for new records, and in which partitions.
//!
//! A waiter brings the ends that it has read; whatever comes after them wakes it, also what came before it began to
//! wait. Not for: with which post each partition is (`posts.rs`),
//! how a post listens (`post.rs`).

mod post;
mod posts;
mod session;
mod watchlist;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{Instant, sleep},
};

use self::{
    posts::{Post, PostKey, Posts},
    watchlist::Watchlist,
};
use super::{
    cluster::{Cluster, topics::Topics},
    query::{Isolation, PartitionOffsets},
    read::offsets::Offsets,
};
use crate::{
    error::ReadErrorKind,
    task::{self, Task},
};

/// Between two rounds of looking where partitions have gone.
const FOLLOW_FLOOR: Duration = Duration::from_millis(300);

/// Between two rounds of asking for partitions that have no leader.
const UNPLACED_PAUSE: Duration = Duration::from_secs(2);

/// How long a Fetch is parked: shortly when what it waits for has changed, so that what comes next joins it soon, and ever
/// longer while that stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The first time.
    pub shortest: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self { shortest: Duration::from_millis(500), longest: Duration::from_secs(4) }
    }
}

/// All who wait on one connection.
pub struct Wakes {
    pub cluster: Arc<Cluster>,
    pub topics: Arc<Topics>,
    pub offsets: Arc<Offsets>,
    /// How long a Fetch is parked.
    pub wait: Wait,
    state: Mutex<State>,
    /// Partitions whose leader is not where we thought.
    astray: Arc<Notify>,
    follower: OnceLock<Task>,
}

#[derive(Default)]
struct State {
    next_waiter: u64,
    waiters: HashMap<u64, Waiter>,
    posts: Posts,
    stale: HashSet<Arc<str>>,
}

struct Waiter {
    isolation: Isolation,
    waits: Vec<Listened>,
    wake: oneshot::Sender<()>,
}

/// One partition that a waiter listens to.
struct Listened {
    topic: Arc<str>,
    partition: i32,
    end: i64,
    /// The post it is with; `None` while the partition has no leader.
    with: Option<PostKey>,
}

impl Wakes {
    pub fn new(cluster: &Arc<Cluster>, topics: &Arc<Topics>, offsets: &Arc<Offsets>, wait: Wait) -> Arc<Self> {
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            topics: Arc::clone(topics),
            offsets: Arc::clone(offsets),
            wait,
            state: Mutex::default(),
            astray: Arc::default(),
            follower: OnceLock::new(),
        })
    }

    /// Resolves when a partition of `seen` has got a record beyond its end.
    pub async fn wait(self: &Arc<Self>, isolation: Isolation, seen: &[PartitionOffsets]) {
        self.follower.get_or_init(|| {
            let (wakes, moves, astray) = (Arc::downgrade(self), self.topics.moves(), Arc::clone(&self.astray));
            task::supervise("kafka moves", move || follow(Weak::clone(&wakes), moves.clone(), Arc::clone(&astray)))
        });
        let waits = seen.iter().filter_map(|known| {
            let (topic, partition) = (Arc::clone(&known.topic), known.partition);
            Some(Listened { topic, partition, end: known.end?, with: None })
        });
        let (wake, woken) = oneshot::channel();
        let id = {
            let mut state = self.state.lock();
            state.next_waiter += 1;
            let id = state.next_waiter;
            state.waiters.insert(id, Waiter { isolation, waits: waits.collect(), wake });
            self.place(&mut state, id);
            let waits = state.waiters.get(&id).map(|waiter| waiter.waits.as_slice()).unwrap_or_default();
            if waits.iter().any(|wait| wait.with.is_none()) {
                self.astray.notify_one();
            }
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
            if wait.with.map(|key| key.broker) != leader.map(|(broker, _)| broker) {
                wait.leave(posts, id);
                wait.with = None;
            }
            let Some((broker, epoch)) = leader else { continue };
            let choose = || posts.choose(broker, waiter.isolation, &wait.topic, wait.partition);
            let key = wait.with.unwrap_or_else(choose);
            wait.with = Some(key);
            let post = posts.get_or_open(key, || self.open(key));
            if post.list.arm(&wait.topic, wait.partition, id, wait.end, epoch) {
                post.changed.notify_one();
            }
        }
    }

    fn open(self: &Arc<Self>, key: PostKey) -> Post {
        let changed = Arc::new(Notify::new());
        let (wakes, news) = (Arc::downgrade(self), Arc::clone(&changed));
        let task = task::supervise("kafka post", move || post::run(Weak::clone(&wakes), key, Arc::clone(&news)));
        Post { list: Watchlist::default(), changed, _task: task }
    }

    /// Looks at a post's list, or changes it; `None` if the post is closed.
    pub fn list<T>(&self, key: PostKey, look: impl FnOnce(&mut Watchlist) -> T) -> Option<T> {
        self.state.lock().posts.get_mut(key).map(|post| look(&mut post.list))
    }

    /// Closes the post if nobody needs it any more; its task ends with it.
    pub fn close_idle(&self, key: PostKey) -> bool {
        let mut state = self.state.lock();
        let idle = state.posts.get_mut(key).is_none_or(|post| post.list.is_idle());
        if idle {
            state.posts.close(key);
        }
        idle
    }

    /// Wakes whoever has seen an end of the partition for which `is_news` holds. Returns whether it was news.
    pub fn reached(&self, key: PostKey, topic: &str, partition: i32, is_news: impl Fn(i64) -> bool) -> bool {
        let mut state = self.state.lock();
        let Some(post) = state.posts.get_mut(key) else { return false };
        let (waiters, was_news) = post.list.news(topic, partition, is_news);
        for id in waiters {
            state.wake(id);
        }
        was_news
    }

    /// These topics are not led by whom we thought.
    pub fn is_stale(&self, topics: Vec<Arc<str>>) {
        self.state.lock().stale.extend(topics);
        self.astray.notify_one();
    }

    /// Returns the topics that could not be placed.
    fn place_all(self: &Arc<Self>) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        let ids: Vec<u64> = state.waiters.keys().copied().collect();
        for id in ids {
            self.place(&mut state, id);
        }
        let waits = state.waiters.values().flat_map(|waiter| &waiter.waits);
        let unplaced: HashSet<_> = waits.filter(|wait| wait.with.is_none()).map(|w| Arc::clone(&w.topic)).collect();
        unplaced.into_iter().collect()
    }

    /// Asks where these topics are now.
    async fn ask_again(&self, topics: Vec<Arc<str>>) {
        let now = Instant::now();
        let asked = join_all(topics.iter().map(|name| self.topics.newer(name, Some(now)))).await;
        for (name, answer) in topics.iter().zip(asked) {
            if answer.is_err_and(|error| error.kind == ReadErrorKind::NotFound) {
                self.wake_all_of(name);
            }
        }
    }

    /// Ends all posts.
    pub fn close(&self) {
        self.state.lock().posts.close_all();
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
            wait.leave(&mut self.posts, id);
        }
        Some(waiter)
    }
}

impl Listened {
    fn leave(&self, posts: &mut Posts, id: u64) {
        if let Some(post) = self.with.and_then(|key| posts.get_mut(key)) {
            post.list.disarm(&self.topic, self.partition, id);
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

/// Moves partitions to the posts of their leaders, as these move. Holds on to nothing while it waits.
async fn follow(wakes: Weak<Wakes>, mut moves: watch::Receiver<u64>, astray: Arc<Notify>) {
    let mut unplaced = Vec::new();
    loop {
        let mut stale = Vec::new();
        tokio::select! {
            moved = moves.changed() => if moved.is_err() { return },
            () = astray.notified() => {}
            // No leader, or a topic that a broker did not know: nobody else may ask again.
            () = sleep(UNPLACED_PAUSE), if !unplaced.is_empty() => stale = unplaced,
        }
        let Some(strong) = wakes.upgrade() else { return };
        stale.extend(strong.state.lock().stale.drain());
        strong.ask_again(stale).await;
        unplaced = strong.place_all();
        drop(strong);
        sleep(FOLLOW_FLOOR).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::{
            Account,
            kafka::{client::Commit, connection::Connection},
        },
        net::Reach,
    };

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_gone_leaves_nothing_behind() {
        let connection =
            Connection { servers: vec!["127.0.0.1:1".into()], tls: None, sasl: None, reach: Reach::open() };
        let cluster = Arc::new(Cluster::new(connection, Account::default()));
        let topics = Arc::new(Topics::new(Arc::clone(&cluster)));
        let offsets = Arc::new(Offsets::new(&cluster, &topics));
        let wakes = Wakes::new(&cluster, &topics, &offsets, Wait::default());
        let seen =
            PartitionOffsets { topic: "t".into(), partition: 0, committed: Commit::None, start: None, end: Some(1) };
        let waiting = wakes.wait(Isolation::ReadUncommitted, std::slice::from_ref(&seen));
        tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_err();
        // Whoever follows the leaders begins anew.
        task::sabotage::panic_in("kafka moves").await;
        let (gone, left) = (Arc::downgrade(&wakes), Arc::downgrade(&cluster));
        wakes.close();
        drop((wakes, topics, offsets, cluster));
        sleep(Duration::from_secs(20)).await;
        assert!(gone.upgrade().is_none() && left.upgrade().is_none());
    }
}
