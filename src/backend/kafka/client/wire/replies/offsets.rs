//! Offsets: what groups have committed, where logs start and end, and what a parked Fetch has heard.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    backend::kafka::client::wire::body::{Body, Malformed, push},
    limits,
};

/// Since this version OffsetFetch answers for many groups.
const MANY_GROUPS: i16 = 8;

/// What groups have committed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OffsetFetch {
    pub throttle_ms: i32,
    /// One, of a group that is not named, before version 8.
    pub groups: Vec<GroupAnswer>,
}

/// One group's commits, if its code is 0.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GroupAnswer {
    /// Empty before version 8.
    pub group: String,
    pub code: i16,
    pub topics: Vec<TopicCommits>,
}

/// Commits in one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicCommits {
    pub topic: Arc<str>,
    pub partitions: Vec<PartitionCommit>,
}

/// Where a group stands, if the code is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionCommit {
    pub id: i32,
    /// −1 is no commit.
    pub offset: i64,
    pub code: i16,
}

impl OffsetFetch {
    /// From version 2 to 9.
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let mut reply = Self::default();
        if version >= 3 {
            reply.throttle_ms = body.i32()?;
        }
        if version < MANY_GROUPS {
            let topics = topics(body, version)?;
            reply.groups.push(GroupAnswer { group: String::new(), code: body.i16()?, topics });
        } else {
            body.each(|body| {
                let group = body.text()?.to_owned();
                let topics = topics(body, version)?;
                let code = body.i16()?;
                body.tags()?;
                push(&mut reply.groups, GroupAnswer { group, code, topics }, "groups", limits::KAFKA_GROUPS)
            })?;
        }
        body.tags()?;
        Ok(reply)
    }
}

fn topics(body: &mut Body<'_>, version: i16) -> Result<Vec<TopicCommits>, Malformed> {
    let mut topics = Vec::new();
    body.each(|body| {
        let topic = body.text()?;
        let mut partitions = Vec::new();
        body.each(|body| {
            let (id, offset) = (body.i32()?, body.i64()?);
            if version >= 5 {
                body.i32()?;
            }
            body.optional_text()?;
            let code = body.i16()?;
            body.tags()?;
            partitions.push(PartitionCommit { id, offset, code });
            Ok(())
        })?;
        // One without partitions says nothing.
        if !partitions.is_empty() {
            topics.push(TopicCommits { topic: topic.into(), partitions });
        }
        body.tags()
    })?;
    Ok(topics)
}

/// Where logs start or end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ListOffsets {
    pub throttle_ms: i32,
    pub partitions: Vec<ListedPartition>,
}

/// One end of a partition, if its code is 0.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedPartition {
    pub topic: Arc<str>,
    pub id: i32,
    pub code: i16,
    pub offset: i64,
}

impl ListOffsets {
    /// From version 1 on.
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let mut reply = Self::default();
        if version >= 2 {
            reply.throttle_ms = body.i32()?;
        }
        body.each(|body| {
            let topic: Arc<str> = body.text()?.into();
            body.each(|body| {
                let (id, code) = (body.i32()?, body.i16()?);
                body.i64()?;
                let offset = body.i64()?;
                if version >= 4 {
                    body.i32()?;
                }
                body.tags()?;
                reply.partitions.push(ListedPartition { topic: Arc::clone(&topic), id, code, offset });
                Ok(())
            })?;
            body.tags()
        })?;
        body.tags()?;
        Ok(reply)
    }
}

/// What a Fetch has heard. Records are stepped over unread.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    pub throttle_ms: i32,
    /// Of the session.
    pub code: i16,
    /// 0 is no session.
    pub session: i32,
    pub partitions: Vec<FetchedPartition>,
}

/// One partition, if its code is 0.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Empty since version 13.
    pub topic: Arc<str>,
    /// Nil before version 13.
    pub topic_id: Uuid,
    pub id: i32,
    pub code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub has_records: bool,
}

impl Fetch {
    /// From version 4 on.
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let mut reply = Self { throttle_ms: body.i32()?, ..Self::default() };
        if version >= 7 {
            (reply.code, reply.session) = (body.i16()?, body.i32()?);
        }
        body.each(|body| {
            let topic: Arc<str> = if version <= 12 { body.text()?.into() } else { Arc::default() };
            let topic_id = if version >= 13 { body.uuid()? } else { Uuid::nil() };
            body.each(|body| {
                let (id, code) = (body.i32()?, body.i16()?);
                let (high_watermark, last_stable_offset) = (body.i64()?, body.i64()?);
                if version >= 5 {
                    body.i64()?;
                }
                body.each(|aborted| {
                    aborted.skip(16)?;
                    aborted.tags()
                })?;
                if version >= 11 {
                    body.i32()?;
                }
                let has_records = !body.bytes()?.is_empty();
                body.tags()?;
                let topic = Arc::clone(&topic);
                reply.partitions.push(FetchedPartition {
                    topic,
                    topic_id,
                    id,
                    code,
                    high_watermark,
                    last_stable_offset,
                    has_records,
                });
                Ok(())
            })?;
            body.tags()
        })?;
        body.tags()?;
        Ok(reply)
    }
}
