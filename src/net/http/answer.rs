//! What a server answered, and what kind of failure an unwelcome status is.

use super::{
    StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    net::ReplyBytes,
};

/// What a server answered, whatever the status.
#[derive(Debug)]
pub struct Answer {
    /// Redirects within the server have been followed; any other is still here.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
    pub(super) _held: ReplyBytes,
}

impl Answer {
    /// An answer that nobody sent, for tests of what answers mean.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers, body: body.into(), _held: ReplyBytes::default() }
    }

    /// Whether the body calls itself a web page: a proxy or a login form has answered, not the broker.
    #[must_use]
    pub fn is_web_page(&self) -> bool {
        let stated = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        stated.is_some_and(|stated| stated.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// The error that an unwelcome status is, for a backend that knows nothing better. `place` answered it.
    #[must_use]
    pub fn refusal(&self, place: &str) -> ReadError {
        self.refusal_saying(place, "")
    }

    /// The same with the server's own `words`, which are [`quoted`](crate::error::quoted).
    #[must_use]
    pub fn refusal_saying(&self, place: &str, words: &str) -> ReadError {
        let status = if words.is_empty() { self.status.to_string() } else { format!("{}, {words}", self.status) };
        let text = match self.status {
            StatusCode::UNAUTHORIZED => format!("{place} answered {status}: correct the credentials in the trigger"),
            StatusCode::FORBIDDEN => format!("{place} answered {status}: grant the right to read to this user"),
            StatusCode::NOT_FOUND => format!("{place} answered {status}: correct the address in the trigger"),
            StatusCode::TOO_MANY_REQUESTS => format!("{place} answered {status}: ask less often, or raise its limits"),
            other if other.is_redirection() => match self.redirected_to() {
                Some(other) => format!("{place} answered {status} and points to {other}: use that address"),
                None => format!("{place} answered {status}: correct the address in the trigger"),
            },
            other if other.is_server_error() => format!("{place} answered {status}: see its log"),
            _ => format!("{place} answered {status}"),
        };
        let error = ReadError::new(kind(self.status), text);
        // A server that stumbles over one request may answer the others.
        if self.status == StatusCode::INTERNAL_SERVER_ERROR { error.of_source() } else { error }
    }

    /// The server that a redirect points to; never its path or query, which may hold a token.
    fn redirected_to(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Url::parse(location).ok().map(|url| super::place(&url))
    }
}

/// What kind of failure an unwelcome status is.
#[must_use]
pub fn kind(status: StatusCode) -> ReadErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ReadErrorKind::Denied
        }
        StatusCode::NOT_FOUND => ReadErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ReadErrorKind::Throttled,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ReadErrorKind::Timeout,
        status if status.is_server_error() => ReadErrorKind::Unreachable,
        _ => ReadErrorKind::BadReply,
    }
}
