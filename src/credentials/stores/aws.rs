//! AWS Secrets Manager, by AWS's own SDK over our HTTP client.
//!
//! Several keys of one secret cost one request. Not for: whose rights (`identity::aws`).

use std::{env, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_secretsmanager::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput},
};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{
    Answer, HOLDS, StoreLogin, Value, is_passing,
    json::Json,
    spec::{AwsSecret, AwsSecrets},
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    identity::aws::{Credentials, Identity, kind_of, reason, shown},
    limits,
    metadata::Secret,
    net::{Reach, http::Http},
};

/// All that one object wants of Secrets Manager.
pub struct Source {
    /// Why it cannot be asked; an earlier value stays then, as with KEDA.
    ready: Result<Ready, String>,
    secrets: Vec<AwsSecret>,
}

struct Ready {
    identity: Arc<Identity>,
    who: String,
    region: String,
    reach: Reach,
    /// In place of AWS's own.
    endpoint: Option<String>,
    client: OnceCell<Client>,
}

impl Source {
    pub fn new(of: &AwsSecrets, login: &StoreLogin, reach: &Reach) -> Self {
        let own = env::var("AWS_ENDPOINT_URL_SECRETS_MANAGER").or_else(|_| env::var("AWS_ENDPOINT_URL"));
        let region = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION")).ok();
        Self::with(of, login, reach, own.ok().filter(|url| !url.is_empty()), region)
    }

    pub(super) fn with(
        of: &AwsSecrets,
        login: &StoreLogin,
        reach: &Reach,
        endpoint: Option<String>,
        region: Option<String>,
    ) -> Self {
        let ready = ready(of, login, reach, endpoint, region);
        Self { ready, secrets: of.secrets.clone() }
    }
}

fn ready(
    of: &AwsSecrets,
    login: &StoreLogin,
    reach: &Reach,
    endpoint: Option<String>,
    region: Option<String>,
) -> Result<Ready, String> {
    let credentials = credentials(of, login)?;
    let region = Some(of.region.trim().to_owned()).filter(|region| !region.is_empty()).or(region);
    let Some(region) = region else {
        return Err("`awsSecretManager.region` is missing, give it, or `AWS_REGION` to the server".to_owned());
    };
    // It becomes part of a host's name.
    if region.len() > 32 || !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err("`awsSecretManager.region` is no region, give one such as `eu-west-1`".to_owned());
    }
    if endpoint.is_none() {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let host = format!("secretsmanager.{region}.amazonaws.com{suffix}");
        reach
            .check_host(&host)
            .and_then(|()| credentials.check(reach, &host, true))
            .map_err(|refusal| format!("`awsSecretManager` cannot be asked, {refusal}"))?;
    }
    let identity = Identity::of(&credentials, &region);
    let (who, reach) = (credentials.describe(), reach.clone());
    Ok(Ready { identity, who, region, reach, endpoint, client: OnceCell::new() })
}

/// Whose rights: an access key, or an identity.
fn credentials(of: &AwsSecrets, login: &StoreLogin) -> Result<Credentials, String> {
    let identity = of.pod_identity.as_ref();
    match identity.map_or("", |identity| identity.provider.as_str()) {
        "" | "none" => {
            // No valid key has outer blanks.
            let key = |field| login.secrets.get(field).map(|key| key.expose().trim()).filter(|key| !key.is_empty());
            match (key("accessKey"), key("accessSecretKey")) {
                (Some(id), Some(secret)) => Ok(Credentials::Static {
                    access_key_id: id.to_owned(),
                    secret_access_key: Secret::new(secret),
                    session_token: None,
                }),
                _ => Err("`awsSecretManager` has no login, give `credentials.accessKey` and `credentials.accessSecretKey`, or \
                          `podIdentity` with `provider: aws`"
                    .to_owned()),
            }
        }
        "aws" => {
            let role = login.role_arn.as_deref().or(identity.and_then(|identity| identity.role_arn.as_deref()));
            let external_id = identity.and_then(|identity| identity.external_id.clone()).filter(|id| !id.is_empty());
            Ok(match role.filter(|role| !role.is_empty()) {
                Some(arn) => Credentials::AssumeRole { arn: arn.to_owned(), external_id },
                None => Credentials::DefaultChain,
            })
        }
        other => Err(format!(
            "`awsSecretManager.podIdentity.provider: {}` is none that it takes, use `aws`, or `credentials`",
            quoted(other)
        )),
    }
}

impl Ready {
    async fn client(&self) -> Result<&Client, ReadError> {
        self.client
            .get_or_try_init(|| async {
                let http = Http::of_system(self.reach.clone())?.taking(limits::STORE_BODY);
                let config = self.identity.sdk_config(http).await;
                let mut builder = Builder::from(&config);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.endpoint_url(endpoint);
                }
                Ok(Client::from_conf(builder.build()))
            })
            .await
    }

    /// The secret; in words, why it is refused for good.
    async fn ask(&self, of: &AwsSecret) -> Result<Result<GetSecretValueOutput, String>, ReadError> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let request = self.client().await?.get_secret_value().secret_id(&of.name);
        let request = request.set_version_id(given(&of.version_id)).set_version_stage(given(&of.version_stage));
        let error = match request.send().await {
            Ok(secret) => return Ok(Ok(secret)),
            Err(error) => self.explained(&of.name, &error),
        };
        if error.kind == ReadErrorKind::Denied {
            // It may be the credentials that have ended.
            self.identity.forget();
        }
        if is_passing(&error) { Err(error) } else { Ok(Err(error.to_string())) }
    }

    fn explained(&self, name: &str, error: &SdkError<GetSecretValueError>) -> ReadError {
        use ReadErrorKind::{BadReply, Denied, Invalid, NotFound, Throttled, Timeout, Unreachable};
        let (name, region, who) = (quoted(name), &self.region, &self.who);
        let what = format!("secret `{name}` of `awsSecretManager` in `{region}`");
        let foreign = || {
            ReadError::new(
                BadReply,
                format!("{what}: something that is not Secrets Manager answers: check `AWS_ENDPOINT_URL`"),
            )
        };
        let (kind, text) = match error {
            SdkError::ServiceError(refusal) => {
                let code = shown(refusal.err().code()).unwrap_or("no code");
                let kind = kind_of(code, refusal.raw().status().as_u16());
                // The service knows what is asked: a secret that is being deleted, a version that is none.
                let kind = match (kind, code) {
                    (BadReply, "InvalidRequestException" | "InvalidParameterException") => Invalid,
                    (BadReply, "DecryptionFailure") => Denied,
                    (kind, _) => kind,
                };
                let cure = match kind {
                    NotFound => "correct its name, version or stage, and the region",
                    Denied => "grant `secretsmanager:GetSecretValue` on it, and `kms:Decrypt` on its key",
                    Invalid => "it is about to be deleted, or has no such version: restore or correct it",
                    Throttled => "it is asked again later",
                    _ => "it is asked again until AWS has recovered",
                };
                (kind, format!("{what} is refused for {who} with `{code}`, {cure}"))
            }
            SdkError::TimeoutError(_) => {
                (Timeout, format!("{what} is not told in time: check the way to Secrets Manager"))
            }
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (Timeout, format!("{what} is not told in time: check the way to Secrets Manager"))
            }
            SdkError::DispatchFailure(failure) => match failure.as_connector_error().and_then(|error| reason(error)) {
                Some(error) if error.kind == BadReply => return foreign().of_source(),
                Some(error) => (error.kind, format!("{what} cannot be asked for: {error}")),
                None => match reason(error) {
                    Some(error) => (error.kind, format!("{what} cannot be asked for: {error}")),
                    None => (Unreachable, format!("{what} cannot be asked for: check DNS, TLS and the network policy")),
                },
            },
            SdkError::ResponseError(_) => return foreign().of_source(),
            _ => match reason(error) {
                Some(error) => (error.kind, format!("{what} cannot be asked for: {error}")),
                None => (Invalid, format!("{what} cannot be asked for: check its name and the region")),
            },
        };
        ReadError::new(kind, text).of_source()
    }
}

/// What of the secret is wanted.
fn value(of: &AwsSecret, secret: &GetSecretValueOutput) -> Value {
    let name = quoted(&of.name);
    let Some(text) = secret.secret_string() else {
        return Err(format!("secret `{name}` of `awsSecretManager` is binary, store it as a text"));
    };
    if of.secret_key.is_empty() {
        return Ok(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let key = quoted(&of.secret_key);
    let Ok(json @ Json::Object(_)) = serde_json::from_str::<Json>(text) else {
        return Err(format!(
            "secret `{name}` of `awsSecretManager` is no JSON object, so it has no `secretKey` `{key}`, leave that out for the whole"
        ));
    };
    match json.get(&of.secret_key) {
        Some(Json::Text(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        Some(other) => Err(format!(
            "secret `{name}` of `awsSecretManager` has {} under `secretKey` `{key}`, where a text must be",
            other.kind()
        )),
        None => Err(format!("secret `{name}` of `awsSecretManager` has no `secretKey` `{key}`")),
    }
}

#[async_trait]
impl super::Source for Source {
    async fn read(&self, _: bool) -> Result<Answer, ReadError> {
        let ready = match &self.ready {
            Ok(ready) => ready,
            Err(why) => {
                let values = self.secrets.iter().map(|_| Err(why.clone())).collect();
                // `AWS_REGION` does not come to a process that runs.
                return Ok(Answer { values, holds: Duration::from_secs(3600) });
            }
        };
        let mut asked: Vec<(&AwsSecret, Result<GetSecretValueOutput, String>)> = Vec::new();
        let mut values = Vec::with_capacity(self.secrets.len());
        for wanted in &self.secrets {
            let of = |of: &AwsSecret| (of.name.clone(), of.version_id.clone(), of.version_stage.clone());
            let known = asked.iter().position(|(known, _)| of(known) == of(wanted));
            if known.is_none() {
                asked.push((wanted, ready.ask(wanted).await?));
            }
            let secret = known.and_then(|at| asked.get(at)).or(asked.last());
            values.push(match secret {
                Some((_, Ok(secret))) => value(wanted, secret),
                Some((_, Err(why))) => Err(why.clone()),
                None => Err(String::new()),
            });
        }
        Ok(Answer { values, holds: HOLDS })
    }
}
