//! A broker's bytes as a fuzzer has them.

use bytes::BytesMut;

use super::{
    frame::{self, Frame},
    method,
};

/// Bytes as they come, from the first greeting on: cut into frames, and each method read.
pub fn stream(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = frame::take(&mut buffer) {
        if let Frame::Method { payload, .. } = frame {
            let _ = method::decode(&payload);
        }
    }
}
