//! Google: access tokens of the server's own identity or of a service account, by Google's own library.
//!
//! Its errors name files, URLs and times, so none of their texts is passed on. A service account signs its tokens itself, so
//! that nothing in its key, such as `token_uri`, is ever asked; what the server's own identity asks is its operator's to name.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder,
    service_account::{self, AccessSpecifier},
};
use tokio::sync::OnceCell;

use super::{
    cache::Cache,
    held::Issued,
    kept::{Issuer, Kept},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
};

/// The library renews its token four minutes before the end, so what it gives holds longer than this.
const ASKED_AGAIN: Duration = Duration::from_secs(60);
const CURE: &str = "check the service account's key, or the pod's workload identity";

/// Whose token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Google {
    /// The server's own: `GOOGLE_APPLICATION_CREDENTIALS`, or the workload identity of its pod.
    Own,
    /// A service account's, by its key in JSON.
    ServiceAccount(Secret),
}

/// Tokens of one identity for one scope: one for all who use the same.
pub struct Tokens(Kept<Source>);

static TOKENS: LazyLock<Cache<(Google, String), Tokens>> = LazyLock::new(Cache::default);

/// Where they come from: the library, which makes ahead of time what it can.
struct Source {
    google: Google,
    scope: String,
    library: OnceCell<AccessTokenCredentials>,
}

impl Tokens {
    /// The tokens of this identity for this scope, for as long as somebody holds them. Fetches nothing yet.
    #[must_use]
    pub fn of(google: &Google, scope: &str) -> Arc<Self> {
        TOKENS.get((google.clone(), scope.to_owned()), |(google, scope)| {
            Self(Kept::new(Source { google: google.clone(), scope: scope.clone(), library: OnceCell::new() }))
        })
    }

    /// A token that is good for a while yet: mostly the one at hand.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        self.0.get().await
    }

    /// What is shown, and how old it is.
    #[must_use]
    pub fn issued(&self) -> Issued {
        self.0.issued("a token of Google".to_owned())
    }
}

impl Source {
    fn library(&self) -> Result<AccessTokenCredentials, ReadError> {
        let unusable = || denied("the Google credentials cannot be used");
        let scopes = [self.scope.as_str()];
        let credentials = match &self.google {
            Google::Own => Builder::default().with_scopes(scopes).build_access_token_credentials(),
            Google::ServiceAccount(json) => {
                let key = serde_json::from_str(json.expose()).map_err(|_| unusable())?;
                service_account::Builder::new(key)
                    .with_access_specifier(AccessSpecifier::from_scopes(scopes))
                    .build_access_token_credentials()
            }
        };
        credentials.map_err(|_| unusable())
    }
}

#[async_trait]
impl Issuer for Source {
    type Value = Secret;

    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        let library = self.library.get_or_try_init(|| async { self.library() }).await?;
        let token = library.access_token().await.map_err(|_| denied("Google gives no token"))?;
        // The library does not say how long it holds, and gives a token for a while before it ends.
        Ok((Secret::new(token.token), ASKED_AGAIN))
    }

    fn late(&self, patience: Duration) -> ReadError {
        let text = format!("Google gives no token within {patience:?}: check that its endpoint can be reached");
        ReadError::new(ReadErrorKind::Timeout, text).of_connection()
    }
}

fn denied(what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("{what}: {CURE}")).of_connection()
}
