//! Stores of secrets outside the cluster that a TriggerAuthentication may name: one [`Reader`] for all who ask one store the
//! same, which asks as seldom as it may.
//!
//! Each store is a cargo feature. Not for: where the login comes from (`cluster`), or tokens of clouds (`identity`).

#[cfg(feature = "aws-secrets")]
mod aws;
#[cfg(feature = "azure-secrets")]
mod azure;
#[cfg(feature = "google-secrets")]
mod google;
#[cfg(any(feature = "vault", feature = "aws-secrets", feature = "azure-secrets", feature = "google-secrets"))]
#[allow(dead_code, reason = "not every store looks at all of it")]
mod json;
mod reader;
pub mod spec;
#[cfg(feature = "vault")]
mod vault;

#[cfg(test)]
#[allow(missing_docs, reason = "tests")]
pub mod tests;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use self::reader::{Reader, Seen};
use self::spec::{AwsSecrets, AzureVault, GoogleSecrets, Vault};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::Reach,
};

/// What has no end of its own is asked for again after so long: each question is on a bill or in an audit log.
#[cfg(any(feature = "vault", feature = "aws-secrets", feature = "azure-secrets", feature = "google-secrets"))]
const HOLDS: Duration = Duration::from_secs(300);
/// For one question to a store.
#[cfg(any(feature = "vault", feature = "azure-secrets", feature = "google-secrets"))]
const PATIENCE: Duration = Duration::from_secs(5);

/// A store, and all that is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Store {
    /// HashiCorp Vault.
    Vault(Vault),
    /// Azure Key Vault.
    Azure(AzureVault),
    /// Google Secret Manager.
    Google(GoogleSecrets),
    /// AWS Secrets Manager.
    Aws(AwsSecrets),
}

/// What to log in with, as far as the store's spec refers to other objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StoreLogin {
    /// Of the spec's `credentials`, by field: `clientSecret`, `accessKey`, `accessSecretKey`.
    pub secrets: BTreeMap<&'static str, Secret>,
    /// A ServiceAccount's token, for Vault's `kubernetes` login.
    pub token: Option<Secret>,
    /// The role of the workload's ServiceAccount, for AWS.
    pub role_arn: Option<String>,
}

/// Everything that makes one reader.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The store.
    pub store: Store,
    /// The login.
    pub login: StoreLogin,
    /// Where one may ask.
    pub reach: Reach,
}

/// A value; in words, why there is none: a sentence to which who names it is added.
pub type Value = Result<Zeroizing<Vec<u8>>, String>;

/// What a store gave.
#[derive(Debug)]
pub struct Answer {
    /// For each of the spec's `secrets`, in their order. What has no value has none for good: a store that is away, or slow,
    /// or overrun, is an error of the whole.
    pub values: Vec<Value>,
    /// For how long it holds.
    pub holds: Duration,
}

/// One way to ask.
#[async_trait]
trait Source: Send + Sync {
    /// Asks. If what it gave before was `refused` by a broker, nothing old serves. An error of another kind than `Denied`,
    /// `NotFound` and `Invalid` may be well a moment later.
    async fn read(&self, refused: bool) -> Result<Answer, ReadError>;
}

impl Store {
    /// The field of the object that names it.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Vault(_) => "hashiCorpVault",
            Self::Azure(_) => "azureKeyVault",
            Self::Google(_) => "gcpSecretManager",
            Self::Aws(_) => "awsSecretManager",
        }
    }

    /// The cargo feature that it is.
    #[must_use]
    pub fn feature(&self) -> &'static str {
        match self {
            Self::Vault(_) => "vault",
            Self::Azure(_) => "azure-secrets",
            Self::Google(_) => "google-secrets",
            Self::Aws(_) => "aws-secrets",
        }
    }

    /// The parameters that its secrets are for, in the spec's order.
    #[must_use]
    pub fn parameters(&self) -> Vec<&str> {
        match self {
            Self::Vault(of) => of.secrets.iter().map(|secret| secret.parameter.as_str()).collect(),
            Self::Azure(of) => of.secrets.iter().map(|secret| secret.parameter.as_str()).collect(),
            Self::Google(of) => of.secrets.iter().map(|secret| secret.parameter.as_str()).collect(),
            Self::Aws(of) => of.secrets.iter().map(|secret| secret.parameter.as_str()).collect(),
        }
    }
}

impl Asked {
    #[allow(clippy::match_single_binding, reason = "where no store is built in")]
    fn source(&self) -> Result<Box<dyn Source>, ReadError> {
        match &self.store {
            #[cfg(feature = "vault")]
            Store::Vault(of) => Ok(Box::new(vault::Source::new(of, &self.login, &self.reach)?)),
            #[cfg(feature = "azure-secrets")]
            Store::Azure(of) => Ok(Box::new(azure::Source::new(of, &self.login, &self.reach)?)),
            #[cfg(feature = "google-secrets")]
            Store::Google(of) => Ok(Box::new(google::Source::new(of, &self.login, &self.reach))),
            #[cfg(feature = "aws-secrets")]
            Store::Aws(of) => Ok(Box::new(aws::Source::new(of, &self.login, &self.reach))),
            #[allow(unreachable_patterns, reason = "where all stores are built in")]
            store => Err(unsupported(store)),
        }
    }
}

/// This build has not that store.
#[cfg_attr(
    all(feature = "vault", feature = "aws-secrets", feature = "azure-secrets", feature = "google-secrets"),
    allow(dead_code, reason = "all are built in")
)]
fn unsupported(store: &Store) -> ReadError {
    invalid(&format!(
        "`{}` is not supported by this build of the server: use one with the cargo feature `{}` (the image has it), or a Secret",
        store.field(),
        store.feature()
    ))
}

/// Whether an error may be gone a moment later, so that it says nothing against what is known.
#[must_use]
pub fn is_passing(error: &ReadError) -> bool {
    use ReadErrorKind::{Denied, Invalid, NotFound};
    !matches!(error.kind, Denied | NotFound | Invalid)
}

/// What the object says cannot be followed.
fn invalid(text: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Invalid, text).of_source()
}

#[cfg(any(feature = "vault", feature = "azure-secrets"))]
fn denied(text: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, text).of_source()
}
