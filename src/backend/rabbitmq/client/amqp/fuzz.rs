//! What a broker says over AMQP as a fuzzer has it.

use bytes::BytesMut;

use super::{
    frame::{Frame, take},
    method::decode,
};

/// Bytes as frames and what they hold, and as one method.
pub fn frames(data: &[u8]) {
    let mut bytes = BytesMut::from(data);
    while let Ok(Some(frame)) = take(&mut bytes) {
        if let Frame::Method { payload, .. } = frame {
            drop(decode(&payload));
        }
    }
    drop(decode(data));
}
