//! A request to an HTTP server: method, URL, headers, body, each in one piece.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::memmem;

use super::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

/// How much of a secret must not be repeated.
const PIECE: usize = 6;
/// Goes with the keys of a role on AWS.
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A request, ready to be sent or to be signed.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, mostly.
    pub method: Method,
    /// `http` or `https`, without a user part.
    pub url: Url,
    /// All but those that say how it is sent.
    pub headers: HeaderMap,
    /// Empty for most methods.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body; a user part of `url` becomes its Basic login.
    #[must_use]
    pub fn new(method: Method, mut url: Url) -> Self {
        let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some())
            .then(|| (plain(url.username()), plain(url.password().unwrap_or_default())));
        // It cannot fail: the URL has a host.
        url.set_username("").and_then(|()| url.set_password(None)).ok();
        let request = Self { method, url, headers: HeaderMap::new(), body: Vec::new() };
        match login {
            Some((username, password)) => request.basic_auth(&username, &password),
            None => request,
        }
    }

    /// `body` without the query of this request where it repeats it whole, and without any piece of its secrets, which a
    /// server may cut: what is left of six bytes or less tells nobody a secret.
    pub(super) fn concealed_in(&self, body: Vec<u8>) -> Vec<u8> {
        let query = self.url.query().unwrap_or_default().as_bytes();
        let mut hidden = vec![false; body.len()];
        let mut hide = |at: usize, length: usize| hidden.iter_mut().skip(at).take(length).for_each(|byte| *byte = true);
        if query.len() >= PIECE {
            memmem::find_iter(&body, query).for_each(|at| hide(at, query.len()));
        }
        let pieces: HashSet<&[u8]> = self.secrets().flat_map(|secret| secret.windows(PIECE)).collect();
        let repeated = body.windows(PIECE).enumerate().filter(|(_, piece)| pieces.contains(piece));
        repeated.for_each(|(at, _)| hide(at, PIECE));
        body.into_iter().zip(hidden).map(|(byte, hidden)| if hidden { b'.' } else { byte }).collect()
    }

    /// What of the headers proves who asks. The scheme of a login and what AWS's says besides its signature are words that a
    /// server uses to explain itself.
    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter_map(|(name, value)| {
            let whole = value.as_bytes();
            if *name == AUTHORIZATION {
                let signature = memmem::rfind(whole, b"Signature=").map(|at| at + b"Signature=".len());
                let login = memchr::memchr(b' ', whole).map_or(0, |at| at + 1);
                whole.get(signature.unwrap_or(login)..)
            } else {
                (value.is_sensitive() || *name == SECURITY_TOKEN).then_some(whole)
            }
        })
    }

    /// The same with another header, in place of any of its name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with a Basic login.
    #[must_use]
    pub fn basic_auth(self, username: &str, password: &str) -> Self {
        let login = BASE64_STANDARD.encode(format!("{username}:{password}"));
        match HeaderValue::from_str(&format!("Basic {login}")) {
            Ok(value) => self.authorization(value),
            Err(_) => self,
        }
    }

    /// The same with a token; `None` where that is not one line of text.
    #[must_use]
    pub fn bearer_auth(self, token: &str) -> Option<Self> {
        HeaderValue::from_str(&format!("Bearer {token}")).ok().map(|value| self.authorization(value))
    }

    fn authorization(self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(AUTHORIZATION, value)
    }
}
