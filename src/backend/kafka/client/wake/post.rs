//! Listens to a broker for new records: a Fetch parked at the ends of some idle partitions, on a link of its own.
//!
//! On a link of its own because a parked Fetch holds up whatever is behind it. A Fetch is not consumption: no group,
//! no commit, and the records that come with it are dropped unread.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use kafka_protocol::messages::FetchRequest;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::super::{
    cluster::{REQUEST, broker::Broker, gone},
    read::offsets::At,
    wire::{codes, link::Link},
};
use super::{
    Wakes,
    posts::PostKey,
    session::{Heard, Places, Session, TOPIC_IDS, is_void},
    watchlist::Watchlist,
};
use crate::{clock::jittered, error::ReadError};

/// A post with nothing to do keeps its link for so long.
const LINGER: Duration = Duration::from_secs(30);
/// After a failure of the link.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// After a Fetch that came back for nothing.
const FLOOR: Duration = Duration::from_millis(5);
/// After an error of one partition, which a broker answers at once.
const REST: Duration = Duration::from_millis(500);
/// A topic that may be described but not read cannot be fetched; ask again rarely, look meanwhile.
const DENIED_REST: Duration = Duration::from_secs(60);
/// What was armed while a Fetch is parked joins the next one. Until then it is looked at so often.
const LOOK: Duration = Duration::from_millis(25);
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// Listens until the client is gone or nobody waits any more.
pub async fn run(wakes: Weak<Wakes>, key: PostKey, changed: Arc<Notify>) {
    let mut post = Post::new(key);
    let mut retry = FIRST_RETRY;
    loop {
        let Some(strong) = wakes.upgrade() else { return };
        let id_of = |name: &str| strong.topics.peek(name).map(|topic| topic.id).unwrap_or_default();
        let Some((places, idle)) = strong.list(key, |list| (list.places(&mut post.version, id_of), list.is_idle()))
        else {
            return;
        };
        if let Some(places) = places {
            post.places = places;
            post.wait = Duration::ZERO;
        }
        if idle {
            drop(strong);
            if timeout(LINGER, changed.notified()).await.is_err() && wakes.upgrade().is_none_or(|w| w.close_idle(key)) {
                return;
            }
            continue;
        }
        match post.listen(&strong, &changed).await {
            Ok(()) => retry = FIRST_RETRY,
            Err(_) => {
                // A read of the same partitions reports it, and only to those who have asked. Here we find out whether
                // the broker still leads anything. Nothing is lost meanwhile: we go on from where we were.
                post.hang_up();
                strong.is_stale(strong.list(key, |list| list.topics().cloned().collect()).unwrap_or_default());
                drop(strong);
                sleep(jittered(retry, 0.5..1.0)).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}

struct Post {
    key: PostKey,
    broker: Option<Broker>,
    link: Option<Arc<Link>>,
    session: Session,
    /// What the current Fetch waits for.
    places: Places,
    /// Of the places.
    version: Option<u64>,
    /// How long the next Fetch is parked: longer each time while nothing changes, for each costs the broker a walk through all its
    /// partitions.
    wait: Duration,
    /// In a row: Fetches that came back at once without news.
    idle_returns: u32,
}

impl Post {
    fn new(key: PostKey) -> Self {
        let (places, session, wait) = (Places::new(), Session::default(), Duration::ZERO);
        Self { key, broker: None, link: None, session, places, version: None, wait, idle_returns: 0 }
    }

    fn hang_up(&mut self) {
        self.session = Session::default();
        self.link = None;
        self.broker = None;
    }

    /// One Fetch, parked at most for the agreed time, and what comes of it.
    async fn listen(&mut self, wakes: &Wakes, changed: &Notify) -> Result<(), ReadError> {
        let PostKey { isolation, .. } = self.key;
        let started = Instant::now();
        if self.places.is_empty() {
            // Nothing that could be fetched: a broker would answer at once.
            self.meanwhile(wakes, changed, sleep(wakes.wait.shortest)).await;
            wakes.list(self.key, Watchlist::tidy);
            return Ok(());
        }
        let link = self.link(wakes).await?;
        let by_id = self.places.values().all(|topic| !topic.id.is_nil());
        let version = link.version::<FetchRequest>(if by_id { i16::MAX } else { TOPIC_IDS - 1 })?;
        let wait = self.wait.clamp(wakes.wait.shortest, wakes.wait.longest);
        let request = self.session.request(&self.places, version, isolation, wait);
        let fetch = link.call(&request, version, wait + REQUEST);
        let response = self.meanwhile(wakes, changed, fetch).await?;
        let mut news = 0;
        match self.session.read(response, isolation) {
            Ok(heard) => news = heard.iter().filter(|heard| self.tell(wakes, heard)).count(),
            Err(code) if is_void(code) => {}
            Err(code) => return Err(codes::error(code, &format!("`{}`", link.peer().address))),
        }
        wakes.list(self.key, Watchlist::tidy);
        // There are brokers that answer no Fetch before its time: there the wait is how late a wake may be.
        let took = started.elapsed();
        self.wait = if news > 0 || took < wait / 2 { Duration::ZERO } else { wait * 2 };
        // Some broker may answer at once whatever we ask: that must not turn in circles.
        if news > 0 || took > wait / 4 {
            self.idle_returns = 0;
        } else {
            sleep(FLOOR.saturating_mul(1 << self.idle_returns.min(10)).min(REST)).await;
            self.idle_returns += 1;
        }
        Ok(())
    }

    /// Awaits `fetch`, and looks now and then at what came too late to be part of it; once at what cannot be.
    async fn meanwhile<F: Future>(&self, wakes: &Wakes, changed: &Notify, fetch: F) -> F::Output {
        let started = Instant::now();
        let mut looking = FuturesUnordered::new();
        let mut look_at = Some(started + LOOK);
        let mut resting_too = true;
        tokio::pin!(fetch);
        loop {
            tokio::select! {
                biased;
                response = &mut fetch => return response,
                Some(()) = looking.next(), if !looking.is_empty() => {}
                () = changed.notified(), if look_at.is_none() => look_at = Some(Instant::now() + LOOK),
                () = sleep_until(look_at.unwrap_or(started)), if look_at.is_some() && looking.is_empty() => {
                    let unparked = wakes.list(self.key, |list| list.unparked(&self.places, resting_too)).unwrap_or_default();
                    resting_too = false;
                    look_at = None;
                    if !unparked.is_empty() {
                        look_at = Some(Instant::now() + look_pause(&unparked));
                        looking.push(self.look(wakes, unparked));
                    }
                }
            }
        }
    }

    async fn link(&mut self, wakes: &Wakes) -> Result<Arc<Link>, ReadError> {
        let PostKey { broker: id, .. } = self.key;
        let address = wakes.cluster.address(id).ok_or_else(|| gone(id))?;
        let broker = match self.broker.take() {
            Some(broker) if broker.address == address => self.broker.insert(broker),
            _ => self.broker.insert(Broker::new(address, true)),
        };
        let link = broker.link(&wakes.cluster.dialer).await?;
        if !self.link.as_ref().is_some_and(|before| Arc::ptr_eq(before, &link)) {
            self.session = Session::default();
            self.link = Some(Arc::clone(&link));
        }
        Ok(link)
    }

    /// Passes on what the broker said of one partition. Returns whether it was news.
    fn tell(&self, wakes: &Wakes, heard: &Heard) -> bool {
        let Heard { topic, partition, code, end } = heard;
        let rest = match *code {
            0 => return wakes.reached(self.key, topic, *partition, |seen| seen < *end),
            codes::TOPIC_AUTHORIZATION_FAILED => DENIED_REST,
            // Out of range too: made anew, or cut short by an unclean election. Resting, it is looked at.
            _ => REST,
        };
        wakes.list(self.key, |list| list.rest(topic, *partition, rest));
        if codes::heals(*code) {
            wakes.is_stale(vec![Arc::clone(topic)]);
        }
        false
    }

    /// Looks at the ends of what is not parked.
    async fn look(&self, wakes: &Wakes, unparked: Vec<(Arc<str>, Vec<i32>)>) {
        let PostKey { isolation, .. } = self.key;
        join_all(unparked.into_iter().map(|(name, partitions)| async move {
            let Some(topic) = wakes.topics.peek(&name) else { return };
            let Ok(ends) = wakes.offsets.of(&topic, partitions, At::End(isolation)).await else { return };
            for (partition, end) in ends.iter() {
                // A smaller end is news as well: the log was made anew or cut.
                wakes.reached(self.key, &name, *partition, |seen| end.is_some_and(|end| end != seen));
            }
        }))
        .await;
    }
}

/// A few partitions are looked at often, very many not quite so often.
fn look_pause(unparked: &[(Arc<str>, Vec<i32>)]) -> Duration {
    let count: usize = unparked.iter().map(|(_, partitions)| partitions.len()).sum();
    (LOOK + Duration::from_millis(u64::try_from(count / 50).unwrap_or(u64::MAX))).min(LONGEST_LOOK)
}
