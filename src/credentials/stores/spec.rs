//! What a TriggerAuthentication says of an external store, field by field as KEDA's API has it; and whose rights at a cloud.
//!
//! What is optional there is optional here, and an empty text is not the same as none. Not for: reading any of it.

use serde::Deserialize;

/// `podIdentity`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodIdentity {
    /// `none`, `aws`, `aws-eks`, `azure-workload`, `gcp`.
    pub provider: String,
    /// Azure: the client.
    pub identity_id: Option<String>,
    /// Azure: its tenant.
    pub identity_tenant_id: Option<String>,
    /// Azure: where tokens come from.
    pub identity_authority_host: Option<String>,
    /// AWS: the role to assume.
    pub role_arn: Option<String>,
    /// AWS: what the role's trust policy may ask for.
    #[serde(rename = "externalID")]
    pub external_id: Option<String>,
    /// AWS: `keda` or `workload`.
    pub identity_owner: Option<String>,
}

impl PodIdentity {
    /// Whether the role is that of the workload's ServiceAccount.
    #[must_use]
    pub fn is_of_workload(&self) -> bool {
        self.provider == "aws-eks" || (self.provider == "aws" && self.identity_owner.as_deref() == Some("workload"))
    }
}

/// `{valueFrom: {secretKeyRef: {name, key}}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretValue {
    /// Where it is.
    pub value_from: ValueFrom,
}

/// The middle of a [`SecretValue`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ValueFrom {
    /// Where it is.
    pub secret_key_ref: SecretKey,
}

/// A key of a Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct SecretKey {
    /// The Secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// `hashiCorpVault`.
#[derive(Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vault {
    /// Where it is.
    pub address: String,
    /// `token` or `kubernetes`.
    pub authentication: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The role to log in as.
    pub role: String,
    /// The mount of the login method.
    pub mount: String,
    /// What to show at login.
    pub credential: Option<VaultCredential>,
    /// What is read.
    pub secrets: Vec<VaultSecret>,
}

impl std::fmt::Debug for Vault {
    /// Without the token, which stands in the object itself.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What to show Vault at login.
#[derive(Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VaultCredential {
    /// A token in plain text.
    pub token: String,
    /// A file with a ServiceAccount's token.
    pub service_account: String,
    /// A ServiceAccount whose token is asked for.
    pub service_account_name: String,
}

/// One value of Vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VaultSecret {
    /// Which it is for.
    pub parameter: String,
    /// Where it is, as the API has it.
    pub path: String,
    /// The key in it.
    pub key: String,
    /// ``, `secret`, `secretV2`, `pki`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What certificate to issue.
    pub pki_data: PkiData,
}

/// What certificate Vault is to issue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are Vault's own")]
pub struct PkiData {
    pub common_name: String,
    pub alt_names: String,
    pub ip_sans: String,
    pub uri_sans: String,
    pub other_sans: String,
    pub ttl: String,
    pub format: String,
}

/// `azureKeyVault`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AzureVault {
    /// Where it is.
    pub vault_uri: String,
    /// What is read.
    pub secrets: Vec<AzureSecret>,
    /// An application's login.
    pub credentials: Option<AzureCredentials>,
    /// Or an identity.
    pub pod_identity: Option<PodIdentity>,
}

/// One value of Azure Key Vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct AzureSecret {
    pub parameter: String,
    pub name: String,
    pub version: String,
}

/// An application's login at Azure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct AzureCredentials {
    pub client_id: String,
    pub tenant_id: String,
    pub client_secret: SecretValue,
}

/// `gcpSecretManager`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct GoogleSecrets {
    pub secrets: Vec<GoogleSecret>,
    pub credentials: Option<GoogleCredentials>,
    pub pod_identity: Option<PodIdentity>,
}

/// One value of Google Secret Manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct GoogleSecret {
    pub parameter: String,
    pub id: String,
    pub version: String,
}

/// A service account's key at Google.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct GoogleCredentials {
    pub client_secret: SecretValue,
}

/// `awsSecretManager`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct AwsSecrets {
    pub secrets: Vec<AwsSecret>,
    pub credentials: Option<AwsCredentials>,
    pub pod_identity: Option<PodIdentity>,
    pub region: String,
}

/// One value of AWS Secrets Manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct AwsSecret {
    pub parameter: String,
    pub name: String,
    pub version_id: String,
    pub version_stage: String,
    pub secret_key: String,
}

/// An access key at AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are KEDA's own")]
pub struct AwsCredentials {
    pub access_key: SecretValue,
    pub access_secret_key: SecretValue,
}
