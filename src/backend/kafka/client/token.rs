//! Tokens for OAUTHBEARER: fetched once, kept, and renewed before they expire, away from any read.
//!
//! From an OIDC token endpoint (KEDA's semantics: a client credentials grant) or signed for Amazon MSK.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::Region;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use super::heal::jittered;
use crate::{
    backend::{
        aws::Identity,
        kafka::connection::{MskIam, Oidc, Sasl},
    },
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    task::{self, Task},
};

/// For one token, whoever makes it.
const FETCH: Duration = Duration::from_secs(3);
/// A token without a stated end is taken for so long; one that the broker refuses is dropped anyway.
const UNSTATED: Duration = Duration::from_secs(3600);
/// A token this close to its end is not offered any more.
const MARGIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The tokens of one identity.
pub(super) struct Tokens {
    inner: Arc<Inner>,
    /// One fetch at a time; the task that renews, once there is something to renew.
    renewal: tokio::sync::Mutex<Option<Task>>,
}

struct Inner {
    issuer: Issuer,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    value: Secret,
    made: Instant,
    expires: Instant,
}

impl Tokens {
    /// The tokens that `sasl` needs, if it needs any.
    pub fn of(sasl: &Sasl) -> Option<Self> {
        let issuer = match sasl {
            Sasl::OauthOidc(oidc) => {
                Issuer::Oidc { oidc: oidc.clone(), http: OnceCell::new(), secret_in_body: AtomicBool::new(false) }
            }
            Sasl::MskIam(msk) => {
                Issuer::Msk { msk: msk.clone(), identity: Identity::of(&msk.credentials, &msk.region) }
            }
            Sasl::Plain(_) | Sasl::Scram256(_) | Sasl::Scram512(_) => return None,
        };
        let inner = Arc::new(Inner { issuer, current: Mutex::new(None) });
        Some(Self { inner, renewal: tokio::sync::Mutex::new(None) })
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        if let Some(token) = self.inner.usable() {
            return Ok(token);
        }
        let mut renewal = self.renewal.lock().await;
        if let Some(token) = self.inner.usable() {
            return Ok(token);
        }
        let token = self.inner.fetch().await?;
        *renewal = Some(task::spawn(renew(Arc::clone(&self.inner))));
        Ok(token)
    }

    /// The broker refuses the one at hand: the next login gets another.
    pub fn forget(&self) {
        *self.inner.current.lock() = None;
        if let Issuer::Msk { identity, .. } = &self.inner.issuer {
            identity.forget();
        }
    }
}

impl Inner {
    fn usable(&self) -> Option<Secret> {
        let current = self.current.lock();
        current.as_ref().filter(|token| token.expires > Instant::now() + MARGIN).map(|token| token.value.clone())
    }

    async fn fetch(&self) -> Result<Secret, ReadError> {
        let (value, life) = timeout(FETCH, self.issuer.issue()).await.unwrap_or_else(|_| Err(self.issuer.late()))?;
        let made = Instant::now();
        *self.current.lock() = Some(Token { value: value.clone(), made, expires: made + life });
        Ok(value)
    }
}

/// Renews the token at some 80 % of its life, with patience while the old one still holds.
async fn renew(inner: Arc<Inner>) {
    let mut retry = RETRY;
    loop {
        let Some(token) = inner.current.lock().clone() else { return };
        let due = jittered(token.expires - token.made, 0.75..0.85);
        sleep((token.made + due).saturating_duration_since(Instant::now())).await;
        match inner.fetch().await {
            Ok(_) => retry = RETRY,
            Err(_) if token.expires < Instant::now() => return,
            Err(_) => {
                sleep(jittered(retry, 0.5..1.0)).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        }
    }
}

enum Issuer {
    Oidc {
        oidc: Oidc,
        http: OnceCell<reqwest::Client>,
        /// The endpoint takes the client's secret in the form only, not in the header.
        secret_in_body: AtomicBool,
    },
    Msk {
        msk: MskIam,
        identity: Arc<Identity>,
    },
}

impl Issuer {
    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        match self {
            Self::Oidc { oidc, http, secret_in_body } => {
                let http = http.get_or_try_init(|| async { client(oidc) }).await?;
                grant(http, oidc, secret_in_body).await
            }
            Self::Msk { msk, identity } => sign(msk, identity).await,
        }
    }

    fn late(&self) -> ReadError {
        let text = match self {
            Self::Oidc { oidc, .. } => format!("{} does not answer within {FETCH:?}", endpoint(oidc)),
            Self::Msk { .. } => format!("no AWS credentials for Amazon MSK within {FETCH:?}"),
        };
        ReadError::new(ReadErrorKind::Timeout, text)
    }
}

fn client(oidc: &Oidc) -> Result<reqwest::Client, ReadError> {
    reqwest::Client::builder().timeout(FETCH).build().map_err(|error| {
        ReadError::new(ReadErrorKind::Internal, format!("{} cannot be asked: {error}", endpoint(oidc)))
    })
}

/// For people: no user part, no query.
fn endpoint(oidc: &Oidc) -> String {
    match reqwest::Url::parse(&oidc.token_endpoint) {
        Ok(url) => format!(
            "token endpoint `{}://{}{}`",
            url.scheme(),
            url.host_str().unwrap_or_default(),
            url.port().map(|port| format!(":{port}")).unwrap_or_default() + url.path()
        ),
        Err(_) => "the token endpoint in `oauthTokenEndpointUri`".into(),
    }
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    /// Seconds; some endpoints send text.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

async fn grant(
    http: &reqwest::Client,
    oidc: &Oidc,
    secret_in_body: &AtomicBool,
) -> Result<(Secret, Duration), ReadError> {
    let mut response = ask(http, oidc, secret_in_body.load(Ordering::Relaxed)).await?;
    // As Go's oauth2, which KEDA uses: the header first, the form for endpoints that know no better.
    if response.status().is_client_error() && !secret_in_body.load(Ordering::Relaxed) {
        let second = ask(http, oidc, true).await?;
        if second.status().is_success() {
            secret_in_body.store(true, Ordering::Relaxed);
            response = second;
        }
    }
    let status = response.status();
    let at = endpoint(oidc);
    if !status.is_success() {
        // Only the error's code: its description may hold a time or a trace id, and differ each time.
        let why = response.json::<Refusal>().await.map_or_else(|_| status.to_string(), |refusal| refusal.error);
        let kind = if status.is_client_error() { ReadErrorKind::Denied } else { ReadErrorKind::Unreachable };
        let text = format!("{at} gives no token: {why}: check `username`, `password` and `scopes`");
        return Err(ReadError::new(kind, text).of_connection());
    }
    let grant: Grant = response.json().await.map_err(|_| {
        let text = format!("{at} answers without an `access_token`: is it an OAuth 2.0 token endpoint?");
        ReadError::new(ReadErrorKind::BadReply, text).of_connection()
    })?;
    let seconds = grant.expires_in.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    Ok((Secret::new(grant.access_token), seconds.map_or(UNSTATED, Duration::from_secs)))
}

async fn ask(http: &reqwest::Client, oidc: &Oidc, secret_in_body: bool) -> Result<reqwest::Response, ReadError> {
    let scope = oidc.scopes.join(" ");
    let mut form = vec![("grant_type", "client_credentials"), ("scope", &scope)];
    let mut request = http.post(&oidc.token_endpoint);
    if secret_in_body {
        form.extend([("client_id", &*oidc.client_id), ("client_secret", oidc.client_secret.expose())]);
    } else {
        // RFC 6749 §2.3.1: both are form-encoded before they go into the header.
        request = request.basic_auth(encoded(&oidc.client_id), Some(encoded(oidc.client_secret.expose())));
    }
    request.form(&form).send().await.map_err(|error| {
        let why = if error.is_timeout() {
            "does not answer in time"
        } else if error.is_connect() {
            "cannot be connected to"
        } else {
            "cannot be asked"
        };
        let kind = if error.is_timeout() { ReadErrorKind::Timeout } else { ReadErrorKind::Unreachable };
        ReadError::new(kind, format!("{} {why}: check `oauthTokenEndpointUri`", endpoint(oidc)))
    })
}

fn encoded(text: &str) -> String {
    // `key=` and the text; the URL crate's own serializer knows the rules.
    let mut url = match reqwest::Url::parse("x:") {
        Ok(url) => url,
        Err(_) => return text.to_owned(),
    };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

/// The signer hides why credentials cannot be had, so they are asked for first.
async fn sign(msk: &MskIam, identity: &Arc<Identity>) -> Result<(Secret, Duration), ReadError> {
    identity.credentials().await?;
    let region = Region::new(msk.region.clone());
    let signed = aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider(region, identity.provider());
    let (token, expires_ms) = signed.await.map_err(|error| {
        let text = format!("no token for Amazon MSK: {error}: check the AWS credentials and `awsRegion`");
        ReadError::new(ReadErrorKind::Denied, text).of_connection()
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let life = Duration::from_millis(u64::try_from(expires_ms).unwrap_or_default()).saturating_sub(now);
    Ok((Secret::new(token), life))
}
