//! The contents of a parked Fetch, and what it takes to bring a broker's fetch session up to them (KIP-227).
//!
//! With a session only changes are sent; without one (id 0, or an old broker) everything is, each time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafka_protocol::messages::{
    FetchRequest, TopicName,
    fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
};
use uuid::Uuid;

use super::super::{
    cluster::topics::topic_name,
    query::Isolation,
    wire::{codes, replies::Fetch},
};

/// Since this version there are sessions.
const SESSIONS: i16 = 7;
/// Since this version a leader's epoch is checked.
const EPOCHS: i16 = 9;
/// Since this version topics go by id.
pub const TOPIC_IDS: i16 = 13;

/// Where to wait in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The offset that the next record will get.
    pub from: i64,
    /// The leader's epoch, so that a former leader refuses us; −1 if not known.
    pub epoch: i32,
}

/// The partitions of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicPlaces {
    /// Nil if not known.
    pub id: Uuid,
    pub partitions: HashMap<i32, Place>,
}

/// All that one Fetch waits for, by topic.
pub type Places = HashMap<Arc<str>, TopicPlaces>;

/// What the broker said of one partition.
#[derive(Debug)]
pub struct Heard {
    pub topic: Arc<str>,
    pub partition: i32,
    pub code: i16,
    /// Records before this offset are there to be read.
    pub end: i64,
}

/// A fetch session with one broker, over one link.
#[derive(Debug, Default)]
pub struct Session {
    id: i32,
    epoch: i32,
    /// What the broker has in the session, or had in the last full Fetch.
    known: Places,
}

impl Session {
    /// A Fetch that waits for `places`.
    pub fn request(&mut self, places: &Places, version: i16, isolation: Isolation, wait: Duration) -> FetchRequest {
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            // One batch comes whole all the same, but not one of each partition.
            .with_max_bytes(1)
            .with_isolation_level(if isolation == Isolation::ReadCommitted { 1 } else { 0 });
        let before = std::mem::replace(&mut self.known, places.clone());
        if self.id == 0 {
            let request = request.with_topics(added(&Places::new(), places, version));
            // Epoch 0 asks for a session.
            return if version >= SESSIONS { request.with_session_epoch(0) } else { request };
        }
        request
            .with_session_id(self.id)
            .with_session_epoch(self.epoch)
            .with_topics(added(&before, places, version))
            .with_forgotten_topics_data(removed(&before, places, version))
    }

    /// Reads the answer to the last request. `Err`: the session is void, and the next request starts another one.
    pub fn read(&mut self, reply: Fetch, isolation: Isolation) -> Result<Vec<Heard>, i16> {
        if reply.code != 0 {
            *self = Self::default();
            return Err(reply.code);
        }
        self.epoch = match (reply.session, self.id) {
            (0, _) => 0,
            (granted, had) if granted != had => 1,
            // Wraps around zero, which would ask for another session.
            _ => self.epoch.checked_add(1).unwrap_or(1),
        };
        self.id = reply.session;
        let names: HashMap<Uuid, &Arc<str>> = self.known.iter().map(|(name, topic)| (topic.id, name)).collect();
        let mut heard = Vec::new();
        for answer in reply.partitions {
            let by_name = || self.known.get_key_value(&answer.topic).map(|(name, _)| name);
            let name = if answer.topic_id.is_nil() { by_name() } else { names.get(&answer.topic_id).copied() };
            let Some(name) = name else { continue };
            let place = self.known.get(name).and_then(|topic| topic.partitions.get(&answer.id));
            let Some(place) = place else { continue };
            let mut end = match isolation {
                Isolation::ReadUncommitted => answer.high_watermark,
                Isolation::ReadCommitted => answer.last_stable_offset,
            };
            // Not every broker keeps its watermarks up to the moment.
            if answer.has_records {
                end = end.max(place.from.saturating_add(1));
            }
            heard.push(Heard { topic: Arc::clone(name), partition: answer.id, code: answer.code, end });
        }
        Ok(heard)
    }
}

/// Whether a session error is the broker's way to say "start anew".
pub fn is_void(code: i16) -> bool {
    matches!(
        code,
        codes::FETCH_SESSION_ID_NOT_FOUND | codes::INVALID_FETCH_SESSION_EPOCH | codes::FETCH_SESSION_TOPIC_ID_ERROR
    )
}

/// What is in `after` and was not so in `before`.
fn added(before: &Places, after: &Places, version: i16) -> Vec<FetchTopic> {
    let topics = after.iter().filter_map(|(name, topic)| {
        let known = before.get(name).filter(|known| known.id == topic.id);
        let new = topic.partitions.iter().filter(|(partition, place)| {
            known.and_then(|known| known.partitions.get(*partition)).is_none_or(|known| known != *place)
        });
        let partitions: Vec<FetchPartition> = new
            .map(|(partition, place)| {
                FetchPartition::default()
                    .with_partition(*partition)
                    .with_fetch_offset(place.from)
                    .with_partition_max_bytes(1)
                    .with_current_leader_epoch(if version >= EPOCHS { place.epoch } else { -1 })
            })
            .collect();
        let (topic_name, id) = label(name, topic.id, version);
        let topic = FetchTopic::default().with_topic(topic_name).with_topic_id(id);
        (!partitions.is_empty()).then(|| topic.with_partitions(partitions))
    });
    topics.collect()
}

/// What was in `before` and is not in `after`.
fn removed(before: &Places, after: &Places, version: i16) -> Vec<ForgottenTopic> {
    let topics = before.iter().filter_map(|(name, topic)| {
        let still = after.get(name).filter(|still| still.id == topic.id);
        let gone = |partition: &&i32| still.is_none_or(|still| !still.partitions.contains_key(*partition));
        let partitions: Vec<i32> = topic.partitions.keys().filter(gone).copied().collect();
        let (topic_name, id) = label(name, topic.id, version);
        let topic = ForgottenTopic::default().with_topic(topic_name).with_topic_id(id);
        (!partitions.is_empty()).then(|| topic.with_partitions(partitions))
    });
    topics.collect()
}

/// A topic goes by its name or by its id.
fn label(name: &str, id: Uuid, version: i16) -> (TopicName, Uuid) {
    if version >= TOPIC_IDS { (TopicName::default(), id) } else { (topic_name(name), Uuid::nil()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::kafka::client::wire::replies::FetchedPartition;

    fn places(partitions: &[(i32, i64)]) -> Places {
        let place = |from| Place { from, epoch: -1 };
        let partitions = partitions.iter().map(|(partition, from)| (*partition, place(*from))).collect();
        Places::from([("t".into(), TopicPlaces { id: Uuid::nil(), partitions })])
    }

    fn granted(session: i32) -> Fetch {
        Fetch { session, ..Fetch::default() }
    }

    fn request(session: &mut Session, places: &Places) -> FetchRequest {
        session.request(places, 12, Isolation::ReadUncommitted, Duration::from_millis(500))
    }

    #[test]
    fn within_a_session_only_changes_are_sent() {
        let mut session = Session::default();
        let first = request(&mut session, &places(&[(0, 5), (1, 7)]));
        assert_eq!((first.session_id, first.session_epoch, first.topics[0].partitions.len()), (0, 0, 2));
        session.read(granted(9), Isolation::ReadUncommitted).unwrap();
        let same = request(&mut session, &places(&[(0, 5), (1, 7)]));
        assert_eq!((same.session_id, same.session_epoch, same.topics.len()), (9, 1, 0));
        session.read(granted(9), Isolation::ReadUncommitted).unwrap();
        let moved = request(&mut session, &places(&[(0, 6), (2, 1)]));
        let mut sent: Vec<_> = moved.topics[0].partitions.iter().map(|p| (p.partition, p.fetch_offset)).collect();
        sent.sort_unstable();
        assert_eq!((moved.session_epoch, sent), (2, vec![(0, 6), (2, 1)]));
        assert_eq!(moved.forgotten_topics_data[0].partitions, [1]);
    }

    #[test]
    fn a_void_session_starts_anew_with_everything() {
        let mut session = Session::default();
        request(&mut session, &places(&[(0, 5)]));
        session.read(granted(9), Isolation::ReadUncommitted).unwrap();
        let void = Fetch { code: codes::INVALID_FETCH_SESSION_EPOCH, ..Fetch::default() };
        request(&mut session, &places(&[(0, 5)]));
        assert!(session.read(void, Isolation::ReadUncommitted).is_err_and(is_void));
        let again = request(&mut session, &places(&[(0, 5)]));
        assert_eq!((again.session_id, again.session_epoch, again.topics[0].partitions.len()), (0, 0, 1));
    }

    #[test]
    fn an_answer_tells_how_far_each_partition_has_come() {
        let partition = || FetchedPartition {
            topic: "t".into(),
            topic_id: Uuid::nil(),
            id: 0,
            code: 0,
            high_watermark: 8,
            last_stable_offset: 6,
            has_records: false,
        };
        for (isolation, end) in [(Isolation::ReadUncommitted, 8), (Isolation::ReadCommitted, 6)] {
            let mut session = Session::default();
            session.request(&places(&[(0, 5)]), 12, isolation, Duration::ZERO);
            let heard = session.read(Fetch { partitions: vec![partition()], ..granted(0) }, isolation).unwrap();
            assert_eq!((heard[0].partition, heard[0].end), (0, end));
        }
    }
}
