//! A reply of each kind in each version, as Kafka writes it: by the codecs of `kafka-protocol`, another hand's.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        OffsetFetchRequest, OffsetFetchResponse, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
        SaslHandshakeRequest, SaslHandshakeResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse, TopicName,
        api_versions_response::ApiVersion, fetch_response::*, find_coordinator_response::Coordinator,
        list_offsets_response::*, metadata_response::*, offset_fetch_response::*, share_group_describe_response::*,
    },
    protocol::{Encodable, HeaderVersion, StrBytes},
};
use uuid::Uuid;

use super::hostile::Weight;
use crate::backend::kafka::client::wire::{body::Malformed, frames, requests::Ask};

pub fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

pub fn name(name: &'static str) -> TopicName {
    TopicName(text(name))
}

pub const ID: Uuid = Uuid::from_u128(7);

/// A field of a later version of the protocol.
pub fn unknown() -> BTreeMap<i32, Bytes> {
    [(99, Bytes::from_static(b"later"))].into()
}

/// A frame without its length, as a broker sends it.
pub fn frame<R: Ask, B: Encodable + HeaderVersion>(response: &B, version: i16) -> Vec<u8> {
    let mut frame = BytesMut::new();
    ResponseHeader::default().encode(&mut frame, B::header_version(version)).unwrap();
    response.encode(&mut frame, version).unwrap();
    frame.to_vec()
}

/// One sample reply: its frame in each version, and what reads it.
pub struct Sample {
    pub what: &'static str,
    pub version: i16,
    pub frame: Vec<u8>,
    /// What it weighs when it is read.
    pub read: fn(&[u8], i16) -> Result<usize, Malformed>,
}

pub fn sample<R: Ask, B: Encodable + HeaderVersion>(version: i16, response: &B) -> Sample
where
    R::Reply: Weight,
{
    let read = |frame: &[u8], version| frames::decode::<R>(frame, version).map(|reply| reply.weight());
    Sample { what: R::NAME, version, frame: frame::<R, B>(response, version), read }
}

pub fn versions<R: Ask>() -> impl Iterator<Item = i16> {
    R::READ
}

pub fn api_versions(version: i16) -> ApiVersionsResponse {
    let api = |key: i16, max| ApiVersion::default().with_api_key(key).with_min_version(0).with_max_version(max);
    let later = |api: ApiVersion| if version >= 3 { api.with_unknown_tagged_fields(unknown()) } else { api };
    let keys = vec![later(api(3, 13)), api(18, 4), api(77, 1), api(78, 1), api(3, 99), api(-1, 1)];
    let response = ApiVersionsResponse::default().with_error_code(35).with_api_keys(keys);
    let response = if version >= 1 { response.with_throttle_time_ms(5) } else { response };
    if version >= 3 {
        response.with_finalized_features_epoch(3).with_unknown_tagged_fields(unknown())
    } else {
        response
    }
}

pub fn handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(33).with_mechanisms(vec![text("PLAIN"), text("GSSAPI")])
}

pub fn authenticate(version: i16) -> SaslAuthenticateResponse {
    let response = SaslAuthenticateResponse::default()
        .with_error_code(58)
        .with_error_message(Some(text("no")))
        .with_auth_bytes(Bytes::from_static(b"r=1"));
    if version >= 1 { response.with_session_lifetime_ms(900) } else { response }
}

pub fn metadata(version: i16) -> MetadataResponse {
    let broker = MetadataResponseBroker::default().with_node_id(1.into()).with_host(text("b1")).with_port(9092);
    let partition = |id: i32, leader: i32| {
        let partition = MetadataResponsePartition::default()
            .with_partition_index(id)
            .with_leader_id(leader.into())
            .with_replica_nodes(vec![1.into(), 2.into()])
            .with_isr_nodes(vec![1.into()]);
        let partition = if version >= 5 { partition.with_offline_replicas(vec![2.into()]) } else { partition };
        if version >= 7 { partition.with_leader_epoch(4) } else { partition }
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(name("t")))
        .with_is_internal(true)
        .with_partitions(vec![partition(0, 1), partition(1, -1)]);
    let topic = if version >= 10 { topic.with_topic_id(ID) } else { topic };
    let missing = MetadataResponseTopic::default().with_error_code(3).with_name(Some(name("gone")));
    let response = MetadataResponse::default()
        .with_throttle_time_ms(9)
        .with_brokers(vec![broker.clone().with_rack(Some(text("a"))), broker.with_node_id(2.into())])
        .with_cluster_id(Some(text("cluster")))
        .with_controller_id(1.into())
        .with_topics(vec![topic, missing]);
    let response = if version >= 13 { response.with_error_code(129) } else { response };
    if version >= 9 { response.with_unknown_tagged_fields(unknown()) } else { response }
}

pub fn find_coordinator(version: i16) -> FindCoordinatorResponse {
    let response = if version >= 4 {
        let coordinator = |key, code| {
            let coordinator = Coordinator::default().with_key(text(key)).with_node_id(2.into()).with_host(text("b2"));
            coordinator.with_port(9093).with_error_code(code)
        };
        FindCoordinatorResponse::default().with_coordinators(vec![coordinator("g", 0), coordinator("h", 15)])
    } else {
        let response = FindCoordinatorResponse::default().with_node_id(2.into()).with_host(text("b2"));
        response.with_port(9093).with_error_code(15)
    };
    if version >= 1 { response.with_throttle_time_ms(2) } else { response }
}

pub fn offset_fetch(version: i16) -> OffsetFetchResponse {
    let response = if version >= 8 {
        let partition = OffsetFetchResponsePartitions::default().with_partition_index(3).with_committed_offset(77);
        let partition =
            partition.with_committed_leader_epoch(1).with_metadata(Some(text("by hand"))).with_error_code(88);
        let topic = OffsetFetchResponseTopics::default().with_name(name("t")).with_partitions(vec![partition]);
        let group = OffsetFetchResponseGroup::default().with_group_id(text("g").into()).with_topics(vec![topic]);
        OffsetFetchResponse::default().with_groups(vec![group.clone(), group.with_error_code(16)])
    } else {
        let partition = OffsetFetchResponsePartition::default().with_partition_index(3).with_committed_offset(77);
        let partition = partition.with_metadata(None).with_error_code(88);
        let topic = OffsetFetchResponseTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        OffsetFetchResponse::default().with_topics(vec![topic]).with_error_code(16)
    };
    if version >= 3 { response.with_throttle_time_ms(1) } else { response }
}

pub fn list_offsets(version: i16) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse::default().with_partition_index(4).with_error_code(6);
    let partition = partition.with_timestamp(12).with_offset(1_000);
    let topic = ListOffsetsTopicResponse::default().with_name(name("t")).with_partitions(vec![partition; 2]);
    let response = ListOffsetsResponse::default().with_topics(vec![topic]);
    if version >= 2 { response.with_throttle_time_ms(6) } else { response }
}

pub fn fetch(version: i16) -> FetchResponse {
    let partition = PartitionData::default().with_partition_index(5).with_error_code(75).with_high_watermark(10);
    let partition = partition.with_last_stable_offset(8).with_records(Some(Bytes::from_static(b"a batch")));
    let aborted = AbortedTransaction::default().with_producer_id(1.into()).with_first_offset(2);
    let partition = partition.with_aborted_transactions(Some(vec![aborted; 2]));
    let partition = if version >= 5 { partition.with_log_start_offset(1) } else { partition };
    let leader = LeaderIdAndEpoch::default().with_leader_id(3.into()).with_leader_epoch(9);
    let partition = if version >= 12 { partition.with_current_leader(leader) } else { partition };
    let idle = PartitionData::default().with_aborted_transactions(None).with_records(None).with_high_watermark(10);
    let topic = FetchableTopicResponse::default().with_partitions(vec![partition, idle]);
    let topic = if version >= 13 { topic.with_topic_id(ID) } else { topic.with_topic(name("t")) };
    let response = FetchResponse::default().with_throttle_time_ms(8).with_responses(vec![topic]);
    let node = NodeEndpoint::default().with_node_id(3.into()).with_host(text("b3"));
    let response = if version >= 16 { response.with_node_endpoints(vec![node]) } else { response };
    if version >= 7 { response.with_error_code(70).with_session_id(11) } else { response }
}

pub fn share_groups() -> ShareGroupDescribeResponse {
    let partitions = TopicPartitions::default().with_topic_name(name("t")).with_partitions(vec![1, 2]);
    let assignment = Assignment::default().with_topic_partitions(vec![partitions]);
    let member = Member::default().with_member_id(text("m")).with_subscribed_topic_names(vec![name("t")]);
    let member = member.with_assignment(assignment).with_rack_id(Some(text("a")));
    let group = |id, code| DescribedGroup::default().with_group_id(text(id).into()).with_error_code(code);
    let groups = vec![group("g", 69), group("s", 0).with_members(vec![member]).with_group_state(text("Stable"))];
    ShareGroupDescribeResponse::default().with_throttle_time_ms(4).with_groups(groups)
}

/// A reply of each kind in each version.
pub fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    all.extend(versions::<ApiVersionsRequest>().map(|v| sample::<ApiVersionsRequest, _>(v, &api_versions(v))));
    all.extend(versions::<SaslHandshakeRequest>().map(|v| sample::<SaslHandshakeRequest, _>(v, &handshake())));
    all.extend(
        versions::<SaslAuthenticateRequest>().map(|v| sample::<SaslAuthenticateRequest, _>(v, &authenticate(v))),
    );
    all.extend(versions::<MetadataRequest>().map(|v| sample::<MetadataRequest, _>(v, &metadata(v))));
    all.extend(
        versions::<FindCoordinatorRequest>().map(|v| sample::<FindCoordinatorRequest, _>(v, &find_coordinator(v))),
    );
    all.extend(versions::<OffsetFetchRequest>().map(|v| sample::<OffsetFetchRequest, _>(v, &offset_fetch(v))));
    all.extend(versions::<ListOffsetsRequest>().map(|v| sample::<ListOffsetsRequest, _>(v, &list_offsets(v))));
    all.extend(
        versions::<ShareGroupDescribeRequest>().map(|v| sample::<ShareGroupDescribeRequest, _>(v, &share_groups())),
    );
    all.extend(versions::<FetchRequest>().map(|v| sample::<FetchRequest, _>(v, &fetch(v))));
    all
}
