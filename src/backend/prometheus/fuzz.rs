//! A server's words as a fuzzer has them.

use crate::net::http::{StatusCode, header::HeaderMap};

use super::answer;
use crate::net::http::Answer;

/// A body with each status that gives it another meaning.
pub fn answer(data: &[u8]) {
    for status in [StatusCode::OK, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::UNAUTHORIZED] {
        drop(answer::read("prometheus", &Answer::new(status, HeaderMap::new(), data)));
    }
}
