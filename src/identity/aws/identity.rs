//! The live credentials of one (credentials, region): loaded when first needed, shared by everybody with the same,
//! renewed before they end.
//!
//! A renewal goes on beside the reads for as long as the old credentials hold, so STS may be away for a while.
//! Not for: back-off, which the sampler keeps per connection.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig,
    identity::IdentityCache,
    provider_config::ProviderConfig,
    retry::RetryConfig,
    sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
    web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider},
};
use aws_credential_types::{
    Credentials as Keys,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use parking_lot::Mutex;
use rand::RngExt;
use tokio::{
    sync::{OnceCell, oneshot},
    time::{Instant, timeout},
};

use super::connector;
use super::{Credentials, explain};
use crate::{error::ReadError, identity::cache::Cache, net::Reach, task};

/// How long one asker waits for credentials: less than a read's deadline, so that the error says what was slow.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one load may take in all; it goes on without the asker.
const LOAD: Duration = Duration::from_secs(12);
/// Attempts of the SDK for one request, the first one included; more is for the sampler to decide.
const ATTEMPTS: u32 = 2;
const CONNECT: Duration = Duration::from_millis(1500);
const ATTEMPT: Duration = Duration::from_secs(2);
/// Renewed when a fifth of the life is left, but no earlier than this before the end: where credentials come from a
/// metadata service, asking earlier gives the same ones again.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Not used any more when this close to the end (a tenth of the life if that is less): the request must arrive.
const UNUSED_BEFORE: Duration = Duration::from_secs(10);
/// Credentials without an end, from a file say, are looked up again after this.
const UNSTATED_LIFE: Duration = Duration::from_secs(900);
/// Between two renewals that fail while the old credentials hold, with jitter.
const RENEW_AGAIN: Duration = Duration::from_secs(10);
const SESSION_NAME: &str = "plimsoll";
const WEB_IDENTITY_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

type Key = (Credentials, String);

static IDENTITIES: LazyLock<Cache<Key, Identity>> = LazyLock::new(Cache::default);

/// Live credentials in one region.
pub struct Identity {
    credentials: Credentials,
    region: Region,
    provider: OnceCell<SharedCredentialsProvider>,
    held: Mutex<Option<Held>>,
    /// One load at a time. Holds the last failure and when its load began, for those who waited meanwhile.
    load: tokio::sync::Mutex<Option<(Instant, ReadError)>>,
}

#[derive(Clone)]
struct Held {
    keys: Keys,
    renew_at: Instant,
    unused_from: Instant,
}

impl Identity {
    /// The identity of these credentials in this region: one for all who ask for the same, for as long as somebody
    /// holds it. Starts nothing.
    #[must_use]
    pub fn of(credentials: &Credentials, region: &str) -> Arc<Self> {
        IDENTITIES.get((credentials.clone(), region.to_owned()), |(credentials, region)| Self {
            credentials: credentials.clone(),
            region: Region::new(region.clone()),
            provider: OnceCell::new(),
            held: Mutex::new(None),
            load: tokio::sync::Mutex::new(None),
        })
    }

    /// Credentials that are good for a while yet: mostly the ones at hand.
    pub async fn credentials(self: &Arc<Self>) -> Result<Keys, ReadError> {
        if let Credentials::Static { access_key_id, secret_access_key, session_token } = &self.credentials {
            let token = session_token.as_ref().map(|token| token.expose().to_owned());
            return Ok(Keys::new(access_key_id, secret_access_key.expose(), token, None, "trigger"));
        }
        let asked = Instant::now();
        let at_hand = {
            let mut held = self.held.lock();
            let usable = held.as_mut().filter(|held| asked < held.unused_from);
            usable.map(|held| {
                let due = asked >= held.renew_at;
                if due {
                    // Until this renewal has ended, others need not try.
                    held.renew_at = asked + RENEW_AGAIN.mul_f64(rand::rng().random_range(0.75..1.25));
                }
                (held.keys.clone(), due)
            })
        };
        let identity = Arc::clone(self);
        match at_hand {
            Some((keys, false)) => Ok(keys),
            Some((keys, true)) => {
                task::detach(async move {
                    identity.load(asked, true).await.ok();
                });
                Ok(keys)
            }
            None => {
                let (reply, loaded) = oneshot::channel();
                task::detach(async move {
                    reply.send(identity.load(asked, false).await).ok();
                });
                let late = || Err(explain::late(&self.credentials, PATIENCE));
                match timeout(PATIENCE, loaded).await {
                    Ok(Ok(loaded)) => loaded,
                    Ok(Err(_)) | Err(_) => late(),
                }
            }
        }
    }

    /// The service refuses the credentials at hand: the next asker gets others.
    pub fn forget(&self) {
        *self.held.lock() = None;
    }

    /// For an AWS client that goes no further than `reach`: region, retries, timeouts, and these credentials. Costs no
    /// request.
    pub async fn sdk_config(self: &Arc<Self>, reach: Reach) -> Result<SdkConfig, ReadError> {
        let loader = loader(&self.region, reach)?
            .credentials_provider(self.provider())
            // We keep them ourselves, for every client alike.
            .identity_cache(IdentityCache::no_cache());
        Ok(loader.load().await)
    }

    /// For whoever signs by itself.
    #[must_use]
    pub fn provider(self: &Arc<Self>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Provider(Arc::clone(self)))
    }

    /// Loads new credentials, unless a load that began after `asked` has just ended.
    async fn load(&self, asked: Instant, renewal: bool) -> Result<Keys, ReadError> {
        let mut last_failure = self.load.lock().await;
        if let Some(held) = self.held.lock().as_ref().filter(|held| !renewal && Instant::now() < held.unused_from) {
            return Ok(held.keys.clone());
        }
        if let Some((_, failure)) = last_failure.as_ref().filter(|(began, _)| *began >= asked) {
            return Err(failure.clone());
        }
        let began = Instant::now();
        let loaded = timeout(LOAD, async {
            let keys = self.sources().await?.provide_credentials().await;
            keys.map_err(|error| explain::refused(&self.credentials, &error))
        });
        let loaded = match loaded.await {
            Ok(loaded) => loaded,
            Err(_) => Err(explain::late(&self.credentials, LOAD)),
        };
        match loaded {
            Ok(keys) => {
                *last_failure = None;
                *self.held.lock() = Some(Held::new(keys.clone(), Instant::now()));
                Ok(keys)
            }
            Err(failure) => {
                *last_failure = Some((began, failure.clone()));
                Err(failure)
            }
        }
    }

    /// All that is asked here is the server's operator's to name.
    async fn sources(&self) -> Result<&SharedCredentialsProvider, ReadError> {
        self.provider
            .get_or_try_init(|| async {
                let loader = loader(&self.region, Reach::of_operator())?;
                let config = loader.identity_cache(IdentityCache::no_cache()).load().await;
                let own = config.credentials_provider();
                Ok(match (&self.credentials, own) {
                    (Credentials::AssumeRole { arn, external_id }, _) => {
                        SharedCredentialsProvider::new(Role::new(arn, external_id.as_deref(), &config).await)
                    }
                    (_, Some(own)) => own,
                    (_, None) => SharedCredentialsProvider::new(
                        aws_config::default_provider::credentials::default_provider().await,
                    ),
                })
            })
            .await
    }
}

fn loader(region: &Region, reach: Reach) -> Result<ConfigLoader, ReadError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(ATTEMPT * ATTEMPTS + Duration::from_millis(400))
        .build();
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(Duration::from_millis(400));
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .http_client(connector::client(reach)?)
        .timeout_config(timeouts)
        .retry_config(retry))
}

impl Held {
    fn new(keys: Keys, now: Instant) -> Self {
        let life = keys.expiry().map_or(UNSTATED_LIFE, |end| end.duration_since(SystemTime::now()).unwrap_or_default());
        let renew_at = now + life.saturating_sub(RENEW_BEFORE.min(life / 5));
        let unused_from = now + life.saturating_sub(UNUSED_BEFORE.min(life / 10));
        Self { keys, renew_at, unused_from }
    }
}

/// A role, as KEDA assumes it: by the pod's web identity if the role trusts that, else by the server's own identity.
#[derive(Debug)]
struct Role {
    by_web_identity: Option<WebIdentityTokenCredentialsProvider>,
    by_own_identity: AssumeRoleProvider,
}

impl Role {
    async fn new(arn: &str, external_id: Option<&str>, config: &SdkConfig) -> Self {
        let mut builder = AssumeRoleProvider::builder(arn).configure(config).session_name(SESSION_NAME);
        if let Some(id) = external_id {
            builder = builder.external_id(id);
        }
        // An external id goes with AssumeRole only.
        let file = std::env::var_os(WEB_IDENTITY_FILE).filter(|file| external_id.is_none() && !file.is_empty());
        let by_web_identity = file.map(|file| {
            let source = StaticConfiguration {
                web_identity_token_file: file.into(),
                role_arn: arn.to_owned(),
                session_name: SESSION_NAME.to_owned(),
            };
            let mut provider = ProviderConfig::without_region().with_region(config.region().cloned());
            if let Some(client) = config.http_client() {
                provider = provider.with_http_client(client);
            }
            if let (Some(retry), Some(timeouts)) = (config.retry_config(), config.timeout_config()) {
                provider = provider.with_retry_config(retry.clone()).with_timeout_config(timeouts.clone());
            }
            WebIdentityTokenCredentialsProvider::builder().configure(&provider).static_configuration(source).build()
        });
        Self { by_web_identity, by_own_identity: builder.build().await }
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if let Some(web) = &self.by_web_identity
                && let Ok(keys) = web.provide_credentials().await
            {
                return Ok(keys);
            }
            self.by_own_identity.provide_credentials().await
        })
    }
}

/// An [`Identity`] as the SDK wants it.
struct Provider(Arc<Identity>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.credentials().await.map_err(CredentialsError::provider_error) })
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.credentials.describe(), self.region)
    }
}
