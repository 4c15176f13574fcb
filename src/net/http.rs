//! HTTP towards a broker, the same for every backend that speaks it: a deadline for each request, an answer of
//! bounded size, no redirect to another server, and errors that show no secret.
//!
//! Not for: what an answer means. Every status is an [`Answer`]; the backend knows which ones are good.

use std::{error::Error, time::Duration};

use reqwest::{
    Client, Method, Request, RequestBuilder, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
    redirect::{Attempt, Policy},
};

use super::tls::{Session, Tls};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits,
};

/// For DNS, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many connections to one server are kept open while nobody asks, and for how long: KEDA's 90 s.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const MOST_REDIRECTS: usize = 10;

/// A pool of connections with one TLS configuration. Honours `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    client_certificate: bool,
}

/// What a server answered, whatever the status.
#[derive(Debug)]
pub struct Answer {
    /// Redirects within the server have been followed; any other is still here.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Http {
    /// May wait for a key to be decrypted, so make one per connection. Connects to nothing yet.
    pub async fn new(tls: &Tls) -> Result<Self, ReadError> {
        Client::builder()
            .tls_backend_preconfigured(tls.client_config().await?)
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(Policy::custom(stay))
            .referer(false)
            .build()
            .map(|client| Self { client, client_certificate: tls.cert.is_some() })
            .map_err(|error| {
                let text = format!("an HTTP client cannot be made: {}", innermost(&error));
                ReadError::new(ReadErrorKind::Internal, text).of_connection()
            })
    }

    /// A request to fill; a user part of `url` becomes its Basic login.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends `request` and reads the whole answer, both within `deadline`.
    ///
    /// Fails as `Unreachable` without a connection (of the connection), as `Timeout` (of the source, since one slow
    /// request says nothing of the others), and as `BadReply` when the answer is too large.
    pub async fn send(&self, mut request: Request, deadline: Duration) -> Result<Answer, ReadError> {
        let place = place(request.url());
        *request.timeout_mut() = Some(deadline);
        let explain = |error: reqwest::Error| explain(&place, self.client_certificate, deadline, &error);
        let mut response = self.client.execute(request).await.map_err(explain)?;
        let too_large = || {
            let text = format!("{place} answered with more than {} MiB: ask for less", limits::HTTP_BODY >> 20);
            ReadError::new(ReadErrorKind::BadReply, text)
        };
        let stated = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if stated > limits::HTTP_BODY {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(stated);
        while let Some(piece) = response.chunk().await.map_err(explain)? {
            if body.len() + piece.len() > limits::HTTP_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}

impl Answer {
    /// Whether the body calls itself a web page: a proxy or a login form has answered, not the broker.
    #[must_use]
    pub fn is_web_page(&self) -> bool {
        let stated = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        stated.is_some_and(|stated| stated.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// The error that an unwelcome status is, for a backend that knows nothing better. `place` answered it.
    #[must_use]
    pub fn refusal(&self, place: &str) -> ReadError {
        let status = self.status;
        let text = match status {
            StatusCode::UNAUTHORIZED => format!("{place} answered {status}: correct the credentials in the trigger"),
            StatusCode::FORBIDDEN => format!("{place} answered {status}: grant the right to read to this user"),
            StatusCode::NOT_FOUND => format!("{place} answered {status}: correct the address in the trigger"),
            StatusCode::TOO_MANY_REQUESTS => format!("{place} answered {status}: ask less often, or raise its limits"),
            _ if status.is_redirection() => match self.redirected_to() {
                Some(other) => format!("{place} answered {status} and points to {other}: use that address"),
                None => format!("{place} answered {status}: correct the address in the trigger"),
            },
            _ if status.is_server_error() => format!("{place} answered {status}: see its log"),
            _ => format!("{place} answered {status}"),
        };
        ReadError::new(kind(status), text)
    }

    /// The server that a redirect points to; never its path or query, which may hold a token.
    fn redirected_to(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Url::parse(location).ok().map(|url| self::place(&url))
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
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => ReadErrorKind::Unreachable,
        _ => ReadErrorKind::BadReply,
    }
}

/// Scheme, host and port in backticks, for people: no user part, no path, no query.
#[must_use]
pub fn place(url: &Url) -> String {
    format!("`{}`", url.origin().ascii_serialization())
}

/// `text` escaped for a query or a form. A blank is `%20`, never `+`, which not every server and no signature takes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Pairs as a query or a form.
#[must_use]
pub fn form<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

/// Follows a redirect on the same server only: headers with credentials must not travel to another.
fn stay(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= MOST_REDIRECTS { attempt.follow() } else { attempt.stop() }
}

fn explain(place: &str, client_certificate: bool, deadline: Duration, error: &reqwest::Error) -> ReadError {
    use ReadErrorKind::{Timeout, Unreachable};
    let session = Session { place, client_certificate, without_tls: "use `http`, or give its TLS port" };
    if let Some(error) = session.failed_by(error) {
        return error;
    }
    // A connection that does not come about is a timeout as well, so this is asked first.
    if error.is_connect() {
        let (cause, cure) = if error.is_timeout() {
            let cure = "check the address, and that a network policy lets us through";
            (format!("no connection within {CONNECT_TIMEOUT:?}"), cure)
        } else {
            (innermost(error), "check the address, and that it is up")
        };
        return ReadError::new(Unreachable, format!("{place} cannot be reached: {cause}: {cure}"));
    }
    if error.is_timeout() {
        let text = format!("{place} did not answer within {deadline:?}: check its load, or raise `timeout`");
        return ReadError::new(Timeout, text).of_source();
    }
    ReadError::new(Unreachable, format!("the connection to {place} broke: {}", innermost(error)))
}

/// The error at the end of the chain: reqwest's own texts name the URL, with everything in it.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// `error` and what caused it. An `io::Error` hides the error it holds from `source`.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

#[cfg(test)]
mod tests;
