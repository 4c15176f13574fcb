//! What a request needs besides what its trigger says: a token that is fetched and kept, or a signature.

use std::{sync::Arc, time::SystemTime};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};

use super::super::connection::{Authorization, Connection};
use crate::{
    error::{ReadError, ReadErrorKind},
    identity::{
        aws::Identity,
        azure, google,
        held::Issued,
        oauth::{self, Tokens},
    },
    metadata::Secret,
    net::http::{
        Answer, Request, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
    },
};

/// AWS's name for its managed Prometheus.
const AWS_SERVICE: &str = "aps";

/// KEDA's scope, the least that reading needs.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/monitoring.read";

/// The live side of a connection's [`Authorization`].
pub enum Credentials {
    /// The request has all it needs.
    None,
    /// A token that is renewed.
    OAuth(Arc<Tokens>),
    /// A signature over each request.
    Aws {
        /// Whose.
        identity: Arc<Identity>,
        /// Of the workspace.
        region: String,
    },
    /// A token of Google's.
    Google(Arc<google::Tokens>),
    /// A token of Microsoft's.
    Azure(Arc<azure::Tokens>),
}

impl Credentials {
    /// Fetches nothing yet.
    pub fn new(connection: &Connection) -> Self {
        match &connection.auth.authorization {
            Authorization::None | Authorization::Basic { .. } | Authorization::Bearer(_) => Self::None,
            Authorization::Google(google) => Self::Google(google::Tokens::of(google, GOOGLE_SCOPE)),
            Authorization::Azure(azure) => Self::Azure(azure::Tokens::of(azure)),
            Authorization::OAuth(oauth) => Self::OAuth(Tokens::of(oauth, &connection.tls, &connection.reach)),
            Authorization::Aws { credentials, region } => {
                Self::Aws { identity: Identity::of(credentials, region), region: region.clone() }
            }
        }
    }

    /// What is shown in the place of the trigger's own secret.
    pub fn issued(&self) -> Option<Issued> {
        match self {
            Self::None => None,
            Self::OAuth(tokens) => Some(tokens.issued()),
            Self::Google(tokens) => Some(tokens.issued()),
            Self::Azure(tokens) => Some(tokens.issued()),
            Self::Aws { identity, .. } => identity.issued(),
        }
    }

    /// Makes `request` complete.
    pub async fn add(&self, request: &mut Request) -> Result<(), ReadError> {
        match self {
            Self::None => Ok(()),
            Self::OAuth(tokens) => bearer(request, &tokens.get().await?),
            Self::Google(tokens) => bearer(request, &tokens.get().await?),
            Self::Azure(tokens) => bearer(request, &tokens.get().await?),
            Self::Aws { identity, region } => {
                let keys = identity.credentials().await?;
                sign_for_aws(request, region, keys).map_err(|error| {
                    let text = format!("the request to Amazon cannot be signed: {error}");
                    ReadError::new(ReadErrorKind::Internal, text).of_connection()
                })
            }
        }
    }

    /// Looks whether the server refuses what we showed, so that the next request shows another.
    pub fn look(&self, answer: &Answer) {
        match self {
            Self::OAuth(tokens) if answer.status == StatusCode::UNAUTHORIZED => tokens.forget(),
            Self::Azure(tokens) if answer.status == StatusCode::UNAUTHORIZED => tokens.forget(),
            // Without the word it is about rights, which new credentials would not change.
            Self::Aws { identity, .. } if answer.status == StatusCode::FORBIDDEN && says_expired(answer) => {
                identity.forget();
            }
            _ => {}
        }
    }
}

fn says_expired(answer: &Answer) -> bool {
    String::from_utf8_lossy(&answer.body).to_ascii_lowercase().contains("expired")
}

fn bearer(request: &mut Request, token: &Secret) -> Result<(), ReadError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
    let mut value = value.map_err(|_| oauth::not_a_token())?;
    value.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// Signs host, date, body and content type: what a proxy on the way has no reason to touch.
fn sign_for_aws(
    request: &mut Request,
    region: &str,
    keys: aws_credential_types::Credentials,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let identity = keys.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(AWS_SERVICE)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let host = match (request.url.host_str().unwrap_or_default(), request.url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = vec![(HOST.as_str(), host.as_str())];
    if let Some(kind) = request.headers.get(CONTENT_TYPE) {
        headers.push((CONTENT_TYPE.as_str(), kind.to_str()?));
    }
    let signable = SignableRequest::new(
        request.method.as_str(),
        request.url.as_str(),
        headers.into_iter(),
        SignableBody::Bytes(&request.body),
    )?;
    let (instructions, _signature) = sign(signable, &parameters)?.into_parts();
    let mut added = Vec::new();
    for (name, value) in instructions.headers() {
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(true);
        added.push((HeaderName::from_bytes(name.as_bytes())?, value));
    }
    for (name, value) in added {
        request.headers.insert(name, value);
    }
    Ok(())
}
