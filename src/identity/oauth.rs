//! Tokens of an OAuth 2.0 client: fetched by a client credentials grant (RFC 6749 §4.4), kept, and renewed in time.
//!
//! Not for: what is done with a token, or which keys of a trigger name the client.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::http::{
        self, Answer, Http, Method, Request, StatusCode, Url,
        header::{CONTENT_TYPE, HeaderValue},
    },
};

/// For one answer of the token endpoint.
const FETCH: Duration = Duration::from_secs(3);
/// A token without a stated end is taken for so long; one that a server refuses is dropped anyway.
const UNSTATED_LIFE: Duration = Duration::from_secs(3600);
/// A token this close to its end (a tenth of its life if that is less) is replaced, KEDA's 10 s.
const MARGIN: Duration = Duration::from_secs(10);

/// A client that gets its tokens itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OAuth {
    /// Where tokens are issued: an `http` or `https` URL.
    pub token_uri: String,
    /// Who asks.
    pub client_id: String,
    /// Its secret; may be empty.
    pub client_secret: Secret,
    /// What for.
    pub scopes: Vec<String>,
    /// Sent along. A `grant_type` here replaces ours.
    pub parameters: Vec<(String, Secret)>,
}

/// One client's way to a token.
#[derive(Debug)]
pub struct Grant {
    oauth: OAuth,
    /// The endpoint wants the client's secret in the body, not as a Basic login.
    in_body: AtomicBool,
}

/// The tokens of one client.
#[derive(Debug)]
pub struct Tokens {
    grant: Grant,
    held: Mutex<Option<Token>>,
    /// One fetch at a time. Holds the last failure and when its fetch began, for those who waited meanwhile.
    fetch: tokio::sync::Mutex<Option<(Instant, ReadError)>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: Secret,
    unused_from: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// A number of seconds, which some servers write as a text.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Tokens {
    /// Fetches nothing yet.
    #[must_use]
    pub fn new(oauth: OAuth) -> Self {
        Self { grant: Grant::new(oauth), held: Mutex::new(None), fetch: tokio::sync::Mutex::new(None) }
    }

    /// A token that is good for a while yet: mostly the one at hand. However many ask, one fetch answers.
    pub async fn get(&self, http: &Http) -> Result<Secret, ReadError> {
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        let asked = Instant::now();
        let mut last_failure = self.fetch.lock().await;
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        if let Some((_, failure)) = last_failure.as_ref().filter(|(began, _)| *began >= asked) {
            return Err(failure.clone());
        }
        let began = Instant::now();
        match self.grant.ask(http).await {
            Ok((value, life)) => {
                *last_failure = None;
                let unused_from = began + life - MARGIN.min(life / 10);
                *self.held.lock() = Some(Token { value: value.clone(), unused_from });
                Ok(value)
            }
            Err(failure) => {
                *last_failure = Some((began, failure.clone()));
                Err(failure)
            }
        }
    }

    /// A server refuses the token at hand: the next asker gets another.
    pub fn forget(&self) {
        *self.held.lock() = None;
    }

    fn usable(&self) -> Option<Secret> {
        let held = self.held.lock();
        held.as_ref().filter(|token| Instant::now() < token.unused_from).map(|token| token.value.clone())
    }
}

impl Grant {
    /// Asks for nothing yet.
    #[must_use]
    pub fn new(oauth: OAuth) -> Self {
        Self { oauth, in_body: AtomicBool::new(false) }
    }

    /// A new token, and how long it holds.
    ///
    /// The secret goes as a Basic login first, as the RFC prefers; in the body where that is refused.
    pub async fn ask(&self, http: &Http) -> Result<(Secret, Duration), ReadError> {
        let in_body = self.in_body.load(Ordering::Relaxed);
        let mut answer = http.send(self.form(in_body)?, FETCH).await.map_err(ReadError::of_connection)?;
        let refused = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED);
        if refused && !in_body {
            let again = http.send(self.form(true)?, FETCH).await.map_err(ReadError::of_connection)?;
            if again.status.is_success() {
                self.in_body.store(true, Ordering::Relaxed);
                answer = again;
            }
        }
        self.granted(&answer)
    }

    fn form(&self, in_body: bool) -> Result<Request, ReadError> {
        let OAuth { token_uri, client_id, client_secret, scopes, parameters } = &self.oauth;
        let url = Url::parse(token_uri).map_err(|_| denied("the token endpoint's address is no URL: correct it"))?;
        let scopes = scopes.join(" ");
        let mut pairs: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        if !parameters.iter().any(|(name, _)| name == "grant_type") {
            pairs.push(("grant_type", "client_credentials"));
        }
        if !scopes.is_empty() {
            pairs.push(("scope", &scopes));
        }
        if in_body {
            pairs.extend([("client_id", client_id.as_str()), ("client_secret", client_secret.expose())]);
        }
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = Request::new(Method::POST, url).header(CONTENT_TYPE, form).body(http::form(pairs));
        Ok(if in_body {
            request
        } else {
            request.basic_auth(&http::escape(client_id), &http::escape(client_secret.expose()))
        })
    }

    fn granted(&self, answer: &Answer) -> Result<(Secret, Duration), ReadError> {
        let place = Url::parse(&self.oauth.token_uri).map(|url| http::place(&url)).unwrap_or_default();
        if !answer.status.is_success() {
            let Ok(Refused { error }) = serde_json::from_slice(&answer.body) else {
                return Err(answer.refusal(&format!("the token endpoint at {place}")).of_connection());
            };
            // RFC 6749 §5.2: a word such as `invalid_client`. Anything else may be somebody's secret.
            let word = error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let error = if word { error } else { "an error of its own".to_owned() };
            let text = format!(
                "{place} gives no token to client `{}`: {error}: correct the client's id, secret and scopes",
                self.oauth.client_id
            );
            return Err(denied(&text));
        }
        let Ok(Granted { access_token, expires_in }) = serde_json::from_slice(&answer.body) else {
            let text =
                format!("{place} answered with something else than a token: correct the URL of the token endpoint");
            return Err(ReadError::new(ReadErrorKind::BadReply, text).of_connection());
        };
        let seconds = expires_in.and_then(|stated| match stated {
            Value::Number(seconds) => seconds.as_f64(),
            Value::String(seconds) => seconds.parse().ok(),
            _ => None,
        });
        let life = seconds.filter(|seconds| *seconds > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
        Ok((Secret::new(access_token), life.unwrap_or(UNSTATED_LIFE).min(Duration::from_secs(7 * 86_400))))
    }
}

/// What was given as a token cannot go into a header.
#[must_use]
pub fn not_a_token() -> ReadError {
    let text = "the token endpoint gave a token that is not one line of text: correct its URL";
    ReadError::new(ReadErrorKind::BadReply, text).of_connection()
}

fn denied(text: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, text).of_connection()
}
