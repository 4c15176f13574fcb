//! Tokens of an OAuth 2.0 client: fetched by a client credentials grant (RFC 6749 §4.4).
//!
//! Not for: what is done with a token, or which keys of a trigger name the client.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::{
    cache::Cache,
    held::Issued,
    kept::{Issuer, Kept},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits,
    metadata::Secret,
    net::{
        Reach,
        http::{
            self, Answer, Http, Method, Request, StatusCode, Url,
            header::{CONTENT_TYPE, HeaderValue},
        },
        tls::Tls,
    },
};

/// For one answer of the token endpoint.
const FETCH: Duration = Duration::from_secs(3);
/// A token without a stated end is taken for so long; one that a server refuses is dropped anyway.
const UNSTATED_LIFE: Duration = Duration::from_secs(3600);

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

/// The tokens of one client: one for all who use the same, whichever backend they come from.
pub struct Tokens(Kept<Grant>);

/// Equal ones share their tokens: the endpoint is reached in the same way.
type Key = (OAuth, Tls, Reach);

static TOKENS: LazyLock<Cache<Key, Tokens>> = LazyLock::new(Cache::default);

impl Tokens {
    /// The tokens of this client, for as long as somebody holds them. `tls` and `reach` are for the way to its endpoint,
    /// which a trigger names. Fetches nothing yet.
    #[must_use]
    pub fn of(oauth: &OAuth, tls: &Tls, reach: &Reach) -> Arc<Self> {
        TOKENS.get((oauth.clone(), tls.clone(), reach.clone()), |(oauth, tls, reach)| {
            Self(Kept::new(Grant {
                oauth: oauth.clone(),
                tls: tls.clone(),
                reach: reach.clone(),
                http: OnceCell::new(),
                in_body: AtomicBool::new(false),
            }))
        })
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        self.0.get().await
    }

    /// A token for a session that lasts as long as it does.
    pub async fn fresh(&self) -> Result<Secret, ReadError> {
        self.0.fresh().await
    }

    /// What is shown, and how old it is.
    #[must_use]
    pub fn issued(&self) -> Issued {
        self.0.issued(format!("a token of {}", self.0.place()))
    }

    /// A server refuses the token at hand: the next asker gets another.
    pub fn forget(&self) {
        self.0.forget();
    }
}

/// One client's way to a token.
struct Grant {
    oauth: OAuth,
    tls: Tls,
    reach: Reach,
    http: OnceCell<Http>,
    /// The endpoint wants the client's secret in the body, not as a Basic login.
    in_body: AtomicBool,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Seconds>,
}

/// A number of seconds, which some servers write as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

#[async_trait]
impl Issuer for Grant {
    type Value = Secret;

    /// The secret goes as a Basic login first, as the RFC prefers; in the body where that is refused.
    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        let connect = || async {
            Ok::<_, ReadError>(Http::new(&self.tls, self.reach.clone()).await?.taking(limits::IDENTITY_BODY))
        };
        let http = self.http.get_or_try_init(connect).await?;
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

    fn late(&self, patience: Duration) -> ReadError {
        let place = self.place();
        let text = format!("{place} gives no token within {patience:?}: check that the token endpoint can be reached");
        ReadError::new(ReadErrorKind::Timeout, text).of_connection()
    }
}

impl Grant {
    /// The endpoint, for people.
    fn place(&self) -> String {
        Url::parse(&self.oauth.token_uri).map(|url| http::place(&url)).unwrap_or_default()
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
        let place = self.place();
        if !answer.status.is_success() {
            let Ok(Refused { error }) = serde_json::from_slice(&answer.body) else {
                return Err(answer.refusal(&format!("the token endpoint at {place}")).of_connection());
            };
            // RFC 6749 §5.2: a word such as `invalid_client`. Anything else may be somebody's secret.
            let word = error.len() <= limits::OAUTH_ERROR && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
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
            Seconds::Number(seconds) => Some(seconds),
            Seconds::Text(seconds) => seconds.parse().ok(),
            Seconds::Other(_) => None,
        });
        let life = seconds.filter(|seconds| *seconds > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
        Ok((Secret::new(access_token), life.unwrap_or(UNSTATED_LIFE)))
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
