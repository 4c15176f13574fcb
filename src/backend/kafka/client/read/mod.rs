//! One read: which topics, where the group stands, where the logs end, and, where that matters, start.
//!
//! Each trigger's read runs in its own task and asks small questions; that they become few requests is the business
//! of whom it asks.

mod commits;
mod kinds;
mod offset_fetch;
pub mod offsets;

use std::sync::Arc;

use futures::future::{join, try_join_all};

use self::{
    commits::{Commits, GroupCommits, Question},
    offsets::{At, Offsets, TopicOffsets},
};
use super::{
    cluster::{
        Cluster,
        topics::{Topic, Topics},
    },
    query::{Commit, Isolation, PartitionOffsets, Query, Topics as Wanted},
};
use crate::{backend::batch::is_at_once, error::ReadError};

/// A topic, and which partitions of it count.
type Part = (Arc<Topic>, Vec<i32>);

/// Whom a read asks.
pub struct Readers {
    pub topics: Arc<Topics>,
    commits: Commits,
    pub offsets: Arc<Offsets>,
}

impl Readers {
    pub fn new(cluster: &Arc<Cluster>) -> Self {
        let topics = Arc::new(Topics::new(Arc::clone(cluster)));
        let offsets = Arc::new(Offsets::new(cluster, &topics));
        Self { topics, commits: Commits::new(cluster), offsets }
    }

    pub async fn read(&self, query: &Query) -> Result<Arc<[PartitionOffsets]>, ReadError> {
        let counts = |id| query.partitions.as_ref().is_none_or(|partitions| partitions.contains(id));
        let (names, all) = match &query.topics {
            Wanted::Named(names) => (names.iter().map(|name| Arc::from(name.as_str())).collect(), None),
            Wanted::All => {
                let commits = self.commits(query, None).await?;
                (commits.topics(), Some(commits))
            }
        };
        let known = try_join_all(names.iter().map(|name| self.topics.get(name))).await?;
        let mut topics: Vec<Part> = known.iter().map(|topic| part(topic, counts)).collect();
        // Whether they have grown is asked beside. A look after a wake does not ask: its news is of what is known, and a broker
        // answers one request of a connection after the other.
        let fresh = async {
            if is_at_once() {
                return Ok(known.clone());
            }
            try_join_all(known.iter().map(|topic| self.topics.fresh(topic))).await
        };
        let (fresh, mut looked) = join(fresh, self.look(query, &topics, all.clone())).await;
        let fresh: Vec<Part> = fresh?.iter().map(|topic| part(topic, counts)).collect();
        if fresh.iter().map(|(_, partitions)| partitions).ne(topics.iter().map(|(_, partitions)| partitions)) {
            looked = self.look(query, &fresh, all).await;
            topics = fresh;
        }
        let (commits, ends) = looked?;
        let starts = self.starts(query, &topics, &commits, &ends).await?;
        let mut offsets = Vec::with_capacity(topics.iter().map(|(_, partitions)| partitions.len()).sum());
        for (((topic, partitions), ends), starts) in topics.iter().zip(&ends).zip(&starts) {
            for &partition in partitions {
                let committed = commits.of(&topic.name, partition)?;
                let (topic, end) = (Arc::clone(&topic.name), find(ends, partition));
                // Another trigger may have asked for more starts than we did.
                let start = if is_behind(committed, end) { find(starts, partition) } else { None };
                offsets.push(PartitionOffsets { topic, partition, committed, start, end });
            }
        }
        Ok(offsets.into())
    }

    /// Where the group stands, unless that is known, and where the logs end: side by side, so that the two are as of
    /// nearly the same moment.
    async fn look(
        &self,
        query: &Query,
        topics: &[Part],
        commits: Option<Arc<GroupCommits>>,
    ) -> Result<(Arc<GroupCommits>, Vec<Arc<TopicOffsets>>), ReadError> {
        let commits = async {
            match commits {
                Some(commits) => Ok(commits),
                None => self.commits(query, Some(topics.to_vec())).await,
            }
        };
        let (commits, ends) = join(commits, self.ends(query, topics)).await;
        Ok((commits?, ends?))
    }

    async fn commits(&self, query: &Query, topics: Option<Vec<Part>>) -> Result<Arc<GroupCommits>, ReadError> {
        let stable = query.isolation == Isolation::ReadCommitted;
        self.commits.of(Question { group: Arc::clone(&query.group), stable, topics }).await
    }

    async fn ends(&self, query: &Query, topics: &[Part]) -> Result<Vec<Arc<TopicOffsets>>, ReadError> {
        let at = At::End(query.isolation);
        try_join_all(topics.iter().map(|(topic, partitions)| self.offsets.of(topic, partitions.clone(), at))).await
    }

    /// Of partitions that are behind, if the query wants them: without a commit all of the log is lag, and a commit
    /// may be older than the log. Idle ones cost no request.
    async fn starts(
        &self,
        query: &Query,
        topics: &[Part],
        commits: &GroupCommits,
        ends: &[Arc<TopicOffsets>],
    ) -> Result<Vec<Arc<TopicOffsets>>, ReadError> {
        try_join_all(topics.iter().zip(ends).map(|((topic, partitions), ends)| {
            let behind = |partition| {
                let committed = commits.of(&topic.name, partition);
                query.start_offsets && committed.is_ok_and(|committed| is_behind(committed, find(ends, partition)))
            };
            let wanted = partitions.iter().copied().filter(|partition| behind(*partition)).collect();
            self.offsets.of(topic, wanted, At::Start)
        }))
        .await
    }
}

fn part(topic: &Arc<Topic>, counts: impl Fn(i32) -> bool) -> Part {
    let partitions = topic.partitions.iter().map(|partition| partition.id).filter(|id| counts(*id)).collect();
    (Arc::clone(topic), partitions)
}

/// Whether the start of the log may say more about the lag than commit and end do.
fn is_behind(committed: Commit, end: Option<i64>) -> bool {
    match committed {
        Commit::Offset(committed) => end.is_some_and(|end| committed < end),
        Commit::None => true,
        Commit::Missing => false,
    }
}

fn find(offsets: &TopicOffsets, partition: i32) -> Option<i64> {
    let i = offsets.binary_search_by_key(&partition, |(id, _)| *id).ok()?;
    offsets.get(i).and_then(|(_, offset)| *offset)
}
