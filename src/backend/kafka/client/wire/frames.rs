//! Frames: a length, a header with a correlation id, a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
};

use super::{explain::Broke, requests::Ask};

/// What we call ourselves, in the broker's logs and quotas.
pub const CLIENT_ID: &str = "plimsoll";
/// No answer of ours comes near; what claims to be longer is not Kafka.
const LONGEST_FRAME: usize = 256 << 20;
/// What is claimed to come is believed in pieces of this size.
const PIECE: usize = 1 << 20;

/// A whole frame.
pub fn encode<R: Ask>(request: &R, version: i16, id: i32) -> anyhow::Result<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    header.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = u32::try_from(frame.len() - 4)?;
    if let Some(mut prefix) = frame.get_mut(..4) {
        prefix.put_u32(length);
    }
    Ok(frame.freeze())
}

/// Decodes a frame without its length.
pub fn decode<R: Ask>(mut frame: Bytes, version: i16) -> anyhow::Result<R::Response> {
    ResponseHeader::decode(&mut frame, <R::Response as HeaderVersion>::header_version(version))?;
    R::Response::decode(&mut frame, version)
}

/// Takes a whole frame off the front of `buffer`, if there is one, without its length.
pub fn next(buffer: &mut BytesMut) -> Result<Option<Bytes>, Broke> {
    let Some(mut prefix) = buffer.get(..4) else { return Ok(None) };
    if prefix.starts_with(&[0x15, 0x03]) {
        return Err(Broke::TlsRecord);
    }
    let length = usize::try_from(prefix.get_i32()).ok().filter(|length| *length <= LONGEST_FRAME);
    let Some(length) = length else { return Err(Broke::Garbled("bytes that are no Kafka frame")) };
    if buffer.len() < length + 4 {
        buffer.reserve((length + 4 - buffer.len()).min(PIECE));
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_whatever_the_pieces_they_come_in() {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9] {
            buffer.put_u8(byte);
            frames.extend(next(&mut buffer).unwrap());
        }
        assert_eq!(frames, [&[7, 8][..], &[], &[9]]);
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let of = |bytes: &[u8]| next(&mut BytesMut::from(bytes));
        assert!(matches!(of(&[0x15, 3, 3, 0, 2]), Err(Broke::TlsRecord)));
        assert!(matches!(of(b"HTTP/1.1 400"), Err(Broke::Garbled(_))));
        assert!(matches!(of(&[0xff; 4]), Err(Broke::Garbled(_))));
    }
}
