//! OffsetFetch on the wire: all groups in one request where the broker can, else one request behind the other.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures::{StreamExt, stream::FuturesUnordered};
use kafka_protocol::{
    messages::{
        GroupId, OffsetFetchRequest,
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics},
    },
    protocol::StrBytes,
};

use super::super::{
    cluster::{REQUEST, topics::topic_name},
    wire::{link::Link, replies::GroupAnswer},
};
use crate::error::{ReadError, ReadErrorKind};

/// Since this version a request holds many groups.
const MANY_GROUPS: i16 = 8;
/// Since this version a broker can hold back commits of open transactions.
const STABLE: i16 = 7;
/// Since this version "all topics" can be asked.
pub const LEAST: i16 = 2;

/// Partitions by topic.
pub type Partitions = BTreeMap<Arc<str>, BTreeSet<i32>>;

/// What to ask of one group.
pub struct Wanted {
    pub group: Arc<str>,
    /// `None` is all that it has commits in.
    pub topics: Option<Partitions>,
}

/// How to ask.
#[derive(Clone, Copy)]
pub struct Terms {
    pub version: i16,
    /// Wait until the commits are beyond doubt.
    pub stable: bool,
}

/// An answer, or why there is none, by group.
pub type Answers = HashMap<Arc<str>, Result<GroupAnswer, ReadError>>;

/// Asks a coordinator for some of its groups.
pub async fn ask(link: &Link, terms: Terms, wanted: &[&Wanted]) -> Result<Answers, ReadError> {
    match terms.version {
        MANY_GROUPS.. => many(link, terms, wanted).await,
        _ => Ok(one_by_one(link, terms, wanted).await),
    }
}

/// One request for all groups.
async fn many(link: &Link, terms: Terms, wanted: &[&Wanted]) -> Result<Answers, ReadError> {
    let topic = |(name, partitions): (&Arc<str>, &BTreeSet<i32>)| {
        let partitions = partitions.iter().copied().collect();
        OffsetFetchRequestTopics::default().with_name(topic_name(name)).with_partition_indexes(partitions)
    };
    let group = |wanted: &&Wanted| {
        OffsetFetchRequestGroup::default()
            .with_group_id(group_id(&wanted.group))
            .with_topics(wanted.topics.as_ref().map(|topics| topics.iter().map(topic).collect()))
    };
    let request =
        OffsetFetchRequest::default().with_groups(wanted.iter().map(group).collect()).with_require_stable(terms.stable);
    let reply = link.call(&request, terms.version, REQUEST).await?;
    let answers = reply.groups.into_iter().map(|group| (Arc::from(group.group.as_str()), Ok(group)));
    Ok(answers.collect())
}

/// A request for each group, one behind the other without waiting.
async fn one_by_one(link: &Link, terms: Terms, wanted: &[&Wanted]) -> Answers {
    let asking: FuturesUnordered<_> = wanted
        .iter()
        .map(|wanted| async move { (Arc::clone(&wanted.group), one(link, terms, wanted).await) })
        .collect();
    asking.collect().await
}

async fn one(link: &Link, terms: Terms, wanted: &Wanted) -> Result<GroupAnswer, ReadError> {
    let topic = |(name, partitions): (&Arc<str>, &BTreeSet<i32>)| {
        let partitions = partitions.iter().copied().collect();
        OffsetFetchRequestTopic::default().with_name(topic_name(name)).with_partition_indexes(partitions)
    };
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id(&wanted.group))
        .with_topics(wanted.topics.as_ref().map(|topics| topics.iter().map(topic).collect()))
        .with_require_stable(terms.stable && terms.version >= STABLE);
    let mut reply = link.call(&request, terms.version, REQUEST).await?;
    reply.groups.pop().ok_or_else(|| ReadError::new(ReadErrorKind::BadReply, "an OffsetFetch answer without a group"))
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}
