//! Redis Cluster: a link to each master that owns a key of ours, and the way of a question to the right one.
//!
//! Each node fails by itself: questions to the others are not held up and do not back off.

mod slots;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use parking_lot::Mutex;
use tokio::time::sleep;

use self::slots::Slots;
use crate::{
    backend::redis::{
        address::Address,
        client::{
            link::{Link, Setup, Target},
            visit::{Moved, Pending, visit},
        },
        refusal::{self, Place},
        reply::{Command, Redirect, Reply},
    },
    error::{
        ReadError,
        ReadErrorKind::{BadReply, Denied, Unreachable},
    },
    limits::{self, Limit},
};

/// How often a question follows a redirect.
const HOPS: usize = 4;
/// Between two maps, however much trouble there is.
const MAP_PAUSE: Duration = Duration::from_millis(100);

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    setup: Setup,
    known: Mutex<Known>,
    /// Taken while a map is fetched, so that one fetch serves all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    slots: Option<Slots>,
    /// Grows with each map.
    version: u64,
    /// A redirect has told of a slot that moved; other keys of it may have changed unheard.
    learned: bool,
    links: HashMap<Address, Arc<Link>>,
}

/// Where to ask, and whether with `ASKING`.
type Stop = (Address, bool);

impl Cluster {
    /// A cluster; nothing is asked yet.
    pub fn new(setup: Setup) -> Self {
        Self { setup, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Answers a batch, each question at the owner of its key.
    pub async fn answer(&self, batch: Vec<Pending>) {
        let stops = self.route(batch).await;
        join_all(stops.into_iter().map(|(stop, group)| self.stop_at(stop, group, HOPS))).await;
    }

    /// Asks one node about `group` and follows what has moved on, each redirect by itself: no node waits for another.
    fn stop_at(&self, (address, asking): Stop, group: Vec<Pending>, hops: usize) -> BoxFuture<'_, ()> {
        async move {
            let Some(link) = self.link(&address) else {
                let text = "the redis cluster names more nodes than a cluster can have: look at what answers there";
                let error = ReadError::new(BadReply, text).of_source();
                return group.into_iter().for_each(|pending| pending.fail(error.clone()));
            };
            let moved = visit(&link, group, asking, of_one_node).await;
            if moved.is_empty() {
                return;
            }
            // The whole map may be old.
            self.setup.trouble.notify_one();
            let mut stops: HashMap<Stop, Vec<Pending>> = HashMap::new();
            for moved in moved {
                let (stop, pending) = self.follow(moved, &address);
                stops.entry(stop).or_default().push(pending);
            }
            if hops > 0 {
                join_all(stops.into_iter().map(|(stop, group)| self.stop_at(stop, group, hops - 1))).await;
                return;
            }
            let text = "the redis cluster sends a key from node to node: wait until its slots have settled";
            let lost = ReadError::new(Unreachable, text).of_source();
            stops.into_values().flatten().for_each(|pending| pending.fail(lost.clone()));
        }
        .boxed()
    }

    /// Fetches the map again. True when it has changed.
    pub async fn refresh(&self) -> Result<bool, ReadError> {
        let version = self.known.lock().version;
        let _fetching = self.fetching.lock().await;
        if self.known.lock().version != version {
            return Ok(true);
        }
        let slots = self.fetch().await?;
        let mut known = self.known.lock();
        let learned = std::mem::take(&mut known.learned);
        let changed = learned || known.slots.as_ref().is_some_and(|before| !before.agrees_with(&slots));
        known.links.retain(|address, _| slots.nodes().contains(address));
        known.slots = Some(slots);
        known.version += 1;
        Ok(changed)
    }

    /// Keeps the map fresh: again after any trouble, until `due`.
    pub async fn heed_trouble(&self, due: Duration) -> bool {
        tokio::select! {
            () = sleep(due) => {}
            () = self.setup.trouble.notified() => sleep(MAP_PAUSE).await,
        }
        // Who asks next is told what is wrong.
        self.refresh().await.unwrap_or(false)
    }

    /// Where to ask what; what cannot be asked anywhere is answered here.
    async fn route(&self, batch: Vec<Pending>) -> HashMap<Stop, Vec<Pending>> {
        let mut stops: HashMap<Stop, Vec<Pending>> = HashMap::new();
        if self.known.lock().slots.is_none()
            && let Err(error) = self.refresh().await
        {
            batch.into_iter().for_each(|pending| pending.fail(error.clone()));
            return stops;
        }
        let mut homeless = Vec::new();
        {
            let known = self.known.lock();
            for pending in batch {
                match known.slots.as_ref().and_then(|slots| slots.owner(pending.key())) {
                    Some(owner) => stops.entry((owner.clone(), false)).or_default().push(pending),
                    None => homeless.push(pending),
                }
            }
        }
        for pending in homeless {
            self.setup.trouble.notify_one();
            let text = format!(
                "the redis cluster has no node for key `{}`: assign its slot, see `CLUSTER INFO`",
                pending.key()
            );
            pending.fail(ReadError::new(Unreachable, text).of_source());
        }
        stops
    }

    fn follow(&self, Moved { pending, redirect: Redirect { to, once } }: Moved, from: &Address) -> (Stop, Pending) {
        // IPv6 comes without brackets here, and an unknown host means the node that answered.
        let (host, port) = to.rsplit_once(':').unwrap_or(("", ""));
        let host = if host.is_empty() || host == "?" { Arc::clone(&from.host) } else { host.into() };
        let target = port.parse().map_or_else(|_| from.clone(), |port| Address::new(host, port));
        let mut known = self.known.lock();
        if !once && let Some(slots) = &mut known.slots {
            slots.learn(pending.key(), target.clone());
            known.learned = true;
        }
        ((target, once), pending)
    }

    /// `None` when there are too many: nodes that are only named, one after the other, would be dialled.
    fn link(&self, address: &Address) -> Option<Arc<Link>> {
        let mut known = self.known.lock();
        if known.links.len() >= limits::REDIS_NODES && !known.links.contains_key(address) {
            Limit::Connections.crossed();
            return None;
        }
        let new = || Arc::new(Link::new(Target::Node(address.clone()), self.setup.clone()));
        Some(Arc::clone(known.links.entry(address.clone()).or_insert_with(new)))
    }

    /// The map, from whichever node tells it first: those we know, else the seeds.
    async fn fetch(&self) -> Result<Slots, ReadError> {
        let linked: Vec<Address> = self.known.lock().links.keys().cloned().collect();
        if let Ok(slots) = self.first_map(linked).await {
            return Ok(slots);
        }
        let given = &self.setup.dialer.connection.addresses;
        let seeds: Result<Vec<Address>, ReadError> =
            given.iter().filter(|seed| !seed.is_empty()).map(|seed| Address::parse(seed)).collect();
        self.first_map(seeds?).await
    }

    async fn first_map(&self, nodes: Vec<Address>) -> Result<Slots, ReadError> {
        let mut asked: FuturesUnordered<_> = nodes.iter().map(|node| self.map_of(node)).collect();
        let mut errors = Vec::new();
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(slots) => return Ok(slots),
                Err(error) => errors.push(error),
            }
        }
        errors.sort_by_key(|error| (error.kind != Denied, error.to_string()));
        let none = || ReadError::new(Unreachable, "no node of the redis cluster to ask: set `address` in the trigger");
        Err(errors.into_iter().next().unwrap_or_else(none))
    }

    async fn map_of(&self, node: &Address) -> Result<Slots, ReadError> {
        let none =
            || ReadError::new(BadReply, format!("`{node}` is one seed of the redis cluster too many: give fewer"));
        let link = self.link(node).ok_or_else(none)?;
        let answer = link.ask(&[Command::new("CLUSTER SLOTS", [])]).await.map_err(|none| none.error)?;
        let place = &answer.place;
        let reply = answer.replies.first().unwrap_or(&Reply::Other);
        if let Some(refusal) = reply.refusal() {
            let error = refusal::of_server(place, refusal).unwrap_or_else(|| match refusal.code.as_str() {
                "NOPERM" => {
                    let text = format!("{place} denies `CLUSTER SLOTS`: grant the user `+cluster|slots`");
                    ReadError::new(Denied, text).of_connection()
                }
                _ => not_a_cluster(place),
            });
            return Err(error);
        }
        Slots::parse(reply, &node.host).ok_or_else(|| {
            let text = format!("{place} knows of no slots: assign them, see `CLUSTER INFO`");
            ReadError::new(Unreachable, text)
        })
    }
}

/// A failure at one node says nothing about the others; a refused login does.
fn of_one_node(error: ReadError) -> ReadError {
    if error.kind == Denied { error } else { error.of_source() }
}

fn not_a_cluster(place: &Place) -> ReadError {
    let text = format!("{place} is not part of a cluster: use `scalerType: redis`, or correct `address`");
    ReadError::new(BadReply, text).of_connection()
}
