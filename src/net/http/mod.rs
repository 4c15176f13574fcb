//! HTTP towards a broker or an identity service, the same for everybody who speaks it: one dialer, a deadline for each
//! request, an answer of bounded size, no redirect to another server, and errors that show no secret.
//!
//! `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` hold. Where a proxy stands in between it resolves the names, so of the rules
//! for reaching hosts only those hold that go by the name, or by an address that is written out; the rest is the proxy's.
//! Not for: what an answer means. Every status is an [`Answer`]; the backend knows which ones are good.

mod answer;
mod connect;
mod request;

use std::{error::Error, sync::Arc, time::Duration};

pub use ::http::{Method, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::{
        legacy::{self, Client},
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::Instrument;
pub use url::Url;

pub use self::{
    answer::{Answer, kind},
    request::Request,
};
use self::{
    connect::{ConnectError, Connector},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT},
};
use super::{
    Reach, ReplyBytes,
    tls::{Peers, Session, Tls},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits::{self, Limit},
    telemetry::spans,
};

/// How many connections to one server are kept open while nobody asks, and for how long: KEDA's 90 s.
const IDLE_CONNECTIONS: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const MOST_REDIRECTS: usize = 10;

/// A pool of connections with one TLS configuration, within the reach of whoever asks.
#[derive(Clone)]
pub struct Http {
    parts: Arc<Parts>,
    /// The largest body that is read.
    most: usize,
}

struct Parts {
    client: Client<Connector, Full<bytes::Bytes>>,
    connector: Connector,
}

impl Http {
    /// May wait for a key to be decrypted, so make one per connection. Connects to nothing yet.
    pub async fn new(tls: &Tls, reach: Reach) -> Result<Self, ReadError> {
        Self::noting(Arc::default(), tls, reach).await
    }

    /// The same; what servers show of themselves is noted in `peers`.
    pub async fn noting(peers: Arc<Peers>, tls: &Tls, reach: Reach) -> Result<Self, ReadError> {
        Ok(Self::through(Matcher::from_env(), tls.client_config(peers).await?, tls.cert.is_some(), reach))
    }

    /// Trusts the system's roots and shows no certificate.
    pub fn of_system(reach: Reach) -> Result<Self, ReadError> {
        Ok(Self::through(Matcher::from_env(), Tls::of_system()?, false, reach))
    }

    fn through(proxies: Matcher, tls: ClientConfig, client_certificate: bool, reach: Reach) -> Self {
        let tls = TlsConnector::from(Arc::new(tls));
        let connector = Connector { reach, tls, client_certificate, proxies: Arc::new(proxies) };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector.clone());
        Self { parts: Arc::new(Parts { client, connector }), most: limits::HTTP_BODY }
    }

    /// The same, for answers of `most` bytes.
    #[must_use]
    pub fn taking(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Sends `request` and reads the whole answer, both within `deadline`. Redirects on the same server are followed.
    ///
    /// Fails as `Unreachable` without a connection (of the connection), as `Timeout` (of the source, since one slow
    /// request says nothing of the others), and as `BadReply` when the answer is too large.
    pub async fn send(&self, request: Request, deadline: Duration) -> Result<Answer, ReadError> {
        if !matches!(request.url.scheme(), "http" | "https") {
            // Nothing of it is shown: who forgot the scheme may have begun with a user and a password.
            let text = "the address of a request is neither `http://…` nor `https://…`: correct it in the trigger";
            return Err(ReadError::new(ReadErrorKind::BadReply, text));
        }
        let place = place(&request.url);
        let late = |_| {
            let text = format!("{place} did not answer within {deadline:?}: check its load, or raise `timeout`");
            ReadError::new(ReadErrorKind::Timeout, text).of_source()
        };
        let span = spans::request("http", request.method.as_str(), &place);
        timeout(deadline, self.follow(request, &place)).instrument(span).await.map_err(late)?
    }

    /// Headers with credentials must not travel to another server, so a redirect to one is the answer.
    async fn follow(&self, mut request: Request, place: &str) -> Result<Answer, ReadError> {
        for _ in 0..MOST_REDIRECTS {
            let answer = self.exchange(&request, place).await?;
            let location = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection());
            let next = location.and_then(|to| request.url.join(to.to_str().ok()?).ok());
            let Some(next) = next.filter(|next| next.origin() == request.url.origin()) else { return Ok(answer) };
            request.url = next;
            let again = matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if request.method != Method::GET && !again {
                request.method = Method::GET;
                request.body = Vec::new();
                request.headers.remove(CONTENT_TYPE);
            }
        }
        let text = format!("{place} redirects for ever: correct the address in the trigger");
        Err(ReadError::new(ReadErrorKind::BadReply, text))
    }

    async fn exchange(&self, request: &Request, place: &str) -> Result<Answer, ReadError> {
        let mut pieces = self.begin(request, place).await?;
        let too_large = || {
            Limit::Reply.crossed();
            let size = if self.most < 1 << 20 { (self.most >> 10, "KiB") } else { (self.most >> 20, "MiB") };
            let text = format!("{place} answered with more than {} {}: ask for less", size.0, size.1);
            ReadError::new(ReadErrorKind::BadReply, text)
        };
        let (status, headers) = (pieces.status, std::mem::take(&mut pieces.headers));
        let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if stated.is_some_and(|stated| stated > self.most) {
            return Err(too_large());
        }
        let (mut body, mut held) = (Vec::new(), ReplyBytes::default());
        while let Some(piece) = pieces.next().await? {
            if body.len() + piece.len() > self.most {
                return Err(too_large());
            }
            held.grow(piece.len())?;
            body.extend_from_slice(&piece);
        }
        // The words of a refusal are shown: what they say back of our own login is taken out.
        let body = if status.is_success() { body } else { request.concealed_in(body) };
        Ok(Answer { status, headers, body, _held: held })
    }

    /// Sends `request` and gives the answer piece by piece, as it comes: for one that does not end. No redirect is followed.
    pub async fn open(&self, request: &Request, deadline: Duration) -> Result<Pieces, ReadError> {
        let place = place(&request.url);
        let late = |_| {
            let text = format!("{place} did not answer within {deadline:?}: check its load");
            ReadError::new(ReadErrorKind::Timeout, text).of_source()
        };
        timeout(deadline, self.begin(request, &place)).await.map_err(late)?
    }

    async fn begin(&self, request: &Request, place: &str) -> Result<Pieces, ReadError> {
        let client_certificate = self.parts.connector.client_certificate;
        let response = self.parts.client.request(self.written(request, place)?).await;
        let response = response.map_err(|error| match session(place, client_certificate).failed_by(&error) {
            Some(error) => error,
            None => refused(place, &error).unwrap_or_else(|| broken(place, client_certificate, &error)),
        })?;
        let (head, body) = response.into_parts();
        let place = place.to_owned();
        Ok(Pieces { status: head.status, headers: head.headers, body, place, client_certificate })
    }

    fn written(&self, request: &Request, place: &str) -> Result<::http::Request<Full<bytes::Bytes>>, ReadError> {
        let unwritable = || {
            let text = format!("the request to {place} cannot be written as HTTP: correct the address in the trigger");
            ReadError::new(ReadErrorKind::BadReply, text).of_source()
        };
        let uri: Uri = request.url.as_str().parse().map_err(|_| unwritable())?;
        let proxy = self.parts.connector.proxy(&uri).filter(|_| request.url.scheme() == "http");
        let mut written = ::http::Request::new(Full::from(request.body.clone()));
        *written.method_mut() = request.method.clone();
        *written.uri_mut() = uri;
        let headers = written.headers_mut();
        headers.clone_from(&request.headers);
        let agent = HeaderValue::from_static(concat!("plimsoll/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(agent);
        if let Some(login) = proxy.as_ref().and_then(|proxy| proxy.basic_auth()) {
            headers.insert(PROXY_AUTHORIZATION, login.clone());
        }
        Ok(written)
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

/// An answer as it comes.
#[derive(Debug)]
pub struct Pieces {
    /// What kind of answer it is.
    pub status: StatusCode,
    /// All headers.
    pub headers: header::HeaderMap,
    body: hyper::body::Incoming,
    place: String,
    client_certificate: bool,
}

impl Pieces {
    /// The next piece of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, ReadError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| broken(&self.place, self.client_certificate, &error))?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

fn session(place: &str, client_certificate: bool) -> Session<'_> {
    Session { place, client_certificate, without_tls: "use `http`, or give its TLS port" }
}

fn broken(place: &str, client_certificate: bool, error: &(dyn Error + 'static)) -> ReadError {
    session(place, client_certificate).failed_by(error).unwrap_or_else(|| {
        let text = format!("the connection to {place} broke: {}", innermost(error));
        ReadError::new(ReadErrorKind::Unreachable, text)
    })
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

/// Why there is no connection, if that is what `error` is.
fn refused(place: &str, error: &legacy::Error) -> Option<ReadError> {
    let unreachable = |cause: &dyn std::fmt::Display, cure: &str| {
        ReadError::new(ReadErrorKind::Unreachable, format!("{place} cannot be reached: {cause}: {cure}"))
    };
    Some(match find::<ConnectError>(error)? {
        ConnectError::Dial(error) => error.at(place),
        proxy @ (ConnectError::Proxy(_) | ConnectError::Tunnel) => unreachable(proxy, "check the proxy"),
        ConnectError::Handshake => unreachable(&ConnectError::Handshake, "check the scheme"),
        ConnectError::Tls(error) => unreachable(&innermost(error), "check the scheme"),
    })
}

/// The error at the end of the chain: those before it may name the URL, with everything in it.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The first error of type `E` in the chain.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    causes(error).find_map(|cause| cause.downcast_ref())
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
