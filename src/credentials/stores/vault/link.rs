//! One way to one Vault: where it is, in which namespace, and how an answer of its is an error.
//!
//! Not for: who asks (`session.rs`), or what is asked (`mod.rs`).

use parking_lot::Mutex;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::settings::Settings;
use crate::{
    credentials::stores::{PATIENCE, invalid, json::Json},
    error::{ReadError, ReadErrorKind, quoted},
    limits,
    metadata::Secret,
    net::{
        Reach,
        http::{
            Http, Method, Request, StatusCode, Url,
            header::{CONTENT_TYPE, HeaderName, HeaderValue},
            kind, place,
        },
        tls::Tls,
    },
};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// An agent may ask for it, against requests that somebody's browser is tricked into.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// What makes one way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Way {
    pub url: Url,
    pub namespace: Option<String>,
    pub settings: Settings,
    pub reach: Reach,
}

/// A way that is gone.
pub struct Link {
    pub way: Way,
    /// Made anew when the files that make it have changed.
    http: Mutex<Option<(Tls, Http)>>,
}

/// A refusal of Vault's, in its words.
pub struct Refusal {
    pub status: StatusCode,
    /// ``403 Forbidden, `permission denied` ``.
    pub said: String,
}

/// What Vault says to a question.
pub type Said = Result<Json, Refusal>;

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

impl Way {
    /// The way that the object names, or the server's environment.
    pub fn new(address: &str, namespace: Option<&str>, settings: Settings, reach: &Reach) -> Result<Self, ReadError> {
        let named = Some(address.trim()).filter(|address| !address.is_empty());
        let Some(address) = named.or(settings.address.as_deref()) else {
            return Err(invalid("`hashiCorpVault.address` is missing: give it, or `VAULT_ADDR` to the server"));
        };
        let url = Url::parse(address.trim_end_matches('/')).ok();
        let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) else {
            return Err(invalid("`hashiCorpVault.address` must be `http://…` or `https://…`: correct it"));
        };
        let namespace = namespace.map(str::to_owned).filter(|text| !text.is_empty()).or(settings.namespace.clone());
        Ok(Self { url, namespace, settings, reach: reach.clone() })
    }

    /// Whether a token that is the server's own may be shown there: whoever writes a TriggerAuthentication names the
    /// address, and must not get it that way.
    pub fn may_see_our_own(&self, what: &str) -> Result<(), ReadError> {
        let own = self.settings.address.as_deref().and_then(|address| Url::parse(address).ok());
        if own.is_some_and(|own| own.origin() == self.url.origin()) {
            return Ok(());
        }
        if self.settings.address.is_none() && self.url.scheme() == "https" && !self.settings.skip_verify {
            return Ok(());
        }
        let text = format!(
            "{what} is not shown to {}: set `VAULT_ADDR` of the server to the Vault that may see it, or give `credential` one of \
             its own",
            self.place()
        );
        Err(ReadError::new(ReadErrorKind::Denied, text).of_source())
    }

    /// For people.
    pub fn place(&self) -> String {
        place(&self.url)
    }
}

impl Link {
    pub fn new(way: Way) -> Self {
        Self { way, http: Mutex::new(None) }
    }

    /// Asks for what is at `path`. What Vault refuses for good is an answer; an error is that it cannot be asked now.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Said, ReadError> {
        let place = self.way.place();
        let mut url = self.way.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/v1/{}", path.trim_start_matches('/')));
        let mut request = Request::new(method, url).header(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = token {
            let value = HeaderValue::from_str(token.expose());
            let mut value = value.map_err(|_| invalid("a token for Vault is not one line of text: correct it"))?;
            value.set_sensitive(true);
            request = request.header(TOKEN, value);
        }
        if let Some(namespace) = &self.way.namespace {
            let value = HeaderValue::from_str(namespace);
            let value = value.map_err(|_| invalid("`hashiCorpVault.namespace` is not one line of text: correct it"))?;
            request = request.header(NAMESPACE, value);
        }
        if let Some(body) = &body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body.to_vec());
        }
        let mut answer = self.http().await?.send(request, PATIENCE).await?;
        let (status, web) = (answer.status, answer.is_web_page());
        let text = Zeroizing::new(std::mem::take(&mut answer.body));
        if status.is_success() {
            // As with a renewal, it may have nothing to say.
            if text.is_empty() {
                return Ok(Ok(Json::Other));
            }
            return match serde_json::from_slice(&text) {
                Ok(json) => Ok(Ok(json)),
                Err(_) => {
                    let what = if web { "a web page" } else { "something else than JSON" };
                    let text = format!("{place} answers with {what}: correct `hashiCorpVault.address`");
                    Err(ReadError::new(ReadErrorKind::BadReply, text).of_source())
                }
            };
        }
        let words = serde_json::from_slice::<Errors>(&text).unwrap_or(Errors { errors: Vec::new() }).errors.join(", ");
        let repeats = body.is_some_and(|body| repeats(&words, &body));
        let words: Vec<&str> = words.split_whitespace().filter(|word| *word != "*").collect();
        let words = words.join(" ");
        let said =
            if words.is_empty() || repeats { status.to_string() } else { format!("{status}, `{}`", quoted(&words)) };
        let gone = status.is_redirection()
            || !matches!(kind(status), ReadErrorKind::Denied | ReadErrorKind::NotFound | ReadErrorKind::BadReply);
        // 412: a standby that has not heard of a token yet.
        if gone || status == StatusCode::PRECONDITION_FAILED {
            let cure = match status {
                StatusCode::TOO_MANY_REQUESTS => "raise its limits",
                StatusCode::SERVICE_UNAVAILABLE => "unseal it, or see its log",
                _ if status.is_redirection() => return Err(answer.refusal(&place)),
                _ => "see its log",
            };
            let kind =
                if status == StatusCode::PRECONDITION_FAILED { ReadErrorKind::Unreachable } else { kind(status) };
            return Err(ReadError::new(kind, format!("{place} answers {said}: {cure}")).of_source());
        }
        Ok(Err(Refusal { status, said }))
    }

    async fn http(&self) -> Result<Http, ReadError> {
        let tls = self.way.settings.tls()?;
        if let Some((_, http)) = self.http.lock().as_ref().filter(|(made_of, _)| *made_of == tls) {
            return Ok(http.clone());
        }
        let http = Http::new(&tls, self.way.reach.clone()).await?.taking(limits::STORE_BODY);
        *self.http.lock() = Some((tls, http.clone()));
        Ok(http)
    }
}

/// Whether `words` have a piece of what was sent as a token.
fn repeats(words: &str, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    words
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
        .any(|word| word.len() >= 24 && body.contains(word))
}
