//! Microsoft Entra: access tokens of the server's own workload identity, by Microsoft's own library over our HTTP client.
//!
//! Its errors name files, URLs and times, so none of their texts is passed on.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{AsyncRawResponse, Body, ClientOptions, HttpClient, Transport, headers::Headers},
};
use azure_identity::{ClientAssertionCredentialOptions, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions};
use tokio::sync::OnceCell;

use super::{
    cache::Cache,
    held::Issued,
    kept::{Issuer, Kept},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits,
    metadata::Secret,
    net::{
        Reach,
        http::{Http, Method, Request, header::HeaderName, header::HeaderValue},
    },
};

/// For one request of the library.
const PATIENCE: Duration = Duration::from_secs(4);
const CURE: &str = "check `AZURE_CLIENT_ID`, `AZURE_TENANT_ID` and `AZURE_FEDERATED_TOKEN_FILE` of this server's pod, and its federation";

/// Which token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Azure {
    /// What for.
    pub scope: String,
    /// In place of `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// In place of `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
}

/// Tokens of one identity for one scope: one for all who use the same.
pub struct Tokens(Kept<Source>);

static TOKENS: LazyLock<Cache<Azure, Tokens>> = LazyLock::new(Cache::default);

struct Source {
    azure: Azure,
    library: OnceCell<Arc<WorkloadIdentityCredential>>,
}

impl Tokens {
    /// The tokens of this identity for this scope, for as long as somebody holds them. Fetches nothing yet.
    #[must_use]
    pub fn of(azure: &Azure) -> Arc<Self> {
        TOKENS.get(azure.clone(), |azure| Self(Kept::new(Source { azure: azure.clone(), library: OnceCell::new() })))
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        self.0.get().await
    }

    /// What is shown, and how old it is.
    #[must_use]
    pub fn issued(&self) -> Issued {
        self.0.issued("a token of Microsoft Entra".to_owned())
    }

    /// A server refuses the token at hand: the next asker gets another.
    pub fn forget(&self) {
        self.0.forget();
    }
}

impl Source {
    fn library(&self) -> Result<Arc<WorkloadIdentityCredential>, ReadError> {
        // `AZURE_AUTHORITY_HOST` is the operator's to name.
        let http = Http::of_system(Reach::of_operator())?.taking(limits::IDENTITY_BODY);
        let transport = Some(Transport::new(Arc::new(Client(http))));
        let client_options = ClientOptions { transport, ..ClientOptions::default() };
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            client_id: self.azure.client_id.clone(),
            tenant_id: self.azure.tenant_id.clone(),
            ..WorkloadIdentityCredentialOptions::default()
        };
        WorkloadIdentityCredential::new(Some(options)).map_err(|_| denied("there is no workload identity of Azure's"))
    }
}

#[async_trait]
impl Issuer for Source {
    type Value = Secret;

    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        let library = self.library.get_or_try_init(|| async { self.library() }).await?;
        let token = library.get_token(&[&self.azure.scope], None).await;
        let token = token.map_err(|_| denied("Microsoft Entra gives no token"))?;
        let life = token.expires_on - azure_core::time::OffsetDateTime::now_utc();
        Ok((Secret::new(token.token.secret()), life.try_into().unwrap_or_default()))
    }

    fn late(&self, patience: Duration) -> ReadError {
        let text =
            format!("Microsoft Entra gives no token within {patience:?}: check that its endpoint can be reached");
        ReadError::new(ReadErrorKind::Timeout, text).of_connection()
    }
}

fn denied(what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("{what}: {CURE}")).of_connection()
}

/// Our HTTP client as the library wants it.
#[derive(Debug)]
struct Client(Http);

#[async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &azure_core::http::Request) -> azure_core::Result<AsyncRawResponse> {
        let unusable = |_| azure_core::Error::with_message(ErrorKind::DataConversion, "no such request");
        let method = Method::from_bytes(request.method().as_ref().as_bytes()).map_err(|_| unusable(()))?;
        let mut ours = Request::new(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| unusable(()))?;
            ours.headers.append(name, HeaderValue::from_str(value.as_str()).map_err(|_| unusable(()))?);
        }
        if let Body::Bytes(bytes) = request.body() {
            ours.body = bytes.to_vec();
        }
        let answer = self.0.send(ours, PATIENCE).await;
        let answer = answer.map_err(|error| azure_core::Error::new(ErrorKind::Io, error))?;
        let mut headers = Headers::new();
        for (name, value) in &answer.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::from_bytes(answer.status.as_u16().into(), headers, answer.body))
    }
}
