//! The live credentials of one (credentials, region), shared by everybody with the same: where they come from, and what
//! the SDK makes of them.
//!
//! Not for: how they are kept and renewed (`identity::kept`).

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig,
    default_provider::credentials::DefaultCredentialsChain,
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
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;

use super::{Credentials, connector, explain};
use crate::{
    error::ReadError,
    identity::{
        cache::Cache,
        held::Issued,
        kept::{Issuer, Kept},
    },
    limits,
    net::{Reach, http::Http},
};

/// Attempts of the SDK for one request, the first one included; more is for the sampler to decide.
const ATTEMPTS: u32 = 2;
const CONNECT: Duration = Duration::from_millis(1500);
const ATTEMPT: Duration = Duration::from_secs(2);
/// Credentials without an end, from a file say, are looked up again after this.
const UNSTATED_LIFE: Duration = Duration::from_secs(900);
const SESSION_NAME: &str = "plimsoll";
const WEB_IDENTITY_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

type Key = (Credentials, String);

static IDENTITIES: LazyLock<Cache<Key, Identity>> = LazyLock::new(Cache::default);

/// Live credentials in one region.
pub struct Identity(Kept<Source>);

/// Where they come from.
struct Source {
    credentials: Credentials,
    region: Region,
    provider: OnceCell<SharedCredentialsProvider>,
}

impl Identity {
    /// The identity of these credentials in this region: one for all who ask for the same, for as long as somebody
    /// holds it. Starts nothing.
    #[must_use]
    pub fn of(credentials: &Credentials, region: &str) -> Arc<Self> {
        IDENTITIES.get((credentials.clone(), region.to_owned()), |(credentials, region)| {
            let (credentials, region) = (credentials.clone(), Region::new(region.clone()));
            Self(Kept::new(Source { credentials, region, provider: OnceCell::new() }))
        })
    }

    /// Credentials that are good for a while yet: mostly the ones at hand.
    pub async fn credentials(&self) -> Result<Keys, ReadError> {
        if let Credentials::Static { access_key_id, secret_access_key, session_token } = &self.0.credentials {
            let token = session_token.as_ref().map(|token| token.expose().to_owned());
            return Ok(Keys::new(access_key_id, secret_access_key.expose(), token, None, "trigger"));
        }
        self.0.get().await
    }

    /// What is shown, and how old it is; nothing where the trigger itself has the key.
    #[must_use]
    pub fn issued(&self) -> Option<Issued> {
        let own = matches!(self.0.credentials, Credentials::Static { .. });
        (!own).then(|| self.0.issued(format!("keys of {}", self.0.credentials.describe())))
    }

    /// The service refuses the credentials at hand: the next asker gets others.
    pub fn forget(&self) {
        self.0.forget();
    }

    /// For an AWS client that speaks by `http`: region, retries, timeouts, and these credentials. Costs no request.
    pub async fn sdk_config(self: &Arc<Self>, http: Http) -> SdkConfig {
        let loader = loader(&self.0.region, connector::client(http))
            .credentials_provider(self.provider())
            // We keep them ourselves, for every client alike.
            .identity_cache(IdentityCache::no_cache());
        loader.load().await
    }

    /// For whoever signs by itself.
    #[must_use]
    pub fn provider(self: &Arc<Self>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Provider(Arc::clone(self)))
    }
}

#[async_trait]
impl Issuer for Source {
    type Value = Keys;

    async fn issue(&self) -> Result<(Keys, Duration), ReadError> {
        let keys = self.provider().await?.provide_credentials().await;
        let keys = keys.map_err(|error| explain::refused(&self.credentials, &error))?;
        let left = |end: SystemTime| end.duration_since(SystemTime::now()).unwrap_or_default();
        let life = keys.expiry().map_or(UNSTATED_LIFE, left);
        Ok((keys, life))
    }

    fn late(&self, patience: Duration) -> ReadError {
        explain::late(&self.credentials, patience)
    }
}

impl Source {
    /// All that is asked here is the server's operator's to name.
    async fn provider(&self) -> Result<&SharedCredentialsProvider, ReadError> {
        self.provider
            .get_or_try_init(|| async {
                let http = Http::of_system(Reach::of_operator())?.taking(limits::IDENTITY_BODY);
                let loader = loader(&self.region, connector::client(http));
                let config = loader.identity_cache(IdentityCache::no_cache()).load().await;
                let own = config.credentials_provider();
                Ok(match (&self.credentials, own) {
                    (Credentials::AssumeRole { arn, external_id }, _) => {
                        SharedCredentialsProvider::new(Role::new(arn, external_id.as_deref(), &config).await)
                    }
                    (_, Some(own)) => own,
                    (_, None) => SharedCredentialsProvider::new(
                        DefaultCredentialsChain::builder().configure(provider_config(&config)).build().await,
                    ),
                })
            })
            .await
    }
}

fn loader(region: &Region, client: SharedHttpClient) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ATTEMPT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(ATTEMPT * ATTEMPTS + Duration::from_millis(400))
        .build();
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(Duration::from_millis(400));
    aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .http_client(client)
        .timeout_config(timeouts)
        .retry_config(retry)
}

/// What a provider of the SDK needs of `config`: our client above all.
fn provider_config(config: &SdkConfig) -> ProviderConfig {
    let mut provider = ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(client) = config.http_client() {
        provider = provider.with_http_client(client);
    }
    if let (Some(retry), Some(timeouts)) = (config.retry_config(), config.timeout_config()) {
        provider = provider.with_retry_config(retry.clone()).with_timeout_config(timeouts.clone());
    }
    provider
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
            let provider = provider_config(config);
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
        write!(f, "{} in {}", self.0.credentials.describe(), self.0.region)
    }
}
