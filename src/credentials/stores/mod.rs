//! Stores of secrets outside the cluster that a TriggerAuthentication may name: one question to one of them, one answer.
//!
//! Not for: where the login comes from, or how long an answer is kept: whoever asks has read the one and does the other.

pub mod spec;

use std::{collections::BTreeMap, time::Duration};

use zeroize::Zeroizing;

use self::spec::{AwsSecrets, AzureVault, GoogleSecrets, Vault};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
};

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

/// What a store gave.
pub struct Answer {
    /// For each of the spec's `secrets`, in their order: its value, or in words why it has none.
    pub values: Vec<Result<Zeroizing<Vec<u8>>, String>>,
    /// For how long it holds.
    pub holds: Duration,
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

    /// Asks it. An error is one for which KEDA does not build the scaler: a refused login, say, and with Azure whatever
    /// fails; of the kind `Unreachable`, `Timeout` or `Throttled` if it may be well a moment later.
    #[expect(clippy::unused_async, reason = "the stores are added one by one")]
    pub async fn read(&self, _login: &StoreLogin) -> Result<Answer, ReadError> {
        let text = format!("`{}` is not supported by this build of the server: use a Secret", self.field());
        Err(ReadError::new(ReadErrorKind::Denied, text).of_source())
    }
}
