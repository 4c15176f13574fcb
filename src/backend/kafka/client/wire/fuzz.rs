//! A broker's bytes as a fuzzer has them.

use bytes::BytesMut;
use kafka_protocol::messages::{
    ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, ShareGroupDescribeRequest,
};

use super::{frames, requests::Ask};
use crate::limits;

/// The first byte says which request is answered, the second in which version; the rest is a frame without its length.
pub fn answer(data: &[u8]) {
    let [request, version, frame @ ..] = data else { return };
    let decode = match request % 9 {
        0 => decode::<ApiVersionsRequest>,
        1 => decode::<MetadataRequest>,
        2 => decode::<FindCoordinatorRequest>,
        3 => decode::<OffsetFetchRequest>,
        4 => decode::<ListOffsetsRequest>,
        5 => decode::<FetchRequest>,
        6 => decode::<SaslHandshakeRequest>,
        7 => decode::<SaslAuthenticateRequest>,
        _ => decode::<ShareGroupDescribeRequest>,
    };
    decode(frame, *version);
}

fn decode<R: Ask>(frame: &[u8], version: u8) {
    let version = i16::from(version).clamp(*R::READ.start(), *R::READ.end());
    drop(frames::decode::<R>(frame, version));
}

/// Bytes as they come from a broker, cut into frames.
pub fn stream(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(_)) = frames::next(&mut buffer, limits::KAFKA_REPLY) {}
}
