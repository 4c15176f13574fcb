//! Where groups stand: one OffsetFetch to each coordinator for all groups of a batch.
//!
//! A coordinator that has moved is followed inside the batch. Each group is answered as soon as it is known.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join},
    stream::FuturesUnordered,
};
use kafka_protocol::{
    messages::{
        GroupId, OffsetFetchRequest,
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics},
    },
    protocol::StrBytes,
};

use super::{
    cluster::{Cluster, REQUEST},
    codes,
    coordinators::{Coordinator, Coordinators},
    heal::Heal,
    link::Link,
    query::Commit,
    topics::{Topic, topic_name},
};
use crate::{
    backend::batch::{Ask, Batcher},
    error::{ReadError, ReadErrorKind},
};

/// Triggers that are due together ask within this time.
const WINDOW: Duration = Duration::from_millis(2);
/// So many groups go into one request: a broker answers it as a whole, and one slow group must not hold up a thousand.
const GROUPS: usize = 200;
/// Since this version a request holds many groups.
const MANY_GROUPS: i16 = 8;
/// Since this version "all topics" can be asked.
const ALL_TOPICS: i16 = 2;
/// Since this version a broker can hold back commits of open transactions.
const STABLE: i16 = 7;

/// One group's commits.
#[derive(Debug, Default)]
pub(super) struct GroupCommits {
    /// By topic, then ascending by partition; −1 is no commit.
    topics: HashMap<Arc<str>, Result<Vec<(i32, i64)>, ReadError>>,
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
        let committed = |commits: &Result<Vec<(i32, i64)>, ReadError>| {
            commits.as_ref().map_or(true, |commits| commits.iter().any(|(_, offset)| *offset >= 0))
        };
        let mut names: Vec<_> =
            self.topics.iter().filter(|(_, commits)| committed(commits)).map(|(name, _)| Arc::clone(name)).collect();
        names.sort_unstable();
        names
    }
}

/// What a trigger wants to know of a group.
pub(super) struct Question {
    pub group: Arc<str>,
    /// Wait for open transactions that commit offsets.
    pub stable: bool,
    /// Which partitions of which topics; `None` is all there are.
    pub topics: Option<Vec<(Arc<Topic>, Vec<i32>)>>,
}

type CommitsAsk = Ask<Question, Arc<GroupCommits>>;

/// Asks for commits, many groups at once.
pub(super) struct Commits(Batcher<Question, Arc<GroupCommits>>);

impl Commits {
    pub fn new(cluster: &Arc<Cluster>) -> Self {
        let asker =
            Arc::new(Asker { cluster: Arc::clone(cluster), coordinators: Coordinators::new(Arc::clone(cluster)) });
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
}

/// All that is asked of one group.
struct Gather {
    group: Arc<str>,
    stable: bool,
    /// Partitions by topic; `None` is all.
    topics: Option<BTreeMap<Arc<str>, BTreeSet<i32>>>,
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
            group: Arc::clone(group),
            stable: *stable,
            topics: Some(BTreeMap::new()),
            asks: Vec::new(),
        });
        match (topics, &mut gather.topics) {
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
            let groups: Vec<Arc<str>> = gathers.iter().map(|gather| Arc::clone(&gather.group)).collect();
            let coordinators = self.coordinators.of(&groups).await;
            let mut by_coordinator: HashMap<i32, Vec<(Gather, Option<u64>)>> = HashMap::new();
            let mut failed = Vec::new();
            for gather in gathers {
                match coordinators.get(&gather.group) {
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
            if version < ALL_TOPICS {
                let at = &link.peer().address;
                let text = format!("`{at}` speaks no OffsetFetch of version {ALL_TOPICS}: it is too old a Kafka");
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
        let answers = match terms.version {
            MANY_GROUPS.. => many(link, terms, &gathers).await,
            _ => Ok(one_by_one(link, terms, &gathers).await),
        };
        let mut answers = match answers {
            Ok(answers) => answers,
            Err(error) => return self.lost(gathers, &error),
        };
        let mut failed = Vec::new();
        for gather in gathers {
            match answers.remove(&gather.group) {
                Some(Ok(answer)) => {
                    if terms.stable && answer.code == 0 {
                        self.coordinators.proven(&gather.group, broker, link.serial);
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
        self.coordinators.forget(gathers.iter().map(|gather| &gather.group));
        let error = self.cluster.scoped(error.clone());
        gathers.into_iter().map(|gather| (gather, error.clone())).collect()
    }

    fn settle(&self, gather: Gather, answer: Answer, failed: &mut Vec<Failed>) {
        let all = gather.topics.is_none();
        match answer.code {
            0 => {}
            codes::GROUP_ID_NOT_FOUND => return gather.answer(Ok(GroupCommits { topics: HashMap::new(), all: true })),
            code => {
                if matches!(code, codes::NOT_COORDINATOR | codes::COORDINATOR_NOT_AVAILABLE) {
                    self.coordinators.forget([&gather.group].into_iter());
                }
                return failed.push(with_code(gather, code));
            }
        }
        let mut topics = HashMap::with_capacity(answer.topics.len());
        for (name, mut partitions) in answer.topics {
            let refused = partitions.iter().map(|(_, _, code)| *code).find(|code| *code != 0);
            if let Some(code) = refused.filter(|code| *code != codes::UNKNOWN_TOPIC_OR_PARTITION && codes::heals(*code))
            {
                return failed.push(with_code(gather, code));
            }
            let commits = match refused {
                None => {
                    partitions.sort_unstable();
                    Ok(partitions.into_iter().map(|(id, offset, _)| (id, offset)).collect())
                }
                Some(code) => Err(codes::error(code, &format!("topic `{name}`"))),
            };
            topics.insert(name, commits);
        }
        gather.answer(Ok(GroupCommits { topics, all }));
    }
}

fn with_code(gather: Gather, code: i16) -> Failed {
    let error = codes::error(code, &format!("group `{}`", gather.group));
    (gather, error)
}

/// What did not work, and why.
type Failed = (Gather, ReadError);

/// How to ask.
#[derive(Clone, Copy)]
struct Terms {
    version: i16,
    /// Wait until the commits are beyond doubt.
    stable: bool,
}

/// What a coordinator says of one group.
struct Answer {
    code: i16,
    /// Partition, offset and error code, by topic.
    topics: Vec<(Arc<str>, Vec<(i32, i64, i16)>)>,
}

/// One request for all groups.
async fn many(
    link: &Link,
    terms: Terms,
    gathers: &[Gather],
) -> Result<HashMap<Arc<str>, Result<Answer, ReadError>>, ReadError> {
    let topic = |(name, partitions): (&Arc<str>, &BTreeSet<i32>)| {
        let partitions = partitions.iter().copied().collect();
        OffsetFetchRequestTopics::default().with_name(topic_name(name)).with_partition_indexes(partitions)
    };
    let group = |gather: &Gather| {
        OffsetFetchRequestGroup::default()
            .with_group_id(group_id(&gather.group))
            .with_topics(gather.topics.as_ref().map(|topics| topics.iter().map(topic).collect()))
    };
    let request = OffsetFetchRequest::default()
        .with_groups(gathers.iter().map(group).collect())
        .with_require_stable(terms.stable);
    let response = link.call(&request, terms.version, REQUEST).await?;
    let answers = response.groups.into_iter().map(|group| {
        let topics = group.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|p| (p.partition_index, p.committed_offset, p.error_code)).collect();
            (Arc::from(topic.name.as_str()), partitions)
        });
        (Arc::from(group.group_id.as_str()), Ok(Answer { code: group.error_code, topics: topics.collect() }))
    });
    Ok(answers.collect())
}

/// A request for each group, one behind the other without waiting.
async fn one_by_one(link: &Link, terms: Terms, gathers: &[Gather]) -> HashMap<Arc<str>, Result<Answer, ReadError>> {
    let asking: FuturesUnordered<_> = gathers
        .iter()
        .map(|gather| async move { (Arc::clone(&gather.group), one(link, terms, gather).await) })
        .collect();
    asking.collect().await
}

async fn one(link: &Link, terms: Terms, gather: &Gather) -> Result<Answer, ReadError> {
    let topic = |(name, partitions): (&Arc<str>, &BTreeSet<i32>)| {
        let partitions = partitions.iter().copied().collect();
        OffsetFetchRequestTopic::default().with_name(topic_name(name)).with_partition_indexes(partitions)
    };
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id(&gather.group))
        .with_topics(gather.topics.as_ref().map(|topics| topics.iter().map(topic).collect()))
        .with_require_stable(terms.stable && terms.version >= STABLE);
    let response = link.call(&request, terms.version, REQUEST).await?;
    let topics = response.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|p| (p.partition_index, p.committed_offset, p.error_code)).collect();
        (Arc::from(topic.name.as_str()), partitions)
    });
    Ok(Answer { code: response.error_code, topics: topics.collect() })
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
