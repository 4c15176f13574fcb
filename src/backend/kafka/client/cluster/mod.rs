//! The brokers of one cluster: how to reach one by its number, or any that answers.

pub mod broker;
pub mod coordinators;
pub mod heal;
pub mod topics;

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use tokio::time::sleep;

use self::broker::Broker;
use super::{
    dial::Dialer,
    wire::{
        link::Link,
        replies::BrokerAddress,
        requests::{Ask, Counts},
    },
};
use crate::{
    backend::{Account, kafka::connection::Connection},
    error::{ReadError, ReadErrorKind},
    limits,
};

/// Every request's own deadline.
pub const REQUEST: Duration = Duration::from_secs(4);
/// A broker that has not answered by then gets company: what any broker knows, another may say sooner.
const HEDGE: Duration = Duration::from_millis(500);
/// An error names this many addresses at most.
const NAMED: usize = 3;

/// More than any host has (253), so that what is cut is no host.
const LONGEST_HOST: usize = 300;

/// A cluster, as far as we know it.
pub struct Cluster {
    pub dialer: Dialer,
    pub counts: Arc<Counts>,
    bootstrap: Vec<Arc<str>>,
    view: Mutex<View>,
}

#[derive(Default)]
struct View {
    /// By address: a bootstrap server and the broker it turns out to be share their link.
    brokers: HashMap<Arc<str>, Arc<Broker>>,
    addresses: HashMap<i32, Arc<str>>,
}

impl Cluster {
    pub fn new(connection: Connection, account: Account) -> Self {
        let counts = Arc::new(Counts::on(account));
        let mut seen = HashSet::new();
        let servers = connection.servers.iter().filter(|server| seen.insert(server.as_str()));
        let bootstrap = servers.map(|server| Arc::from(server.as_str())).collect();
        Self { dialer: Dialer::new(connection, Arc::clone(&counts)), counts, bootstrap, view: Mutex::default() }
    }

    /// A link to the broker with this number.
    pub async fn broker(&self, id: i32) -> Result<Arc<Link>, ReadError> {
        let broker = {
            let mut view = self.view.lock();
            view.addresses.get(&id).cloned().map(|address| view.broker(address, true))
        };
        match broker {
            Some(broker) => broker.link(&self.dialer).await.map_err(|error| self.scoped(error)),
            None => Err(gone(id)),
        }
    }

    /// The address of the broker with this number.
    pub fn address(&self, id: i32) -> Option<Arc<str>> {
        self.view.lock().addresses.get(&id).cloned()
    }

    /// An error of one broker: with others around it concerns only what that one is needed for.
    pub fn scoped(&self, error: ReadError) -> ReadError {
        use ReadErrorKind::{Timeout, Unreachable};
        let others = self.view.lock().addresses.len() > 1;
        if others && matches!(error.kind, Unreachable | Timeout) { error.of_source() } else { error }
    }

    /// What the cluster says of its brokers. Links to addresses that are no longer of use end.
    pub fn learn(&self, brokers: &[BrokerAddress]) {
        if brokers.is_empty() {
            return;
        }
        let mut view = self.view.lock();
        view.addresses = brokers.iter().map(|b| (b.id, address(b))).collect();
        let View { brokers, addresses } = &mut *view;
        let useful: HashSet<_> = addresses.values().collect();
        brokers.retain(|address, _| useful.contains(address));
    }

    /// What a broker says of another one that we may not have heard of.
    pub fn learn_one(&self, broker: &BrokerAddress) {
        let mut view = self.view.lock();
        if view.addresses.len() < limits::KAFKA_BROKERS {
            view.addresses.entry(broker.id).or_insert_with(|| address(broker));
        }
    }

    /// Asks whichever broker answers first, the likeliest ones first.
    pub async fn ask_any<R: Ask>(&self, request: impl Fn(i16) -> R, least: i16) -> Result<R::Reply, ReadError> {
        let mut candidates = self.candidates();
        // Best last, to pop.
        candidates.reverse();
        let mut asking = FuturesUnordered::new();
        let mut errors = Vec::new();
        loop {
            if let Some(broker) = candidates.pop() {
                let request = &request;
                asking.push(async move {
                    let asked = async {
                        let link = broker.link(&self.dialer).await?;
                        let version = link.version::<R>(i16::MAX)?;
                        if version < least {
                            return Err(too_old(&broker.address, R::NAME, least));
                        }
                        link.call(&request(version), version, REQUEST).await
                    };
                    (Arc::clone(&broker.address), asked.await)
                });
            }
            let next = async {
                tokio::select! {
                    answer = asking.next() => answer,
                    () = sleep(HEDGE), if !candidates.is_empty() => None,
                }
            };
            match next.await {
                Some((_, Ok(response))) => return Ok(response),
                Some((address, Err(error))) => errors.push((address, error)),
                None if asking.is_empty() && candidates.is_empty() => return Err(summary(errors)),
                None => {}
            }
        }
    }

    fn candidates(&self) -> Vec<Arc<Broker>> {
        let mut view = self.view.lock();
        let known: Vec<Arc<str>> = view.addresses.values().cloned().collect();
        let mut brokers: Vec<Arc<Broker>> = known.into_iter().map(|address| view.broker(address, true)).collect();
        for server in &self.bootstrap {
            if !brokers.iter().any(|broker| broker.address == *server) {
                brokers.push(view.broker(Arc::clone(server), false));
            }
        }
        drop(view);
        brokers.shuffle(&mut rand::rng());
        brokers.sort_by_cached_key(|broker| broker.fitness());
        brokers
    }
}

impl View {
    fn broker(&mut self, address: Arc<str>, advertised: bool) -> Arc<Broker> {
        let key = Arc::clone(&address);
        Arc::clone(self.brokers.entry(key).or_insert_with(|| Arc::new(Broker::new(address, advertised))))
    }
}

/// Whatever a broker claims, it can be shown; what is no host stays none.
fn address(broker: &BrokerAddress) -> Arc<str> {
    let port = broker.port;
    let shown: String = broker.host.chars().take(LONGEST_HOST).map(|c| if c.is_control() { '?' } else { c }).collect();
    Arc::from(if shown.contains(':') { format!("[{shown}]:{port}") } else { format!("{shown}:{port}") })
}

/// The error for a broker that the cluster does not list.
pub fn gone(id: i32) -> ReadError {
    ReadError::new(ReadErrorKind::Unreachable, format!("the cluster has no broker {id} now: is it down?")).of_source()
}

fn too_old(address: &str, request: &str, least: i16) -> ReadError {
    let text = format!("`{address}` speaks no {request} of version {least}: it is too old a Kafka");
    ReadError::new(ReadErrorKind::BadReply, text).of_connection()
}

/// One error for all brokers that failed; the same text in whichever order they did.
fn summary(mut errors: Vec<(Arc<str>, ReadError)>) -> ReadError {
    errors.sort_by(|(a, _), (b, _)| a.cmp(b));
    // A refused login says more than any broker that is down.
    let refused = errors.iter().find(|(_, error)| error.kind == ReadErrorKind::Denied);
    if let (Some((_, error)), _) | (None, [(_, error)]) = (refused, errors.as_slice()) {
        return error.clone().of_connection();
    }
    let Some((_, first)) = errors.first() else {
        return ReadError::new(ReadErrorKind::Unreachable, "no bootstrap server is given: set `bootstrapServers`");
    };
    let kind =
        if errors.iter().all(|(_, error)| error.kind == first.kind) { first.kind } else { ReadErrorKind::Unreachable };
    let mut text = String::from("no broker can be asked");
    for (i, (_, error)) in errors.iter().take(NAMED).enumerate() {
        // Writing to a String cannot fail.
        write!(text, "{} {error}", if i == 0 { ":" } else { ";" }).ok();
    }
    if let Some(more @ 1..) = errors.len().checked_sub(NAMED) {
        write!(text, "; and {more} more").ok();
    }
    ReadError::new(kind, text).of_connection()
}
