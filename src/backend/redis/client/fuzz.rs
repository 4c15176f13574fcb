//! Replies out of bytes: what the guard lets pass, as the library parses it.

use std::sync::Arc;

use super::connect::{
    Meter, terms,
    walk::{Hears, Walk},
};
use crate::backend::redis::reply::Reply;

/// All of `data` that can be read.
pub fn replies(data: &[u8]) -> Vec<Reply> {
    let meter = Arc::new(Meter::default());
    let _waiting = meter.ask(data.len());
    let mut checked = Vec::new();
    // What comes before a crossed bound passes, and is read.
    Walk::new(meter, Hears::Replies).take(data, &mut checked).ok();
    let (mut parser, mut rest, mut replies) = (redis::Parser::new(), checked.as_slice(), Vec::new());
    while let Ok(value) = parser.parse_value(&mut rest) {
        replies.push(terms::reply(value));
    }
    replies
}
