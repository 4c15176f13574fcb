//! Frames: a length, a header with a correlation id, a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiVersionsRequest, RequestHeader},
    protocol::{Encodable, StrBytes},
};

use super::{
    body::{Body, Malformed},
    explain::Broke,
    requests::Ask,
};

/// What we call ourselves, in the broker's logs and quotas.
pub const CLIENT_ID: &str = "plimsoll";
/// Bytes of the length before each frame.
pub const LENGTH: usize = 4;
/// What claims to be longer is not Kafka.
const BELIEVABLE: usize = 256 << 20;
const PIECE: usize = 4 << 10;

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

/// Reads a frame without its length.
pub fn decode<R: Ask>(frame: &[u8], version: i16) -> Result<R::Reply, Malformed> {
    let flexible = version >= R::FLEXIBLE;
    // A broker that does not know our version could not say so in a flexible header, so ApiVersions never has one.
    let mut header = Body::new(frame, flexible && R::KEY != ApiVersionsRequest::KEY);
    header.i32()?;
    header.tags()?;
    R::read(&mut header.into_body(flexible), version)
}

/// Takes a whole frame off the front of `buffer`, if there is one, without its length. `longest` is what may come.
pub fn next(buffer: &mut BytesMut, longest: usize) -> Result<Option<Bytes>, Broke> {
    let Some(mut prefix) = buffer.get(..4) else { return Ok(None) };
    if prefix.starts_with(&[0x15, 0x03]) {
        return Err(Broke::TlsRecord);
    }
    let length = usize::try_from(prefix.get_i32()).ok().filter(|length| *length <= BELIEVABLE);
    let Some(length) = length else { return Err(Broke::Garbled("bytes that are no Kafka frame")) };
    if length > longest {
        return Err(Broke::TooLong(longest));
    }
    if buffer.len() < length + 4 {
        // Room for as much again as has come, so that what is merely claimed takes no memory.
        buffer.reserve((length + 4 - buffer.len()).min(buffer.len().max(PIECE)));
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
            frames.extend(next(&mut buffer, 100).unwrap());
        }
        assert_eq!(frames, [&[7, 8][..], &[], &[9]]);
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let of = |bytes: &[u8]| next(&mut BytesMut::from(bytes), 100);
        assert!(matches!(of(&[0x15, 3, 3, 0, 2]), Err(Broke::TlsRecord)));
        assert!(matches!(of(b"HTTP/1.1 400"), Err(Broke::Garbled(_))));
        assert!(matches!(of(&[0xff; 4]), Err(Broke::Garbled(_))));
        assert!(matches!(of(&[0, 0, 0, 101]), Err(Broke::TooLong(100))));
        assert!(matches!(of(&[0x10, 0, 0, 0]), Err(Broke::TooLong(100))));
    }

    #[test]
    fn room_is_made_for_what_has_come_and_not_for_what_is_claimed() {
        let mut buffer = BytesMut::from(&[2, 0, 0, 0, 7][..]);
        for _ in 0..14 {
            assert!(next(&mut buffer, 32 << 20).unwrap().is_none());
            assert!(buffer.capacity() <= 4 * buffer.len().max(PIECE), "{} of {}", buffer.capacity(), buffer.len());
            buffer.put_bytes(0, buffer.len());
        }
    }
}
