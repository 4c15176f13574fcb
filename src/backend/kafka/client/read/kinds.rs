//! Which groups without commits are share groups (KIP-932): those never commit, so that what looks like "nothing read
//! yet" says nothing of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::{
    messages::{GroupId, ShareGroupDescribeRequest},
    protocol::StrBytes,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::{cluster::REQUEST, wire::link::Link};

/// A group stays what it is until it is deleted, so this is asked rarely.
const AGAIN: Duration = Duration::from_secs(30);
/// A group that nobody asked for in so long is forgotten.
const FORGET: Duration = Duration::from_secs(120);

#[derive(Default)]
pub struct Kinds(Mutex<HashMap<Arc<str>, Known>>);

#[derive(Clone, Copy)]
struct Known {
    is_share: bool,
    asked: Instant,
}

impl Kinds {
    /// The share groups among `groups`, which `link` leads to the coordinator of. Asks for all in one request, and only
    /// for those of which that is not known. A broker that cannot say has none.
    pub async fn share_groups(&self, link: &Link, groups: Vec<Arc<str>>) -> HashSet<Arc<str>> {
        let known = |group: &Arc<str>| self.0.lock().get(group).copied().filter(|known| known.asked.elapsed() < AGAIN);
        let unknown: Vec<&Arc<str>> = groups.iter().filter(|group| known(group).is_none()).collect();
        if !unknown.is_empty() {
            self.ask(link, &unknown).await;
        }
        groups.into_iter().filter(|group| known(group).is_some_and(|known| known.is_share)).collect()
    }

    async fn ask(&self, link: &Link, groups: &[&Arc<str>]) {
        let Ok(version) = link.version::<ShareGroupDescribeRequest>(i16::MAX) else { return };
        let ids = groups.iter().map(|group| GroupId(StrBytes::from_string(group.to_string()))).collect();
        let request = ShareGroupDescribeRequest::default().with_group_ids(ids);
        let Ok(reply) = link.call(&request, version, REQUEST).await else { return };
        let asked = Instant::now();
        let mut known = self.0.lock();
        known.retain(|_, known| known.asked.elapsed() < FORGET);
        for &group in groups {
            let is_share = reply.groups.iter().any(|share| **share == **group);
            known.insert(Arc::clone(group), Known { is_share, asked });
        }
    }
}
