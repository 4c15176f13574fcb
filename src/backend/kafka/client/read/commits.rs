//! Where groups stand: one OffsetFetch to each coordinator for all groups of a batch.
//!
//! A coordinator that has moved is followed inside the batch. Each group is answered as soon as it is known.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join},
    stream::FuturesUnordered,
};
use kafka_protocol::messages::OffsetFetchRequest;

use super::super::{
    cluster::{
        Cluster,
        coordinators::{Coordinator, Coordinators},
        heal::Heal,
        topics::Topic,
    },
    query::Commit,
    wire::{
        codes,
        link::Link,
        replies::{GroupAnswer, TopicCommits},
    },
};
use super::{
    kinds::Kinds,
    offset_fetch::{self, Partitions, Terms, Wanted},
};
use crate::{
    backend::batch::{Ask, Batcher},
    error::{ReadError, ReadErrorKind},
};

/// Triggers that are due together ask within this time.
const WINDOW: Duration = Duration::from_millis(2);
/// So many groups go into one request: a broker answers it as a whole, and one slow group must not hold up a thousand.
const GROUPS: usize = 200;

/// Ascending by partition; −1 is no commit.
type KnownCommits = Result<Vec<(i32, i64)>, ReadError>;

/// One group's commits, by topic.
#[derive(Debug, Default)]
pub struct GroupCommits {
    topics: HashMap<Arc<str>, KnownCommits>,
    /// All topics were asked for, so that one which is not here has no commit.
    all: bool,
}

impl GroupCommits {
    /// Where the group stands in one partition.
    pub fn of(&self, topic: &str, partition: i32) -> Result<Commit, ReadError> {
        let absent = if self.all { Commit::None } else { Commit::Missing };
        let Some(commits) = self.topics.get(topic) else { return Ok(absent) };
        let commits = commits.as_ref().map_err(Clone::clone)?;
        let found = commits.binary_search_by_key(&partition, |(id, _)| *id).ok().and_then(|i| commits.get(i));
        Ok(match found {
            None => absent,
            Some((_, offset @ 0..)) => Commit::Offset(*offset),
            Some(_) => Commit::None,
        })
    }

    /// The topics with a commit, by name.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let committed = |commits: &KnownCommits| {
            commits.as_ref().map_or(true, |commits| commits.iter().any(|(_, offset)| *offset >= 0))
        };
        let mut names: Vec<_> =
            self.topics.iter().filter(|(_, commits)| committed(commits)).map(|(name, _)| Arc::clone(name)).collect();
        names.sort_unstable();
        names
    }
}

/// What a trigger wants to know of a group.
#[derive(Clone)]
pub struct Question {
    pub group: Arc<str>,
    /// Wait for open transactions that commit offsets.
    pub stable: bool,
    /// Which partitions of which topics; `None` is all there are.
    pub topics: Option<Vec<(Arc<Topic>, Vec<i32>)>>,
}

type CommitsAsk = Ask<Question, Arc<GroupCommits>>;

/// Asks for commits, many groups at once.
pub struct Commits(Batcher<Question, Arc<GroupCommits>>);

impl Commits {
    pub fn new(cluster: &Arc<Cluster>) -> Self {
        let asker = Arc::new(Asker {
            cluster: Arc::clone(cluster),
            coordinators: Coordinators::new(Arc::clone(cluster)),
            kinds: Kinds::default(),
        });
        Self(Batcher::new(WINDOW, move |asks| {
            let asker = Arc::clone(&asker);
            async move { asker.ask(merge(asks), Heal::start()).await }
        }))
    }

    pub async fn of(&self, question: Question) -> Result<Arc<GroupCommits>, ReadError> {
        self.0.ask(question).await
    }
}

struct Asker {
    cluster: Arc<Cluster>,
    coordinators: Coordinators,
    kinds: Kinds,
}

/// All that is asked of one group.
struct Gather {
    wanted: Wanted,
    stable: bool,
    asks: Vec<CommitsAsk>,
}

impl Gather {
    fn answer(self, answer: Result<GroupCommits, ReadError>) {
        let answer = answer.map(Arc::new);
        for ask in self.asks {
            ask.answer(answer.clone());
        }
    }
}

/// Merges questions about the same group.
fn merge(asks: Vec<CommitsAsk>) -> Vec<Gather> {
    let mut gathers: HashMap<(Arc<str>, bool), Gather> = HashMap::new();
    for ask in asks {
        let Question { group, stable, topics } = &ask.question;
        let gather = gathers.entry((Arc::clone(group), *stable)).or_insert_with(|| Gather {
            wanted: Wanted { group: Arc::clone(group), topics: Some(Partitions::new()) },
            stable: *stable,
            asks: Vec::new(),
        });
        match (topics, &mut gather.wanted.topics) {
            (None, all) => *all = None,
            (Some(_), None) => {}
            (Some(topics), Some(wanted)) => {
                for (topic, partitions) in topics {
                    wanted.entry(Arc::clone(&topic.name)).or_default().extend(partitions);
                }
            }
        }
        gather.asks.push(ask);
    }
    gathers.into_values().collect()
}

impl Asker {
    /// Asks all coordinators side by side, each followed by its own healing. Boxed, since healing asks again.
    fn ask(&self, gathers: Vec<Gather>, heal: Heal) -> BoxFuture<'_, ()> {
        async move {
            let groups: Vec<Arc<str>> = gathers.iter().map(|gather| Arc::clone(&gather.wanted.group)).collect();
            let coordinators = self.coordinators.of(&groups).await;
            let mut by_coordinator: HashMap<i32, Vec<(Gather, Option<u64>)>> = HashMap::new();
            let mut failed = Vec::new();
            for gather in gathers {
                match coordinators.get(&gather.wanted.group) {
                    Some(Ok(Coordinator { broker, proven_on })) => {
                        by_coordinator.entry(*broker).or_default().push((gather, *proven_on));
                    }
                    Some(Err(error)) => failed.push((gather, error.clone())),
                    None => failed.push(with_code(gather, codes::COORDINATOR_NOT_AVAILABLE)),
                }
            }
            let asking = FuturesUnordered::new();
            for (broker, mut gathers) in by_coordinator {
                while !gathers.is_empty() {
                    let chunk = gathers.split_off(gathers.len().saturating_sub(GROUPS));
                    let asked = async move { self.heal(self.ask_coordinator(broker, chunk).await, heal).await };
                    asking.push(asked.boxed());
                }
            }
            asking.push(self.heal(failed, heal).boxed());
            asking.collect::<()>().await;
        }
        .boxed()
    }

    /// Asks again for what may go better, and answers the rest.
    async fn heal(&self, failed: Vec<Failed>, heal: Heal) {
        let (again, lost): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, error)| heal.is_worth_it(error));
        for (gather, error) in lost {
            gather.answer(Err(error));
        }
        if !again.is_empty() {
            let heal = heal.pause().await;
            self.ask(again.into_iter().map(|(gather, _)| gather).collect(), heal).await;
        }
    }

    /// Returns what did not work.
    async fn ask_coordinator(&self, broker: i32, gathers: Vec<(Gather, Option<u64>)>) -> Vec<Failed> {
        let asked = async {
            let link = self.cluster.broker(broker).await?;
            let version = link.version::<OffsetFetchRequest>(i16::MAX)?;
            if version < offset_fetch::LEAST {
                let (at, least) = (&link.peer().address, offset_fetch::LEAST);
                let text = format!("`{at}` speaks no OffsetFetch of version {least}: it is too old a Kafka");
                return Err(ReadError::new(ReadErrorKind::BadReply, text));
            }
            Ok((link, version))
        };
        let (link, version) = match asked.await {
            Ok(asked) => asked,
            Err(error) => return self.lost(gathers.into_iter().map(|(gather, _)| gather).collect(), &error),
        };
        // Asked for stable offsets, a coordinator answers only when it is up to date.
        let is_stable = |gather: &Gather, proven_on| gather.stable || proven_on != Some(link.serial);
        let (stable, rest): (Vec<_>, Vec<_>) = gathers.into_iter().partition(|(g, proven)| is_stable(g, *proven));
        let side = |gathers: Vec<(Gather, Option<u64>)>, stable| {
            let gathers: Vec<Gather> = gathers.into_iter().map(|(gather, _)| gather).collect();
            self.ask_link(broker, &link, Terms { version, stable }, gathers)
        };
        let (mut failed, more) = join(side(stable, true), side(rest, false)).await;
        failed.extend(more);
        failed
    }

    async fn ask_link(&self, broker: i32, link: &Link, terms: Terms, gathers: Vec<Gather>) -> Vec<Failed> {
        if gathers.is_empty() {
            return Vec::new();
        }
        let wanted: Vec<&Wanted> = gathers.iter().map(|gather| &gather.wanted).collect();
        let mut answers = match offset_fetch::ask(link, terms, &wanted).await {
            Ok(answers) => answers,
            Err(error) => return self.lost(gathers, &error),
        };
        let bare = |gather: &&Gather| answers.get(&gather.wanted.group).is_some_and(|a| a.as_ref().is_ok_and(is_bare));
        let bare: Vec<Arc<str>> = gathers.iter().filter(bare).map(|gather| Arc::clone(&gather.wanted.group)).collect();
        let share_groups = if bare.is_empty() { HashSet::new() } else { self.kinds.share_groups(link, bare).await };
        let mut failed = Vec::new();
        for gather in gathers {
            if share_groups.contains(&gather.wanted.group) {
                let error = no_consumers(&gather.wanted.group);
                gather.answer(Err(error));
                continue;
            }
            match answers.remove(&gather.wanted.group) {
                Some(Ok(answer)) => {
                    if terms.stable && answer.code == 0 {
                        self.coordinators.proven(&gather.wanted.group, broker, link.serial);
                    }
                    self.settle(gather, answer, &mut failed);
                }
                Some(Err(error)) => failed.extend(self.lost(vec![gather], &error)),
                None => failed.push(with_code(gather, codes::COORDINATOR_NOT_AVAILABLE)),
            }
        }
        failed
    }

    /// The coordinator of these could not be asked.
    fn lost(&self, gathers: Vec<Gather>, error: &ReadError) -> Vec<Failed> {
        self.coordinators.forget(gathers.iter().map(|gather| &gather.wanted.group));
        let error = self.cluster.scoped(error.clone());
        gathers.into_iter().map(|gather| (gather, error.clone())).collect()
    }

    fn settle(&self, gather: Gather, answer: GroupAnswer, failed: &mut Vec<Failed>) {
        let all = gather.wanted.topics.is_none();
        match answer.code {
            0 => {}
            codes::GROUP_ID_NOT_FOUND => return gather.answer(Ok(GroupCommits { topics: HashMap::new(), all: true })),
            code => {
                if matches!(code, codes::NOT_COORDINATOR | codes::COORDINATOR_NOT_AVAILABLE) {
                    self.coordinators.forget([&gather.wanted.group].into_iter());
                }
                return failed.push(with_code(gather, code));
            }
        }
        let mut topics = HashMap::with_capacity(answer.topics.len());
        for TopicCommits { topic: name, mut partitions } in answer.topics {
            let refused = partitions.iter().map(|commit| commit.code).find(|code| *code != 0);
            if let Some(code) = refused.filter(|code| *code != codes::UNKNOWN_TOPIC_OR_PARTITION && codes::heals(*code))
            {
                return failed.push(with_code(gather, code));
            }
            let commits = match refused {
                None => {
                    partitions.sort_unstable_by_key(|commit| commit.id);
                    Ok(partitions.into_iter().map(|commit| (commit.id, commit.offset)).collect())
                }
                Some(code) => Err(codes::error(code, &format!("topic `{name}`"))),
            };
            topics.insert(name, commits);
        }
        gather.answer(Ok(GroupCommits { topics, all }));
    }
}

/// Whether the group has committed nothing that was asked for, or is said to be none that commits.
fn is_bare(answer: &GroupAnswer) -> bool {
    let commits = answer.topics.iter().flat_map(|topic| &topic.partitions).any(|commit| commit.offset >= 0);
    !commits && (answer.code == 0 || !codes::heals(answer.code))
}

fn no_consumers(group: &str) -> ReadError {
    let text = format!(
        "group `{group}` is a share group, which commits no offsets, so that it has no lag: name a consumer group in `consumerGroup`"
    );
    ReadError::new(ReadErrorKind::NotFound, text)
}

fn with_code(gather: Gather, code: i16) -> Failed {
    let error = codes::error(code, &format!("group `{}`", gather.wanted.group));
    (gather, error)
}

/// What did not work, and why.
type Failed = (Gather, ReadError);
