//! Microsoft Entra: access tokens of the server's own workload identity, by Microsoft's own library over our HTTP client.
//!
//! Its errors name files, URLs and times, so none of their texts is passed on.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{AsyncRawResponse, Body, ClientOptions, HttpClient, Transport, headers::Headers},
};
use azure_identity::{ClientAssertionCredentialOptions, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions};
use tokio::time::timeout;

use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::{
        Reach,
        http::{Http, Method, Request, header::HeaderName, header::HeaderValue},
    },
};

/// For one token.
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

/// Tokens of one identity for one scope.
#[derive(Debug)]
pub struct Tokens {
    credential: Arc<WorkloadIdentityCredential>,
    scope: String,
}

impl Tokens {
    /// Reads the federated token's file.
    pub fn new(azure: &Azure) -> Result<Self, ReadError> {
        // `AZURE_AUTHORITY_HOST` is the operator's to name.
        let http = Http::of_system(Reach::of_operator())?;
        let transport = Some(Transport::new(Arc::new(Client(http))));
        let client_options = ClientOptions { transport, ..ClientOptions::default() };
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options },
            client_id: azure.client_id.clone(),
            tenant_id: azure.tenant_id.clone(),
            ..WorkloadIdentityCredentialOptions::default()
        };
        let credential = WorkloadIdentityCredential::new(Some(options))
            .map_err(|_| denied("there is no workload identity of Azure's"))?;
        Ok(Self { credential, scope: azure.scope.clone() })
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        let token = timeout(PATIENCE, self.credential.get_token(&[&self.scope], None)).await.map_err(|_| {
            let text =
                format!("Microsoft Entra gives no token within {PATIENCE:?}: check that its endpoint can be reached");
            ReadError::new(ReadErrorKind::Timeout, text).of_connection()
        })?;
        Ok(Secret::new(token.map_err(|_| denied("Microsoft Entra gives no token"))?.token.secret()))
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
