//! Where logs start and end: one ListOffsets to each leader for all topics of a batch.
//!
//! A leader that has moved is followed inside the batch. Each topic is answered as soon as its last partition is
//! known, so a broker that hangs holds up only the topics that it leads.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_protocol::messages::{
    BrokerId, ListOffsetsRequest,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::{
    cluster::{
        Cluster, REQUEST,
        heal::Heal,
        topics::{Partition, Topic, Topics, topic_name},
    },
    query::Isolation,
    wire::{codes, replies::ListedPartition},
};
use crate::{
    backend::batch::{Ask, Batcher},
    error::{ReadError, ReadErrorKind},
};

/// Triggers that are due together ask within this time.
const WINDOW: Duration = Duration::from_millis(2);
/// Who needs a start learns so from its commits, and coordinators do not answer in step.
const START_WINDOW: Duration = Duration::from_millis(10);
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const ANY_REPLICA: BrokerId = BrokerId(-1);

/// Which end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    Start,
    End(Isolation),
}

/// A topic's offsets, ascending by partition; `None` where the broker keeps silent about a partition.
pub type TopicOffsets = Vec<(i32, Option<i64>)>;

#[derive(Clone)]
pub struct Question {
    topic: Arc<Topic>,
    at: At,
    partitions: Vec<i32>,
}

type OffsetsAsk = Ask<Question, Arc<TopicOffsets>>;

/// Asks for offsets, many at once.
pub struct Offsets {
    ends: Batcher<Question, Arc<TopicOffsets>>,
    starts: Batcher<Question, Arc<TopicOffsets>>,
}

impl Offsets {
    pub fn new(cluster: &Arc<Cluster>, topics: &Arc<Topics>) -> Self {
        let batcher = |window| {
            let asker = Arc::new(Asker { cluster: Arc::clone(cluster), topics: Arc::clone(topics) });
            Batcher::new(window, move |asks| {
                let asker = Arc::clone(&asker);
                async move { asker.answer(asks).await }
            })
        };
        Self { ends: batcher(WINDOW), starts: batcher(START_WINDOW) }
    }

    /// One end of these partitions of `topic`; others may be in the answer too.
    pub async fn of(&self, topic: &Arc<Topic>, partitions: Vec<i32>, at: At) -> Result<Arc<TopicOffsets>, ReadError> {
        if partitions.is_empty() {
            return Ok(Arc::default());
        }
        let batcher = if at == At::Start { &self.starts } else { &self.ends };
        batcher.ask(Question { topic: Arc::clone(topic), at, partitions }).await
    }
}

struct Asker {
    cluster: Arc<Cluster>,
    topics: Arc<Topics>,
}

/// One partition to ask for.
struct Part {
    /// Whose it is on the board.
    gather: usize,
    topic: Arc<str>,
    at: At,
    partition: i32,
    leader: Option<i32>,
    /// A broker has already left it out of its answer.
    silent: bool,
}

/// A part that did not work, and why.
type Failed = (Part, ReadError);

/// What a batch is to find out: one entry for each topic and end.
struct Board(Mutex<Vec<Gather>>);

struct Gather {
    asks: Vec<OffsetsAsk>,
    missing: usize,
    offsets: TopicOffsets,
}

impl Asker {
    async fn answer(&self, asks: Vec<OffsetsAsk>) {
        let (parts, board) = sort(asks);
        self.ask(parts, &board, Heal::start()).await;
    }

    /// Asks all leaders side by side, each followed by its own healing. Boxed, since healing asks again.
    fn ask<'a>(&'a self, parts: Vec<Part>, board: &'a Board, heal: Heal) -> BoxFuture<'a, ()> {
        let mut by_leader: HashMap<(Option<i32>, At), Vec<Part>> = HashMap::new();
        for part in parts {
            by_leader.entry((part.leader, part.at)).or_default().push(part);
        }
        let asking: FuturesUnordered<_> = by_leader
            .into_iter()
            .map(|((leader, at), parts)| async move {
                let failed = match leader {
                    Some(leader) => self.ask_leader(leader, at, parts, board).await,
                    None => parts.into_iter().map(|part| with_code(part, codes::LEADER_NOT_AVAILABLE)).collect(),
                };
                self.heal(failed, board, heal).await;
            })
            .collect();
        asking.collect::<()>().boxed()
    }

    /// One ListOffsets. Returns what is worth another try.
    async fn ask_leader(&self, leader: i32, at: At, parts: Vec<Part>, board: &Board) -> Vec<Failed> {
        let asked = async {
            let link = self.cluster.broker(leader).await?;
            let version = link.version::<ListOffsetsRequest>(i16::MAX)?;
            let mut request =
                ListOffsetsRequest::default().with_replica_id(ANY_REPLICA).with_topics(wanted(&parts, at));
            if at == At::End(Isolation::ReadCommitted) {
                request = request.with_isolation_level(1);
            }
            if version >= 10 {
                request = request.with_timeout_ms(i32::try_from(REQUEST.as_millis()).unwrap_or(i32::MAX));
            }
            link.call(&request, version, REQUEST).await
        };
        let reply = match asked.await {
            Ok(reply) => reply,
            Err(error) => {
                let error = self.cluster.scoped(error);
                return parts.into_iter().map(|part| (part, error.clone())).collect();
            }
        };
        let mut waiting: HashMap<(Arc<str>, i32), Part> =
            parts.into_iter().map(|part| ((Arc::clone(&part.topic), part.partition), part)).collect();
        let mut again = Vec::new();
        for answer in reply.partitions {
            let Some(part) = waiting.remove(&(Arc::clone(&answer.topic), answer.id)) else { continue };
            match offset(&answer) {
                Ok(offset) => board.found(&part, Some(offset)),
                Err(code) => again.push(with_code(part, code)),
            }
        }
        for part in waiting.into_values() {
            if part.silent {
                board.found(&part, None);
            } else {
                again.push(with_code(Part { silent: true, ..part }, codes::LEADER_NOT_AVAILABLE));
            }
        }
        again
    }

    /// Finds the leaders anew and asks again, while there is time and hope.
    async fn heal(&self, failed: Vec<Failed>, board: &Board, heal: Heal) {
        let (again, lost): (Vec<Failed>, Vec<Failed>) =
            failed.into_iter().partition(|(_, error)| heal.is_worth_it(error));
        for (part, error) in lost {
            board.lost(&part, error);
        }
        if again.is_empty() {
            return;
        }
        let heal = heal.pause().await;
        let now = Instant::now();
        let names: HashSet<Arc<str>> = again.iter().map(|(part, _)| Arc::clone(&part.topic)).collect();
        let fresh: FuturesUnordered<_> = names
            .into_iter()
            .map(|name| async move {
                let topic = self.topics.newer(&name, Some(now)).await;
                (name, topic)
            })
            .collect();
        let fresh: HashMap<Arc<str>, Result<Arc<Topic>, ReadError>> = fresh.collect().await;
        let mut parts = Vec::new();
        for (part, error) in again {
            match fresh.get(&part.topic) {
                Some(Ok(topic)) => match topic.partition(part.partition) {
                    Some(partition) => parts.push(Part { leader: leader(partition), ..part }),
                    // Deleted and made again with fewer partitions: the next read sees it right.
                    None => board.lost(&part, error),
                },
                Some(Err(error)) => board.lost(&part, error.clone()),
                None => board.lost(&part, error),
            }
        }
        self.ask(parts, board, heal).await;
    }
}

impl Board {
    fn found(&self, part: &Part, offset: Option<i64>) {
        let mut gathers = self.0.lock();
        let Some(gather) = gathers.get_mut(part.gather) else { return };
        gather.offsets.push((part.partition, offset));
        gather.missing -= 1;
        if gather.missing == 0 {
            gather.offsets.sort_unstable();
            let offsets = Arc::new(std::mem::take(&mut gather.offsets));
            for ask in gather.asks.drain(..) {
                ask.answer(Ok(Arc::clone(&offsets)));
            }
        }
    }

    /// One partition that cannot be known makes the whole topic an error: a part of the truth would be a wrong value.
    fn lost(&self, part: &Part, error: ReadError) {
        let mut gathers = self.0.lock();
        let Some(gather) = gathers.get_mut(part.gather) else { return };
        gather.missing -= 1;
        for ask in gather.asks.drain(..) {
            ask.answer(Err(error.clone()));
        }
    }
}

/// Merges questions about the same topic and end.
fn sort(asks: Vec<OffsetsAsk>) -> (Vec<Part>, Board) {
    let mut gathers: Vec<Gather> = Vec::new();
    let mut index: HashMap<(Arc<str>, At), (usize, HashSet<i32>)> = HashMap::new();
    let mut parts = Vec::new();
    for ask in asks {
        let Question { topic, at, partitions } = &ask.question;
        let (i, known) = index.entry((Arc::clone(&topic.name), *at)).or_insert_with(|| {
            gathers.push(Gather { asks: Vec::new(), missing: 0, offsets: Vec::new() });
            (gathers.len() - 1, HashSet::new())
        });
        for &partition in partitions.iter().filter(|partition| known.insert(**partition)) {
            let leader = topic.partition(partition).and_then(leader);
            parts.push(Part { gather: *i, topic: Arc::clone(&topic.name), at: *at, partition, leader, silent: false });
        }
        if let Some(gather) = gathers.get_mut(*i) {
            gather.missing = known.len();
            gather.asks.push(ask);
        }
    }
    (parts, Board(Mutex::new(gathers)))
}

fn leader(partition: &Partition) -> Option<i32> {
    partition.leader.map(|(broker, _)| broker)
}

fn wanted(parts: &[Part], at: At) -> Vec<ListOffsetsTopic> {
    let timestamp = match at {
        At::Start => EARLIEST,
        At::End(_) => LATEST,
    };
    let mut topics: HashMap<&str, Vec<ListOffsetsPartition>> = HashMap::new();
    for part in parts {
        let partition = ListOffsetsPartition::default().with_partition_index(part.partition).with_timestamp(timestamp);
        topics.entry(&part.topic).or_default().push(partition);
    }
    let topic =
        |(name, partitions)| ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(partitions);
    topics.into_iter().map(topic).collect()
}

fn offset(answer: &ListedPartition) -> Result<i64, i16> {
    match answer.code {
        // A broker that has no offset to give says -1; 0 would be a lie.
        0 if answer.offset < 0 => Err(codes::LEADER_NOT_AVAILABLE),
        0 => Ok(answer.offset),
        code => Err(code),
    }
}

fn with_code(part: Part, code: i16) -> Failed {
    let what = format!("partition {} of topic `{}`", part.partition, part.topic);
    let error = match codes::error(code, &what) {
        // The topic is what one creates or grants rights on.
        error if matches!(error.kind, ReadErrorKind::Denied) => codes::error(code, &format!("topic `{}`", part.topic)),
        error => error,
    };
    (part, error)
}
