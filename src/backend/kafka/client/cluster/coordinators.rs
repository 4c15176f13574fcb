//! Which broker keeps a group's commits: asked for many groups at once, and remembered until it proves wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kafka_protocol::{messages::FindCoordinatorRequest, protocol::StrBytes};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::wire::{
    codes,
    replies::{CoordinatorAnswer, FindCoordinator},
};
use super::Cluster;
use crate::error::ReadError;

/// Since this version a request holds many groups.
const MANY_GROUPS: i16 = 4;
/// How many questions of the old kind may be under way at once.
const AT_ONCE: usize = 50;
/// A group that nobody asked for in so long is forgotten.
const FORGET: Duration = Duration::from_secs(600);

pub struct Coordinators {
    cluster: Arc<Cluster>,
    known: Mutex<HashMap<Arc<str>, Known>>,
}

struct Known {
    coordinator: Coordinator,
    wanted: Instant,
}

/// Who keeps a group's commits.
#[derive(Debug, Clone, Copy)]
pub struct Coordinator {
    pub broker: i32,
    /// The link over which it has shown that it is up to date. One that has just taken over answers, for a moment, from
    /// before the last commits, or as if there were none: Kafka 4 reads at a high watermark that its followers have yet
    /// to confirm.
    pub proven_on: Option<u64>,
}

/// The coordinator, or why there is none, by group.
type Found = HashMap<Arc<str>, Result<Coordinator, ReadError>>;

impl Coordinators {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, known: Mutex::default() }
    }

    /// The coordinators of `groups`, asking only for those that are not known.
    pub async fn of(&self, groups: &[Arc<str>]) -> Found {
        let now = Instant::now();
        let mut found = Found::new();
        let mut unknown = Vec::new();
        {
            let mut known = self.known.lock();
            for group in groups {
                match known.get_mut(group) {
                    Some(known) => {
                        known.wanted = now;
                        found.insert(Arc::clone(group), Ok(known.coordinator));
                    }
                    None => unknown.push(Arc::clone(group)),
                }
            }
        }
        if !unknown.is_empty() {
            let answers = self.find(unknown).await;
            let mut known = self.known.lock();
            known.retain(|_, known| known.wanted.elapsed() < FORGET);
            for (group, answer) in answers {
                if let Ok(coordinator) = answer {
                    known.insert(Arc::clone(&group), Known { coordinator, wanted: now });
                }
                found.insert(group, answer);
            }
        }
        found
    }

    /// What we knew of these groups is wrong.
    pub fn forget<'g>(&self, groups: impl Iterator<Item = &'g Arc<str>>) {
        let mut known = self.known.lock();
        for group in groups {
            known.remove(group);
        }
    }

    /// This group's coordinator has shown that it is up to date.
    pub fn proven(&self, group: &str, broker: i32, link: u64) {
        if let Some(known) = self.known.lock().get_mut(group).filter(|known| known.coordinator.broker == broker) {
            known.coordinator.proven_on = Some(link);
        }
    }

    async fn find(&self, mut groups: Vec<Arc<str>>) -> Found {
        groups.sort_unstable();
        groups.dedup();
        let request = |version| match version {
            MANY_GROUPS.. => {
                FindCoordinatorRequest::default().with_coordinator_keys(groups.iter().map(|g| key(g)).collect())
            }
            // The first one tells us that this is an old broker.
            _ => FindCoordinatorRequest::default().with_key(groups.first().map(|group| key(group)).unwrap_or_default()),
        };
        let reply = match self.cluster.ask_any(request, 0).await {
            Ok(reply) => reply,
            Err(error) => return groups.into_iter().map(|group| (group, Err(error.clone()))).collect(),
        };
        let Some(first) = only(&reply) else {
            // What nobody asked for is not kept.
            let asked = reply.coordinators.iter().filter_map(|answer| {
                let group = groups.iter().find(|group| ***group == *answer.group)?;
                Some((Arc::clone(group), self.read(answer, group)))
            });
            return asked.collect();
        };
        let mut groups = groups.into_iter();
        let mut found = Found::new();
        if let Some(group) = groups.next() {
            let answer = self.read(first, &group);
            found.insert(group, answer);
        }
        let rest: Vec<_> =
            stream::iter(groups).map(|group| self.find_one(group)).buffer_unordered(AT_ONCE).collect().await;
        found.extend(rest);
        found
    }

    async fn find_one(&self, group: Arc<str>) -> (Arc<str>, Result<Coordinator, ReadError>) {
        let request = |version| match version {
            MANY_GROUPS.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![key(&group)]),
            _ => FindCoordinatorRequest::default().with_key(key(&group)),
        };
        let answer = match self.cluster.ask_any(request, 0).await {
            Ok(reply) => {
                match reply.coordinators.iter().find(|answer| answer.group.is_empty() || *answer.group == *group) {
                    Some(answer) => self.read(answer, &group),
                    None => Err(error(codes::COORDINATOR_NOT_AVAILABLE, &group)),
                }
            }
            Err(error) => Err(error),
        };
        (group, answer)
    }

    fn read(&self, answer: &CoordinatorAnswer, group: &str) -> Result<Coordinator, ReadError> {
        if answer.code != 0 {
            return Err(error(answer.code, group));
        }
        self.cluster.learn_one(&answer.broker);
        Ok(Coordinator { broker: answer.broker.id, proven_on: None })
    }
}

/// The answer of an old broker, which names no group.
fn only(reply: &FindCoordinator) -> Option<&CoordinatorAnswer> {
    reply.coordinators.first().filter(|answer| answer.group.is_empty())
}

fn error(code: i16, group: &str) -> ReadError {
    codes::error(code, &format!("group `{group}`"))
}

fn key(group: &str) -> StrBytes {
    StrBytes::from_string(group.to_owned())
}
