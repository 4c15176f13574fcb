//! Azure Key Vault, by its REST interface: Microsoft's own library would bring an HTTP and TLS stack of its own.
//!
//! Whatever fails is an error of the whole, as with KEDA. Not for: tokens (`identity`).

use std::{env, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{
    Answer, HOLDS, PATIENCE, StoreLogin, denied, invalid,
    json::Json,
    spec::{AzureSecret, AzureVault},
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    identity::{
        azure::{self, Azure},
        oauth::{self, OAuth},
    },
    limits,
    metadata::Secret,
    net::{
        Cloud, Reach,
        http::{
            Answer as HttpAnswer, Http, Method, Request, StatusCode, Url, escape, header::WWW_AUTHENTICATE, kind, place,
        },
        tls::Tls,
    },
};

const VERSION: &str = "7.4";
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// All that one object wants of one vault.
pub struct Source {
    vault: Url,
    login: Login,
    reach: Reach,
    authority: String,
    http: OnceCell<Http>,
    tokens: OnceCell<Tokens>,
    secrets: Vec<AzureSecret>,
}

/// Whose rights.
enum Login {
    Application { client_id: String, tenant_id: String, client_secret: Secret },
    Own { client_id: Option<String>, tenant_id: Option<String> },
}

enum Tokens {
    Application(Arc<oauth::Tokens>),
    Own(Arc<azure::Tokens>),
}

#[derive(Deserialize)]
struct Told {
    value: Json,
}

#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: Code,
}

#[derive(Deserialize, Default)]
struct Code {
    #[serde(default)]
    code: String,
    innererror: Option<Box<Code>>,
}

impl Source {
    pub fn new(of: &AzureVault, login: &StoreLogin, reach: &Reach) -> Result<Self, ReadError> {
        let authority = env::var("AZURE_AUTHORITY_HOST").ok().filter(|host| !host.is_empty());
        Self::with(of, login, reach, authority.unwrap_or_else(|| AUTHORITY.to_owned()))
    }

    pub(super) fn with(
        of: &AzureVault,
        login: &StoreLogin,
        reach: &Reach,
        authority: String,
    ) -> Result<Self, ReadError> {
        let vault = Url::parse(of.vault_uri.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(vault) = vault else {
            return Err(invalid("`azureKeyVault.vaultUri` must be `https://<name>.vault.azure.net`: correct it"));
        };
        let secret = login.secrets.get("clientSecret");
        let login = login_of(of, secret)?;
        let host = vault.host_str().unwrap_or_default();
        // A token is shown to nobody who may only listen.
        reach
            .check_identity(Cloud::Azure, host, vault.scheme() == "https")
            .map_err(|refusal| denied(&format!("`azureKeyVault.vaultUri` is not asked, {refusal}")))?;
        Ok(Self {
            login,
            reach: reach.clone(),
            authority: authority.trim_end_matches('/').to_owned(),
            http: OnceCell::new(),
            tokens: OnceCell::new(),
            secrets: of.secrets.clone(),
            vault,
        })
    }

    async fn http(&self) -> Result<&Http, ReadError> {
        let made = || async { Ok::<_, ReadError>(Http::of_system(self.reach.clone())?.taking(limits::STORE_BODY)) };
        self.http.get_or_try_init(made).await
    }

    fn request(&self, of: &AzureSecret) -> Request {
        let mut url = self.vault.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/secrets/{}/{}", escape(&of.name), escape(&of.version)));
        url.set_query(Some(&format!("api-version={VERSION}")));
        Request::new(Method::GET, url)
    }

    /// The tokens of the login for whom the vault says.
    async fn tokens(&self, first: &AzureSecret) -> Result<&Tokens, ReadError> {
        let made = self.tokens.get_or_try_init(|| async {
            let place = place(&self.vault);
            let answer = self.http().await?.send(self.request(first), PATIENCE).await?;
            let challenge = answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            let Some(resource) = challenge.and_then(resource) else {
                if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
                    return Err(answer.refusal(&place).of_source());
                }
                let text = format!("{place} does not say whose tokens it takes, as Azure Key Vault does: correct `azureKeyVault.vaultUri`");
                return Err(ReadError::new(ReadErrorKind::BadReply, text).of_source());
            };
            if !is_of(&self.vault, &resource) {
                return Err(denied(&format!(
                    "{place} wants a token that is for somebody else: correct `azureKeyVault.vaultUri`"
                )));
            }
            let scope = format!("{}/.default", resource.trim_end_matches('/'));
            Ok(match &self.login {
                Login::Application { client_id, tenant_id, client_secret } => {
                    let oauth = OAuth {
                        token_uri: format!("{}/{}/oauth2/v2.0/token", self.authority, escape(tenant_id)),
                        client_id: client_id.clone(),
                        client_secret: client_secret.clone(),
                        scopes: vec![scope],
                        parameters: Vec::new(),
                    };
                    Tokens::Application(oauth::Tokens::of(&oauth, &Tls::default(), &Reach::of_operator()))
                }
                Login::Own { client_id, tenant_id } => {
                    let azure = Azure { scope, client_id: client_id.clone(), tenant_id: tenant_id.clone() };
                    Tokens::Own(azure::Tokens::of(&azure))
                }
            })
        });
        made.await
    }

    async fn ask(&self, of: &AzureSecret) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        let (what, tokens) = (self.named(of), self.tokens(of).await?);
        let token = tokens.get().await?;
        let request = self.request(of).bearer_auth(token.expose()).ok_or_else(oauth::not_a_token)?;
        let sent = self.http().await?.send(request, PATIENCE).await;
        let mut answer = sent.map_err(|error| ReadError::new(error.kind, format!("{what}: {error}")).of_source())?;
        let body = Zeroizing::new(std::mem::take(&mut answer.body));
        if answer.status == StatusCode::UNAUTHORIZED {
            tokens.forget();
        }
        if !answer.status.is_success() {
            return Err(refused(&what, &answer, &body));
        }
        let told = serde_json::from_slice::<Told>(&body).ok().filter(|told| told.value.text().is_some());
        let told = told.ok_or_else(|| {
            let text =
                format!("{what} is answered with something that is not Key Vault's: correct `azureKeyVault.vaultUri`");
            ReadError::new(ReadErrorKind::BadReply, text).of_source()
        })?;
        Ok(Zeroizing::new(told.value.text().unwrap_or_default().as_bytes().to_vec()))
    }

    fn named(&self, of: &AzureSecret) -> String {
        let version =
            if of.version.is_empty() { String::new() } else { format!(" in version `{}`", quoted(&of.version)) };
        format!("secret `{}`{version} of `azureKeyVault` at {}", quoted(&of.name), place(&self.vault))
    }
}

fn login_of(of: &AzureVault, secret: Option<&Secret>) -> Result<Login, ReadError> {
    let identity = of.pod_identity.as_ref();
    match identity.map_or("", |identity| identity.provider.as_str()) {
        "" | "none" => {
            let given = of.credentials.as_ref().zip(secret);
            let given = given.map(|(of, secret)| (of.client_id.trim(), of.tenant_id.trim(), secret.expose().trim()));
            match given {
                Some((client, tenant, secret)) if !client.is_empty() && !tenant.is_empty() && !secret.is_empty() => {
                    Ok(Login::Application {
                        client_id: client.to_owned(),
                        tenant_id: tenant.to_owned(),
                        client_secret: Secret::new(secret),
                    })
                }
                _ => Err(invalid(
                    "`azureKeyVault` has no login: give `credentials` with `clientId`, `tenantId` and `clientSecret`, or \
                     `podIdentity` with `provider: azure-workload`",
                )),
            }
        }
        "azure-workload" => {
            let client_id = identity.and_then(|identity| identity.identity_id.clone());
            if client_id.as_deref() == Some("") {
                return Err(invalid(
                    "`azureKeyVault.podIdentity.identityId` must not be empty: leave it out for the server's own",
                ));
            }
            let tenant_id =
                identity.and_then(|identity| identity.identity_tenant_id.clone()).filter(|id| !id.is_empty());
            Ok(Login::Own { client_id, tenant_id })
        }
        other => Err(invalid(&format!(
            "`azureKeyVault.podIdentity.provider: {}` is none that it takes: use `azure-workload`, or `credentials`",
            quoted(other)
        ))),
    }
}

impl Tokens {
    async fn get(&self) -> Result<Secret, ReadError> {
        match self {
            Self::Application(tokens) => tokens.get().await,
            Self::Own(tokens) => tokens.get().await,
        }
    }

    fn forget(&self) {
        match self {
            Self::Application(tokens) => tokens.forget(),
            Self::Own(tokens) => tokens.forget(),
        }
    }
}

/// The audience in a challenge: `Bearer authorization="…", resource="https://vault.azure.net"`, or `scope="…/.default"`.
fn resource(challenge: &str) -> Option<String> {
    let fields = challenge.trim().strip_prefix("Bearer ")?;
    let field = |name: &str| {
        fields.split(',').find_map(|field| {
            let (known, value) = field.trim().split_once('=')?;
            (known == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    field("resource").or_else(|| field("scope").map(|scope| scope.trim_end_matches("/.default").to_owned()))
}

/// Whether `resource` stands for `vault`, or its domain: any other token could be used somewhere else.
fn is_of(vault: &Url, resource: &str) -> bool {
    let resource = Url::parse(resource).ok();
    let wanted = resource.as_ref().and_then(Url::host_str);
    match (vault.host_str(), wanted) {
        (Some(host), Some(wanted)) => {
            host == wanted || host.strip_suffix(wanted).is_some_and(|head| head.ends_with('.'))
        }
        _ => false,
    }
}

fn refused(what: &str, answer: &HttpAnswer, body: &[u8]) -> ReadError {
    let Refused { error } = serde_json::from_slice(body).unwrap_or_default();
    let inner = error.innererror.map(|inner| inner.code);
    let is_word =
        |code: &String| !code.is_empty() && code.len() <= 60 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let codes: Vec<String> = [Some(error.code), inner].into_iter().flatten().filter(is_word).collect();
    let said = if codes.is_empty() {
        answer.status.to_string()
    } else {
        format!("{} {}", answer.status.as_u16(), codes.join(" "))
    };
    let kind = if answer.status == StatusCode::BAD_REQUEST { ReadErrorKind::Invalid } else { kind(answer.status) };
    let cure = match kind {
        _ if codes.iter().any(|code| code == "SecretDisabled") => "enable it",
        ReadErrorKind::Denied => {
            "give the login the role `Key Vault Secrets User` there, and let the vault's firewall admit this server"
        }
        ReadErrorKind::NotFound => "correct its name and version",
        ReadErrorKind::Invalid => "correct its name and version",
        ReadErrorKind::Throttled => "it is asked again later",
        _ => "it is asked again until the vault has recovered",
    };
    ReadError::new(kind, format!("{what} is refused with {said}: {cure}")).of_source()
}

#[async_trait]
impl super::Source for Source {
    async fn read(&self, _: bool) -> Result<Answer, ReadError> {
        let mut values = Vec::with_capacity(self.secrets.len());
        for wanted in &self.secrets {
            values.push(Ok(self.ask(wanted).await?));
        }
        Ok(Answer { values, holds: HOLDS })
    }
}
