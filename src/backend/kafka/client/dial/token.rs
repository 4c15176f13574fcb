//! Tokens for OAUTHBEARER: fetched once, kept, and renewed before they expire, away from any read.
//!
//! From an OIDC token endpoint (KEDA's semantics: a client credentials grant) or signed for Amazon MSK.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::Region;
use parking_lot::Mutex;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use crate::{
    backend::kafka::connection::{MskIam, Sasl},
    clock::jittered,
    error::{ReadError, ReadErrorKind},
    identity::{aws::Identity, oauth::Grant},
    metadata::Secret,
    net::{Reach, http::Http},
    task::{self, Task},
};

/// A token this close to its end is not offered any more.
const MARGIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The tokens of one identity.
pub struct Tokens {
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
    pub fn of(sasl: &Sasl, reach: &Reach) -> Option<Self> {
        let issuer = match sasl {
            Sasl::OauthOidc(oidc) => {
                Issuer::Oidc { grant: Grant::new(oidc.oauth.clone()), http: OnceCell::new(), reach: reach.clone() }
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
        let (value, life) = self.issuer.issue().await?;
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

/// Each bounds its own waits.
enum Issuer {
    Oidc { grant: Grant, http: OnceCell<Http>, reach: Reach },
    Msk { msk: MskIam, identity: Arc<Identity> },
}

impl Issuer {
    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        match self {
            Self::Oidc { grant, http, reach } => {
                let http = http.get_or_try_init(|| async { Http::of_system(reach.clone()) }).await?;
                grant.ask(http).await
            }
            Self::Msk { msk, identity } => sign(msk, identity).await,
        }
    }
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
