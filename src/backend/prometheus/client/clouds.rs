//! Tokens of Google and Microsoft, by their own libraries, which keep and renew them.
//!
//! Their errors name files, URLs and times, so none of their texts is passed on.

use std::{sync::Arc, time::Duration};

use azure_core::credentials::TokenCredential;
use azure_identity::{WorkloadIdentityCredential, WorkloadIdentityCredentialOptions};
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder,
    service_account::{self, AccessSpecifier},
};
use tokio::time::timeout;

use super::super::connection::{Azure, Google};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
};

/// KEDA's scope, the least that reading needs.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/monitoring.read";
/// For one token.
const PATIENCE: Duration = Duration::from_secs(4);

const CURE_GOOGLE: &str = "check the service account's key, or the pod's workload identity";
const CURE_AZURE: &str = "check `AZURE_CLIENT_ID`, `AZURE_TENANT_ID` and `AZURE_FEDERATED_TOKEN_FILE` of this server's pod, and its federation";

/// Whoever gives tokens.
pub enum Cloud {
    /// Google.
    Google(AccessTokenCredentials),
    /// Microsoft Entra.
    Azure {
        /// The server's workload identity.
        credential: Arc<WorkloadIdentityCredential>,
        /// What for.
        scope: String,
    },
}

impl Cloud {
    /// Must be called inside a runtime: the library renews tokens in a task of its own.
    pub fn google(google: &Google) -> Result<Self, ReadError> {
        let unusable = || denied("the Google credentials cannot be used", CURE_GOOGLE);
        let credentials = match google {
            Google::Own => Builder::default().with_scopes([GOOGLE_SCOPE]).build_access_token_credentials(),
            Google::ServiceAccount(json) => {
                let key = serde_json::from_str(json.expose()).map_err(|_| unusable())?;
                service_account::Builder::new(key)
                    .with_access_specifier(AccessSpecifier::from_scopes([GOOGLE_SCOPE]))
                    .build_access_token_credentials()
            }
        };
        Ok(Self::Google(credentials.map_err(|_| unusable())?))
    }

    /// Reads the federated token's file.
    pub fn azure(azure: &Azure) -> Result<Self, ReadError> {
        let options = WorkloadIdentityCredentialOptions {
            client_id: azure.client_id.clone(),
            tenant_id: azure.tenant_id.clone(),
            ..WorkloadIdentityCredentialOptions::default()
        };
        let credential = WorkloadIdentityCredential::new(Some(options))
            .map_err(|_| denied("there is no workload identity of Azure's", CURE_AZURE))?;
        Ok(Self::Azure { credential, scope: azure.scope.clone() })
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn token(&self) -> Result<Secret, ReadError> {
        let late = |who: &str| {
            let text = format!("{who} gives no token within {PATIENCE:?}: check that its endpoint can be reached");
            ReadError::new(ReadErrorKind::Timeout, text).of_connection()
        };
        match self {
            Self::Google(credentials) => {
                let token = timeout(PATIENCE, credentials.access_token()).await.map_err(|_| late("Google"))?;
                let token = token.map_err(|_| denied("Google gives no token", CURE_GOOGLE))?;
                Ok(Secret::new(token.token))
            }
            Self::Azure { credential, scope } => {
                let token = timeout(PATIENCE, credential.get_token(&[scope.as_str()], None)).await;
                let token = token.map_err(|_| late("Microsoft Entra"))?;
                let token = token.map_err(|_| denied("Microsoft Entra gives no token", CURE_AZURE))?;
                Ok(Secret::new(token.token.secret()))
            }
        }
    }
}

fn denied(what: &str, cure: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("{what}: {cure}")).of_connection()
}
