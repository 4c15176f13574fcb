//! What a cluster says of itself: its brokers, who leads what, and who coordinates which group.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    backend::kafka::client::wire::body::{Body, Malformed, push},
    limits,
};

/// Brokers and topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub throttle_ms: i32,
    pub brokers: Vec<BrokerAddress>,
    pub topics: Vec<TopicAnswer>,
    /// Of the request as a whole.
    pub code: i16,
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

/// A topic, if its code is 0.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicAnswer {
    pub code: i16,
    /// Empty where the broker knows the id only.
    pub name: Arc<str>,
    /// Nil on brokers that know none.
    pub id: Uuid,
    pub partitions: Vec<PartitionLeader>,
}

/// Who leads a partition; a broker below 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLeader {
    pub id: i32,
    pub broker: i32,
    /// −1 if not known.
    pub epoch: i32,
}

impl Metadata {
    /// From version 4 on.
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let mut reply = Self { throttle_ms: body.i32()?, ..Self::default() };
        body.each(|body| {
            let broker = BrokerAddress { id: body.i32()?, host: body.text()?.to_owned(), port: body.i32()? };
            body.optional_text()?;
            body.tags()?;
            push(&mut reply.brokers, broker, "brokers", limits::KAFKA_BROKERS)
        })?;
        body.optional_text()?;
        body.i32()?;
        body.each(|body| {
            let topic = TopicAnswer::read(body, version)?;
            push(&mut reply.topics, topic, "topics", limits::KAFKA_TOPICS)
        })?;
        if (8..=10).contains(&version) {
            body.i32()?;
        }
        if version >= 13 {
            reply.code = body.i16()?;
        }
        body.tags()?;
        Ok(reply)
    }
}

impl TopicAnswer {
    fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let code = body.i16()?;
        let name = if version >= 12 { body.optional_text()?.unwrap_or_default() } else { body.text()? };
        let id = if version >= 10 { body.uuid()? } else { Uuid::nil() };
        body.i8()?;
        let mut topic = Self { code, name: name.into(), id, partitions: Vec::new() };
        body.each(|body| {
            body.i16()?;
            let (id, broker) = (body.i32()?, body.i32()?);
            let epoch = if version >= 7 { body.i32()? } else { -1 };
            body.skip_each(4)?;
            body.skip_each(4)?;
            if version >= 5 {
                body.skip_each(4)?;
            }
            body.tags()?;
            let partition = PartitionLeader { id, broker, epoch };
            push(&mut topic.partitions, partition, "partitions of one topic", limits::KAFKA_PARTITIONS)
        })?;
        if version >= 8 {
            body.i32()?;
        }
        body.tags()?;
        Ok(topic)
    }
}

/// The coordinators of some groups.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FindCoordinator {
    pub throttle_ms: i32,
    /// One, of a group that is not named, before version 4.
    pub coordinators: Vec<CoordinatorAnswer>,
}

/// A group's coordinator, if its code is 0.
#[derive(Debug, PartialEq, Eq)]
pub struct CoordinatorAnswer {
    /// Empty before version 4.
    pub group: String,
    pub code: i16,
    pub broker: BrokerAddress,
}

impl FindCoordinator {
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let mut reply = Self::default();
        if version >= 1 {
            reply.throttle_ms = body.i32()?;
        }
        if version >= 4 {
            body.each(|body| {
                let group = body.text()?.to_owned();
                let broker = BrokerAddress { id: body.i32()?, host: body.text()?.to_owned(), port: body.i32()? };
                let code = body.i16()?;
                body.optional_text()?;
                body.tags()?;
                let answer = CoordinatorAnswer { group, code, broker };
                push(&mut reply.coordinators, answer, "groups", limits::KAFKA_GROUPS)
            })?;
        } else {
            let code = body.i16()?;
            if version >= 1 {
                body.optional_text()?;
            }
            let broker = BrokerAddress { id: body.i32()?, host: body.text()?.to_owned(), port: body.i32()? };
            reply.coordinators.push(CoordinatorAnswer { group: String::new(), code, broker });
        }
        body.tags()?;
        Ok(reply)
    }
}
