//! Google Secret Manager, by its REST interface: Google's own library would bring an HTTP and TLS stack of its own.
//!
//! Not for: tokens (`identity::google`).

use std::{env, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{
    Answer, HOLDS, PATIENCE, StoreLogin, Value,
    json::Json,
    spec::{GoogleSecret, GoogleSecrets},
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    identity::google::{Google, Tokens},
    limits,
    net::{
        Cloud, Reach,
        http::{
            Http, Method, Request, StatusCode, Url, escape,
            header::{HeaderName, HeaderValue},
            kind,
        },
    },
};

const HOST: &str = "secretmanager.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");

/// All that one object wants of Secret Manager.
pub struct Source {
    /// Why it cannot be asked; an earlier value stays then, as with KEDA.
    ready: Result<Ready, String>,
    secrets: Vec<GoogleSecret>,
}

struct Ready {
    tokens: Arc<Tokens>,
    /// The key's own; otherwise that of the server's identity.
    project: OnceCell<String>,
    reach: Reach,
    endpoint: String,
    metadata: String,
    http: OnceCell<Http>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "type")]
    kind: String,
    project_id: String,
}

#[derive(Deserialize)]
struct Accessed {
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    /// Not there if it is empty.
    data: Option<Json>,
    data_crc32c: Option<Checksum>,
}

/// 64-bit numbers are texts in Google's JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Checksum {
    Text(String),
    Number(u64),
}

#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: Status,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    status: String,
}

impl Source {
    pub fn new(of: &GoogleSecrets, login: &StoreLogin, reach: &Reach) -> Self {
        let metadata = env::var("GCE_METADATA_HOST").ok().filter(|host| !host.is_empty());
        let metadata = metadata.unwrap_or_else(|| "metadata.google.internal".to_owned());
        let project = env::var("CLOUDSDK_CORE_PROJECT").ok().filter(|project| !project.is_empty());
        let own = own_or_key(of, login, reach);
        Self::with(of, own, project, reach, format!("https://{HOST}"), format!("http://{metadata}"))
    }

    pub(super) fn with(
        of: &GoogleSecrets,
        login: Result<(Google, Option<String>), String>,
        project: Option<String>,
        reach: &Reach,
        endpoint: String,
        metadata: String,
    ) -> Self {
        let ready = login.map(|(google, of_key)| Ready {
            tokens: Tokens::of(&google, SCOPE),
            project: OnceCell::new_with(of_key.or(project)),
            reach: reach.clone(),
            endpoint,
            metadata,
            http: OnceCell::new(),
        });
        Self { ready, secrets: of.secrets.clone() }
    }
}

/// Whose rights, and the project that comes with them.
pub(super) fn own_or_key(
    of: &GoogleSecrets,
    login: &StoreLogin,
    reach: &Reach,
) -> Result<(Google, Option<String>), String> {
    match of.pod_identity.as_ref().map_or("", |identity| identity.provider.as_str()) {
        "" | "none" => {
            let Some(json) = login.secrets.get("clientSecret") else {
                return Err("`gcpSecretManager` has no login, give `credentials.clientSecret` with a service account's key, or \
                            `podIdentity` with `provider: gcp`"
                    .to_owned());
            };
            let unusable =
                "`gcpSecretManager.credentials.clientSecret` is no key of a service account in JSON, create one";
            let key: Key = serde_json::from_str(json.expose()).map_err(|_| unusable.to_owned())?;
            if key.kind != "service_account" || key.project_id.is_empty() {
                return Err(unusable.to_owned());
            }
            Ok((Google::ServiceAccount(json.clone()), Some(key.project_id)))
        }
        "gcp" => match reach.check_identity(Cloud::Google, HOST, true) {
            Ok(()) => Ok((Google::Own, None)),
            Err(refusal) => Err(format!("`gcpSecretManager` cannot be asked, {refusal}")),
        },
        other => Err(format!(
            "`gcpSecretManager.podIdentity.provider: {}` is none that it takes, use `gcp`, or `credentials`",
            quoted(other)
        )),
    }
}

impl Ready {
    async fn project(&self) -> Result<&str, ReadError> {
        let project = self.project.get_or_try_init(|| async {
            let unknown = |kind, why: &str| {
                let text = format!(
                    "the project of `gcpSecretManager` is not known, {why}: set `CLOUDSDK_CORE_PROJECT` of the server"
                );
                ReadError::new(kind, text).of_source()
            };
            let url = format!("{}/computeMetadata/v1/project/project-id", self.metadata).parse();
            let url = url.map_err(|_| unknown(ReadErrorKind::Invalid, "`GCE_METADATA_HOST` is no host"))?;
            let request = Request::new(Method::GET, url).header(FLAVOR, HeaderValue::from_static("Google"));
            let http = Http::of_system(Reach::of_operator())?.taking(limits::IDENTITY_BODY);
            let answer = http.send(request, PATIENCE).await.map_err(|error| unknown(error.kind, &error.to_string()))?;
            let project = String::from_utf8(answer.body)
                .ok()
                .filter(|text| answer.status.is_success() && !text.trim().is_empty());
            project
                .map(|text| text.trim().to_owned())
                .ok_or_else(|| unknown(ReadErrorKind::Unreachable, "the metadata service does not tell it"))
        });
        project.await.map(String::as_str)
    }

    /// The secret; in words, why it is refused for good.
    async fn ask(&self, of: &GoogleSecret) -> Result<Value, ReadError> {
        let version = if of.version.is_empty() { "latest" } else { &of.version };
        let what = format!("secret `{}` of `gcpSecretManager`, version `{}`", quoted(&of.id), quoted(version));
        let wrong = |kind, why: &str| ReadError::new(kind, format!("{what}, {why}")).of_source();
        let (project, endpoint) = (escape(self.project().await?), &self.endpoint);
        let url =
            format!("{endpoint}/v1/projects/{project}/secrets/{}/versions/{}:access", escape(&of.id), escape(version));
        let url: Url = url.parse().map_err(|_| wrong(ReadErrorKind::Invalid, "makes no URL: correct its id"))?;
        let token = match self.tokens.get().await {
            Ok(token) => token,
            Err(error) if super::is_passing(&error) => return Err(error),
            Err(error) => return Ok(Err(format!("{what} cannot be asked for, {error}"))),
        };
        let request = Request::new(Method::GET, url).bearer_auth(token.expose());
        let request = request
            .ok_or_else(|| wrong(ReadErrorKind::BadReply, "Google gave a token that is not one line of text"))?;
        let http = self.http.get_or_try_init(|| async {
            Ok::<_, ReadError>(Http::of_system(self.reach.clone())?.taking(limits::STORE_BODY))
        });
        let sent = http.await?.send(request, PATIENCE).await;
        let mut answer = sent.map_err(|error| wrong(error.kind, &format!("cannot be asked for: {error}")))?;
        let body = Zeroizing::new(std::mem::take(&mut answer.body));
        if answer.status.is_success() {
            return unpacked(&body, &wrong).map(Ok);
        }
        let Refused { error: Status { status: word } } = serde_json::from_slice(&body).unwrap_or_default();
        // Such as `PERMISSION_DENIED`; anything else is somebody's own.
        let word = Some(word).filter(|word| {
            !word.is_empty() && word.len() <= 40 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        });
        let said = word.map_or_else(|| answer.status.to_string(), |word| format!("{} {word}", answer.status.as_u16()));
        let kind = match answer.status {
            // A version that is disabled or destroyed, an id that is none.
            StatusCode::BAD_REQUEST => ReadErrorKind::Invalid,
            status => kind(status),
        };
        let cure = match kind {
            ReadErrorKind::Denied => {
                "grant `roles/secretmanager.secretAccessor` on it to whom the token is of, and enable the API"
            }
            ReadErrorKind::NotFound => "correct its id and version: it is looked for in the project of the login",
            ReadErrorKind::Invalid => "enable that version, or correct it",
            _ => "it is asked again later",
        };
        let error = wrong(kind, &format!("is refused with {said}, {cure}"));
        if super::is_passing(&error) { Err(error) } else { Ok(Err(error.to_string())) }
    }
}

/// What is in the answer, if it has arrived whole.
fn unpacked(body: &[u8], wrong: &impl Fn(ReadErrorKind, &str) -> ReadError) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let foreign =
        || wrong(ReadErrorKind::BadReply, "is answered with something that is not Secret Manager's: check the proxy");
    let Accessed { payload } = serde_json::from_slice(body).map_err(|_| foreign())?;
    let encoded = payload.data.as_ref().map_or(Some(""), Json::text).ok_or_else(foreign)?;
    let data = Zeroizing::new(BASE64_STANDARD.decode(encoded).map_err(|_| foreign())?);
    let stated = match payload.data_crc32c {
        None => None,
        Some(Checksum::Number(number)) => Some(number),
        Some(Checksum::Text(text)) => Some(text.parse().map_err(|_| foreign())?),
    };
    match stated {
        Some(sum) if sum != u64::from(crc32c::crc32c(&data)) => Err(wrong(
            ReadErrorKind::BadReply,
            "has come with another checksum than it was sent with: it is asked again",
        )),
        _ => Ok(data),
    }
}

#[async_trait]
impl super::Source for Source {
    async fn read(&self, _: bool) -> Result<Answer, ReadError> {
        let ready = match &self.ready {
            Ok(ready) => ready,
            Err(why) => {
                let values = self.secrets.iter().map(|_| Err(why.clone())).collect();
                return Ok(Answer { values, holds: Duration::from_secs(3600) });
            }
        };
        let mut values: Vec<Value> = Vec::with_capacity(self.secrets.len());
        for (at, wanted) in self.secrets.iter().enumerate() {
            let before = self.secrets.iter().take(at).zip(&values);
            let same = before.filter(|(known, _)| (&known.id, &known.version) == (&wanted.id, &wanted.version));
            let value = match same.map(|(_, value)| value.clone()).next() {
                Some(value) => value,
                None => ready.ask(wanted).await?,
            };
            values.push(value);
        }
        Ok(Answer { values, holds: HOLDS })
    }
}
