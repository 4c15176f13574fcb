//! Replies as Kafka writes them, in every version that we ask in, read back.

mod hostile;
mod samples;

use kafka_protocol::messages::{
    ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, ShareGroupDescribeRequest,
};
use uuid::Uuid;

use self::samples::*;
use super::*;
use crate::backend::kafka::client::wire::frames;

#[test]
fn greetings_and_logins_are_read_in_every_version() {
    for v in versions::<ApiVersionsRequest>() {
        let read =
            frames::decode::<ApiVersionsRequest>(&frame::<ApiVersionsRequest, _>(&api_versions(v), v), v).unwrap();
        let throttle_ms = if v >= 1 { 5 } else { 0 };
        assert_eq!(
            read,
            ApiVersions { code: 35, versions: vec![(3, 0, 13), (18, 0, 4), (77, 0, 1)], throttle_ms },
            "{v}"
        );
    }
    for v in versions::<SaslHandshakeRequest>() {
        let read =
            frames::decode::<SaslHandshakeRequest>(&frame::<SaslHandshakeRequest, _>(&handshake(), v), v).unwrap();
        assert_eq!(read, SaslHandshake { code: 33, mechanisms: vec!["PLAIN".into(), "GSSAPI".into()] });
    }
    for v in versions::<SaslAuthenticateRequest>() {
        let bytes = frame::<SaslAuthenticateRequest, _>(&authenticate(v), v);
        let lifetime_ms = if v >= 1 { 900 } else { 0 };
        let expected = SaslAuthenticate { code: 58, message: Some("no".into()), bytes: b"r=1".into(), lifetime_ms };
        assert_eq!(frames::decode::<SaslAuthenticateRequest>(&bytes, v).unwrap(), expected);
    }
}

#[test]
fn brokers_topics_and_coordinators_are_read_in_every_version() {
    let broker = |id, host: &str, port| BrokerAddress { id, host: host.into(), port };
    for v in versions::<MetadataRequest>() {
        let read = frames::decode::<MetadataRequest>(&frame::<MetadataRequest, _>(&metadata(v), v), v).unwrap();
        let epoch = if v >= 7 { 4 } else { -1 };
        let partitions =
            vec![PartitionLeader { id: 0, broker: 1, epoch }, PartitionLeader { id: 1, broker: -1, epoch }];
        let id = if v >= 10 { ID } else { Uuid::nil() };
        let topic = TopicAnswer { code: 0, name: "t".into(), id, partitions };
        let gone = TopicAnswer { code: 3, name: "gone".into(), id: Uuid::nil(), partitions: vec![] };
        let brokers = vec![broker(1, "b1", 9092), broker(2, "b1", 9092)];
        let code = if v >= 13 { 129 } else { 0 };
        assert_eq!(read, Metadata { throttle_ms: 9, brokers, topics: vec![topic, gone], code }, "{v}");
    }
    for v in versions::<FindCoordinatorRequest>() {
        let bytes = frame::<FindCoordinatorRequest, _>(&find_coordinator(v), v);
        let answer = |group: &str, code| CoordinatorAnswer { group: group.into(), code, broker: broker(2, "b2", 9093) };
        let coordinators = if v >= 4 { vec![answer("g", 0), answer("h", 15)] } else { vec![answer("", 15)] };
        let expected = FindCoordinator { throttle_ms: if v >= 1 { 2 } else { 0 }, coordinators };
        assert_eq!(frames::decode::<FindCoordinatorRequest>(&bytes, v).unwrap(), expected, "{v}");
    }
}

#[test]
fn share_groups_are_told_from_others() {
    let bytes = frame::<ShareGroupDescribeRequest, _>(&share_groups(), 1);
    let expected = ShareGroups { throttle_ms: 4, groups: vec!["s".into()] };
    assert_eq!(frames::decode::<ShareGroupDescribeRequest>(&bytes, 1).unwrap(), expected);
}

#[test]
fn offsets_are_read_in_every_version() {
    for v in versions::<OffsetFetchRequest>() {
        let read =
            frames::decode::<OffsetFetchRequest>(&frame::<OffsetFetchRequest, _>(&offset_fetch(v), v), v).unwrap();
        let commits = || {
            vec![TopicCommits { topic: "t".into(), partitions: vec![PartitionCommit { id: 3, offset: 77, code: 88 }] }]
        };
        let group = |name: &str, code| GroupAnswer { group: name.into(), code, topics: commits() };
        let groups = if v >= 8 { vec![group("g", 0), group("g", 16)] } else { vec![group("", 16)] };
        assert_eq!(read, OffsetFetch { throttle_ms: i32::from(v >= 3), groups }, "{v}");
    }
    for v in versions::<ListOffsetsRequest>() {
        let read =
            frames::decode::<ListOffsetsRequest>(&frame::<ListOffsetsRequest, _>(&list_offsets(v), v), v).unwrap();
        let partition = || ListedPartition { topic: "t".into(), id: 4, code: 6, offset: 1_000 };
        let throttle_ms = if v >= 2 { 6 } else { 0 };
        assert_eq!(read, ListOffsets { throttle_ms, partitions: vec![partition(), partition()] }, "{v}");
    }
    for v in versions::<FetchRequest>() {
        let read = frames::decode::<FetchRequest>(&frame::<FetchRequest, _>(&fetch(v), v), v).unwrap();
        let (topic, topic_id) = if v >= 13 { ("", ID) } else { ("t", Uuid::nil()) };
        let partition = |id, code, last_stable_offset, has_records| FetchedPartition {
            topic: topic.into(),
            topic_id,
            id,
            code,
            high_watermark: 10,
            last_stable_offset,
            has_records,
        };
        let partitions = vec![partition(5, 75, 8, true), partition(0, 0, -1, false)];
        let (code, session) = if v >= 7 { (70, 11) } else { (0, 0) };
        assert_eq!(read, Fetch { throttle_ms: 8, code, session, partitions }, "{v}");
    }
}
