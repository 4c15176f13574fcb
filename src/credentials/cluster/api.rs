//! The API server, as far as we need it: one object, a page of a list, a watch, a review. Every answer has a deadline and a
//! bound, and what it says of an error is one of five.
//!
//! Not for: which objects, or what they mean. The client itself (its address, login and TLS) is the `kube` crate's.

use std::{collections::VecDeque, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};
use zeroize::Zeroizing;

use super::{path::escape, wire};
use crate::{
    error::quoted,
    limits::{self, Limit},
};

/// How long one answer may take: less than a read's deadline, so that the error says what was slow.
pub const ANSWER: Duration = Duration::from_secs(3);
/// The same for a page of a list.
const PAGE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// There is no such object, or no such kind.
    Missing,
    /// We may not.
    Forbidden,
    /// What we watched from is forgotten: list again.
    Expired,
    /// It refuses the request itself; its code and words.
    Refused(u16, String),
    /// No answer that we can use, which says nothing about the object.
    Away(String),
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::Forbidden => f.write_str("the server's service account may not read it"),
            Self::Expired => f.write_str("the API server has forgotten where we were"),
            Self::Refused(code, words) => write!(f, "the API server refuses it ({code}): {words}"),
            Self::Away(why) => write!(f, "the API server does not answer: {why}"),
        }
    }
}

/// A client of the API server that asks no more than a few things at a time.
pub struct Api {
    client: kube::Client,
    asking: Semaphore,
    /// For how long tokens of ServiceAccounts are asked for.
    pub token_life: Duration,
}

impl Api {
    pub fn new(client: kube::Client, token_life: Duration) -> Self {
        Self { client, asking: Semaphore::new(limits::KUBERNETES_AT_ONCE), token_life }
    }

    /// The object at `path`.
    pub async fn get<T: for<'b> Deserialize<'b>>(&self, path: &str) -> Result<T, ApiError> {
        understood(&self.ask(Method::GET, path, Vec::new(), ANSWER, limits::KUBERNETES_OBJECT).await?)
    }

    /// Each object of a `selection`, read page by page; the answer is the version from where to watch it.
    pub async fn list(&self, selection: &str, mut each: impl FnMut(&str)) -> Result<String, ApiError> {
        let mut next = String::new();
        loop {
            let path = format!("{selection}limit={}{next}", limits::KUBERNETES_PAGE_OF);
            let page = self.ask(Method::GET, &path, Vec::new(), PAGE, limits::KUBERNETES_LIST).await?;
            let wire::List { metadata, items } = understood(&page)?;
            items.iter().for_each(|item| each(item.get()));
            match metadata.next.filter(|next| !next.is_empty()) {
                Some(token) => next = format!("&continue={}", escape(&token)),
                None => return Ok(metadata.resource_version),
            }
        }
    }

    /// What the API server makes of `body`: a token, a review.
    pub async fn create(&self, path: &str, body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| ApiError::Away("a request that cannot be written".into()))?;
        self.ask(Method::POST, path, body, ANSWER, limits::KUBERNETES_OBJECT).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        deadline: Duration,
        most: usize,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let asked = async {
            let _turn = self.asking.acquire().await.map_err(|_| ApiError::Away("it is shutting down".into()))?;
            let response = self.send(method, path, body).await?;
            whole(response.into_body(), most).await
        };
        let late = |_| ApiError::Away(format!("no answer within {deadline:?}"));
        timeout(deadline, asked).await.map_err(late)?
    }

    /// A watch at `path`, which the API server ends by itself.
    pub async fn watch(&self, path: &str) -> Result<Lines, ApiError> {
        let late = |_| ApiError::Away(format!("no answer within {ANSWER:?}"));
        let response = timeout(ANSWER, self.send(Method::GET, path, Vec::new())).await.map_err(late)??;
        Ok(Lines { body: response.into_body(), buffer: VecDeque::new(), searched: 0 })
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response<Body>, ApiError> {
        let request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
        let request = request.map_err(|_| ApiError::Missing)?;
        let response = self.client.send(request).await.map_err(|error| away(&error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(ApiError::Missing),
            StatusCode::FORBIDDEN => Err(ApiError::Forbidden),
            StatusCode::GONE => Err(ApiError::Expired),
            StatusCode::UNAUTHORIZED => Err(ApiError::Away("it does not accept our token (401)".into())),
            status => {
                let words = words(response.into_body()).await;
                let code = status.as_u16();
                if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                    let words = if words.is_empty() { words } else { format!(": {words}") };
                    return Err(ApiError::Away(format!("it answered with status {code}{words}")));
                }
                Err(ApiError::Refused(code, words))
            }
        }
    }
}

/// What the API server says of an error; empty where that is nothing.
async fn words(body: Body) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let words = whole(body, limits::KUBERNETES_OBJECT).await.ok();
    let words = words.and_then(|body| serde_json::from_slice(&body).ok());
    words.map(|Status { message }| quoted(&message)).unwrap_or_default()
}

fn understood<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|_| ApiError::Away("its answer is not of the form we know".into()))
}

/// The whole body, wiped when dropped: it may be a Secret.
async fn whole(mut body: Body, most: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut whole = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| away(&error))?.into_data() else { continue };
        if whole.len() + piece.len() > most {
            Limit::Reply.crossed();
            return Err(ApiError::Away(format!("its answer is larger than {} KiB", most >> 10)));
        }
        if whole.len() + piece.len() > whole.capacity() {
            // Growing would leave a copy behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (whole.len() + piece.len())));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The innermost cause: those before it name the URL and nothing of use.
fn away(error: &kube::Error) -> ApiError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    ApiError::Away(quoted(&cause.to_string()))
}

/// The lines of a watch.
pub struct Lines {
    body: Body,
    buffer: VecDeque<u8>,
    /// How much of the buffer has no end of a line in it.
    searched: usize,
}

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        loop {
            if let Some(end) = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=self.searched + end).collect();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let Ok(piece) = frame.map_err(|error| away(&error))?.into_data() else { continue };
            if self.buffer.len() + piece.len() > limits::KUBERNETES_OBJECT {
                Limit::Reply.crossed();
                return Err(ApiError::Away("an object of its watch is too large".into()));
            }
            self.buffer.extend(piece);
        }
    }
}
