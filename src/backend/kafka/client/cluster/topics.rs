//! Where the partitions of the topics in use are: asked for many topics at once, and remembered for a while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafka_protocol::{
    messages::{MetadataRequest, TopicName, metadata_request::MetadataRequestTopic},
    protocol::StrBytes,
};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::super::wire::{
    codes,
    replies::{PartitionLeader, TopicAnswer},
};
use super::Cluster;
use crate::{
    backend::batch::{Ask, Batcher},
    error::{ReadError, ReadErrorKind},
};

/// For so long we trust what the cluster said, unless something fails.
const TRUSTED: Duration = Duration::from_secs(30);
/// Each look asks whether its topics have grown meanwhile, unless somebody has just done so.
const FRESH: Duration = Duration::from_millis(250);
/// When a topic is asked for anyway, those that will not be fresh soon come along: one request for all.
const STALE_SOON: Duration = Duration::from_millis(125);
/// A topic that nobody asked for in so long is forgotten.
const FORGET: Duration = Duration::from_secs(120);
/// A broker that has just started may not know its topics yet.
const SECOND_LOOK: Duration = Duration::from_millis(200);
/// Triggers that are due together ask within this time.
const WINDOW: Duration = Duration::from_millis(2);
/// The first version that can ask without creating the topic.
const LEAST: i16 = 4;

/// A topic as the cluster describes it.
#[derive(Debug)]
pub struct Topic {
    pub name: Arc<str>,
    /// Nil on brokers that know none.
    pub id: Uuid,
    /// Ascending by number.
    pub partitions: Vec<Partition>,
    asked: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    pub id: i32,
    /// The leader's number and epoch, while there is one.
    pub leader: Option<(i32, i32)>,
}

impl Topic {
    /// The partition with this number.
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        self.partitions.binary_search_by_key(&id, |partition| partition.id).ok().and_then(|i| self.partitions.get(i))
    }
}

/// The topics in use.
pub struct Topics {
    known: Arc<Known>,
    batcher: Batcher<Question, Arc<Topic>>,
}

struct Known {
    cluster: Arc<Cluster>,
    topics: Mutex<HashMap<Arc<str>, Entry>>,
    /// Those that a request is under way for.
    flights: Mutex<HashMap<Arc<str>, Flight>>,
    /// Counts the times that a leader moved or a topic came or changed.
    moves: watch::Sender<u64>,
}

struct Entry {
    topic: Arc<Topic>,
    wanted: Instant,
}

/// A request for a topic, and who has joined it since.
struct Flight {
    begun: Instant,
    joined: Vec<TopicAsk>,
}

type TopicAsk = Ask<Question, Arc<Topic>>;

#[derive(Clone)]
struct Question {
    name: Arc<str>,
    /// Only an answer from after this time will do.
    then: Option<Instant>,
}

impl Topics {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let known = Arc::new(Known {
            cluster,
            topics: Mutex::default(),
            flights: Mutex::default(),
            moves: watch::Sender::new(0),
        });
        let asked = Arc::clone(&known);
        let batcher = Batcher::new(WINDOW, move |asks| {
            let known = Arc::clone(&asked);
            async move { known.answer(asks).await }
        });
        Self { known, batcher }
    }

    /// The topic, not older than half a minute.
    pub async fn get(&self, name: &Arc<str>) -> Result<Arc<Topic>, ReadError> {
        let trusted = Instant::now().checked_sub(TRUSTED);
        self.newer(name, trusted).await
    }

    /// What has become of `known`; itself while the cluster cannot be asked.
    pub async fn fresh(&self, known: &Arc<Topic>) -> Result<Arc<Topic>, ReadError> {
        use ReadErrorKind::{Throttled, Timeout, Unreachable};
        match self.newer(&known.name, Instant::now().checked_sub(FRESH)).await {
            Err(error) if matches!(error.kind, Throttled | Timeout | Unreachable) => Ok(Arc::clone(known)),
            answer => answer,
        }
    }

    /// The topic as asked for after `then`: what we knew at that time did not work.
    pub async fn newer(&self, name: &Arc<str>, then: Option<Instant>) -> Result<Arc<Topic>, ReadError> {
        match self.known.newer(name, then) {
            Some(topic) => Ok(topic),
            None => self.batcher.ask(Question { name: Arc::clone(name), then }).await,
        }
    }

    /// What is known of the topic, however old.
    pub fn peek(&self, name: &str) -> Option<Arc<Topic>> {
        self.known.topics.lock().get(name).map(|entry| Arc::clone(&entry.topic))
    }

    /// Changes whenever a leader has moved.
    pub fn moves(&self) -> watch::Receiver<u64> {
        self.known.moves.subscribe()
    }
}

impl Known {
    fn newer(&self, name: &str, then: Option<Instant>) -> Option<Arc<Topic>> {
        let mut topics = self.topics.lock();
        let entry = topics.get_mut(name)?;
        entry.wanted = Instant::now();
        then.is_none_or(|then| entry.topic.asked > then).then(|| Arc::clone(&entry.topic))
    }

    async fn answer(&self, asks: Vec<TopicAsk>) {
        let mut waiting = self.take_off(asks);
        for last in [false, true] {
            if waiting.is_empty() {
                return;
            }
            let found = match self.describe(&self.with_stale(waiting.keys())).await {
                Ok(found) => found,
                Err(error) => return self.land_all(waiting, &error),
            };
            for (name, described) in found {
                let answer = self.learn(&name, described);
                let settled = match &answer {
                    Ok(_) => true,
                    // Unknown too: brokers do not learn of a new topic in step.
                    Err(code) => last || !codes::heals(*code),
                };
                if matches!(answer, Err(codes::UNKNOWN_TOPIC_OR_PARTITION)) {
                    self.topics.lock().remove(&name);
                }
                if settled && let Some(asks) = waiting.remove(&name) {
                    let answer = answer.map_err(|code| codes::error(code, &format!("topic `{name}`")));
                    self.land(&name, asks, &answer);
                }
            }
            if last {
                // The broker kept silent about these.
                let error = codes::error(codes::LEADER_NOT_AVAILABLE, "a topic");
                return self.land_all(waiting, &error);
            }
            if !waiting.is_empty() {
                sleep(SECOND_LOOK).await;
            }
        }
    }

    /// Whom a new request is for; the others join one that is under way.
    fn take_off(&self, asks: Vec<TopicAsk>) -> HashMap<Arc<str>, Vec<TopicAsk>> {
        let now = Instant::now();
        let mut flights = self.flights.lock();
        let mut waiting: HashMap<Arc<str>, Vec<TopicAsk>> = HashMap::new();
        for ask in asks {
            let Question { name, then } = &ask.question;
            match flights.get_mut(name) {
                Some(flight) if then.is_none_or(|then| flight.begun > then) => flight.joined.push(ask),
                _ => waiting.entry(Arc::clone(name)).or_default().push(ask),
            }
        }
        for name in waiting.keys() {
            flights.entry(Arc::clone(name)).or_insert_with(|| Flight { begun: now, joined: Vec::new() });
        }
        waiting
    }

    fn land(&self, name: &Arc<str>, asks: Vec<TopicAsk>, answer: &Result<Arc<Topic>, ReadError>) {
        let joined = self.flights.lock().remove(name).map(|flight| flight.joined).unwrap_or_default();
        for ask in asks.into_iter().chain(joined) {
            ask.answer(answer.clone());
        }
    }

    fn land_all(&self, waiting: HashMap<Arc<str>, Vec<TopicAsk>>, error: &ReadError) {
        for (name, asks) in waiting {
            self.land(&name, asks, &Err(error.clone()));
        }
    }

    /// `names`, and what will have to be asked for soon.
    fn with_stale<'n>(&self, names: impl Iterator<Item = &'n Arc<str>>) -> Vec<Arc<str>> {
        let mut all: Vec<Arc<str>> = names.cloned().collect();
        let mut topics = self.topics.lock();
        topics.retain(|_, entry| entry.wanted.elapsed() < FORGET);
        all.extend(
            topics.iter().filter(|(_, e)| e.topic.asked.elapsed() > STALE_SOON).map(|(name, _)| Arc::clone(name)),
        );
        all.sort_unstable();
        all.dedup();
        all
    }

    async fn describe(&self, names: &[Arc<str>]) -> Result<Vec<(Arc<str>, Described)>, ReadError> {
        let asked = Instant::now();
        let request = |_| {
            let topic = |name: &Arc<str>| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
            MetadataRequest::default()
                .with_topics(Some(names.iter().map(topic).collect()))
                .with_allow_auto_topic_creation(false)
        };
        let reply = self.cluster.ask_any(request, LEAST).await?;
        if reply.code != 0 {
            return Err(codes::error(reply.code, "the cluster's metadata"));
        }
        self.cluster.learn(&reply.brokers);
        // What nobody asked for is not kept.
        let named = reply.topics.into_iter().filter(|topic| names.binary_search(&topic.name).is_ok());
        Ok(named.map(|topic| (Arc::clone(&topic.name), described(topic, asked))).collect())
    }

    fn learn(&self, name: &Arc<str>, described: Described) -> Result<Arc<Topic>, i16> {
        let topic = described?;
        let mut topics = self.topics.lock();
        let entry = Entry { topic: Arc::clone(&topic), wanted: Instant::now() };
        let wanted = topics.get(name).map(|entry| entry.wanted);
        let before = topics.insert(Arc::clone(name), Entry { wanted: wanted.unwrap_or(entry.wanted), ..entry });
        if before.is_none_or(|before| before.topic.partitions != topic.partitions || before.topic.id != topic.id) {
            self.moves.send_modify(|moves| *moves += 1);
        }
        Ok(topic)
    }
}

/// A topic, or the error code in its stead.
type Described = Result<Arc<Topic>, i16>;

fn described(topic: TopicAnswer, asked: Instant) -> Described {
    if topic.code != 0 {
        return Err(topic.code);
    }
    let partition = |p: PartitionLeader| Partition { id: p.id, leader: (p.broker >= 0).then_some((p.broker, p.epoch)) };
    let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.id);
    partitions.dedup_by_key(|partition| partition.id);
    Ok(Arc::new(Topic { name: topic.name, id: topic.id, partitions, asked }))
}

/// A name as the codec wants it.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
