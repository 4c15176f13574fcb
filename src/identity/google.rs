//! Google: access tokens of the server's own identity or of a service account, by Google's own library.
//!
//! Its errors name files, URLs and times, so none of their texts is passed on. A service account signs its tokens itself, so
//! that nothing in its key, such as `token_uri`, is ever asked; what the server's own identity asks is its operator's to name.

use std::time::Duration;

use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder,
    service_account::{self, AccessSpecifier},
};
use tokio::time::timeout;

use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
};

/// For one token.
const PATIENCE: Duration = Duration::from_secs(4);
const CURE: &str = "check the service account's key, or the pod's workload identity";

/// Whose token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Google {
    /// The server's own: `GOOGLE_APPLICATION_CREDENTIALS`, or the workload identity of its pod.
    Own,
    /// A service account's, by its key in JSON.
    ServiceAccount(Secret),
}

/// Tokens of one identity for one scope.
#[derive(Debug)]
pub struct Tokens(AccessTokenCredentials);

impl Tokens {
    /// Must be called inside a runtime: the library renews tokens in a task of its own.
    pub fn new(google: &Google, scope: &str) -> Result<Self, ReadError> {
        let unusable = || denied("the Google credentials cannot be used");
        let credentials = match google {
            Google::Own => Builder::default().with_scopes([scope]).build_access_token_credentials(),
            Google::ServiceAccount(json) => {
                let key = serde_json::from_str(json.expose()).map_err(|_| unusable())?;
                service_account::Builder::new(key)
                    .with_access_specifier(AccessSpecifier::from_scopes([scope]))
                    .build_access_token_credentials()
            }
        };
        Ok(Self(credentials.map_err(|_| unusable())?))
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        let token = timeout(PATIENCE, self.0.access_token()).await.map_err(|_| {
            let text = format!("Google gives no token within {PATIENCE:?}: check that its endpoint can be reached");
            ReadError::new(ReadErrorKind::Timeout, text).of_connection()
        })?;
        Ok(Secret::new(token.map_err(|_| denied("Google gives no token"))?.token))
    }
}

fn denied(what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("{what}: {CURE}")).of_connection()
}
