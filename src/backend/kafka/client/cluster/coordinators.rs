//! Which broker keeps a group's commits: asked for many groups at once, and remembered until it proves wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kafka_protocol::{
    messages::{FindCoordinatorRequest, FindCoordinatorResponse},
    protocol::StrBytes,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::wire::codes;
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
        let response = match self.cluster.ask_any(request, 0).await {
            Ok(response) => response,
            Err(error) => return groups.into_iter().map(|group| (group, Err(error.clone()))).collect(),
        };
        if !response.coordinators.is_empty()
            || response.node_id.0 == 0 && response.host.is_empty() && response.error_code == 0
        {
            return self.read_many(&response);
        }
        let mut groups = groups.into_iter();
        let mut found = Found::new();
        if let Some(first) = groups.next() {
            let answer = self.read_one(&first, &response);
            found.insert(first, answer);
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
            Ok(response) if response.coordinators.is_empty() => self.read_one(&group, &response),
            Ok(response) => {
                let answer = self.read_many(&response).remove(&group);
                answer.unwrap_or_else(|| Err(error(codes::COORDINATOR_NOT_AVAILABLE, &group)))
            }
            Err(error) => Err(error),
        };
        (group, answer)
    }

    fn read_many(&self, response: &FindCoordinatorResponse) -> Found {
        let answers = response.coordinators.iter().map(|answer| {
            let group: Arc<str> = answer.key.as_str().into();
            let found = self.read(answer.error_code, answer.node_id.0, &answer.host, answer.port, &group);
            (group, found)
        });
        answers.collect()
    }

    fn read_one(&self, group: &str, response: &FindCoordinatorResponse) -> Result<Coordinator, ReadError> {
        self.read(response.error_code, response.node_id.0, &response.host, response.port, group)
    }

    fn read(&self, code: i16, broker: i32, host: &str, port: i32, group: &str) -> Result<Coordinator, ReadError> {
        if code != 0 {
            return Err(error(code, group));
        }
        self.cluster.learn_one(broker, host, port);
        Ok(Coordinator { broker, proven_on: None })
    }
}

fn error(code: i16, group: &str) -> ReadError {
    codes::error(code, &format!("group `{group}`"))
}

fn key(group: &str) -> StrBytes {
    StrBytes::from_string(group.to_owned())
}
