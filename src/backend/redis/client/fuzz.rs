//! Replies out of bytes, as the library parses them.

use super::connect::wire;
use crate::backend::redis::reply::Reply;

/// All of `data` that can be read.
pub fn replies(data: &[u8]) -> Vec<Reply> {
    let (mut parser, mut rest, mut replies) = (redis::Parser::new(), data, Vec::new());
    while let Ok(value) = parser.parse_value(&mut rest) {
        replies.push(wire::reply(value));
    }
    replies
}
