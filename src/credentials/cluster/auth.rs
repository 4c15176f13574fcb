//! The `spec` of a TriggerAuthentication or a ClusterTriggerAuthentication, field by field as KEDA's API has it.
//!
//! What is optional there is optional here, and an empty text is not the same as none. Not for: what comes of it
//! (`resolve.rs`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::credentials::stores::spec::{AwsSecrets, AzureVault, GoogleSecrets, PodIdentity, SecretValue, Vault};

/// Everything that parameters may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Auth {
    /// Whose rights at a cloud.
    pub pod_identity: Option<PodIdentity>,
    /// Keys of Secrets.
    pub secret_target_ref: Vec<KeyRef>,
    /// Keys of ConfigMaps.
    pub config_map_target_ref: Vec<KeyRef>,
    /// Variables of the workload's container.
    pub env: Vec<EnvRef>,
    /// A file of JSON below the operator's folder.
    pub file_path: String,
    /// HashiCorp Vault.
    pub hashi_corp_vault: Option<Vault>,
    /// Azure Key Vault.
    pub azure_key_vault: Option<AzureVault>,
    /// Google Secret Manager.
    pub gcp_secret_manager: Option<GoogleSecrets>,
    /// AWS Secrets Manager.
    pub aws_secret_manager: Option<AwsSecrets>,
    /// Tokens of ServiceAccounts.
    pub bound_service_account_token: Vec<TokenRef>,
    /// An OAuth client.
    pub oauth2: Option<OAuth2>,
}

/// A key of a Secret or a ConfigMap, for one parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct KeyRef {
    /// Which it is for.
    pub parameter: String,
    /// The object's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A variable of a container, for one parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvRef {
    /// Which it is for.
    pub parameter: String,
    /// The variable.
    pub name: String,
    /// The container; the first where it is empty.
    pub container_name: String,
}

/// A token of a ServiceAccount, for one parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenRef {
    /// Which it is for.
    pub parameter: String,
    /// Whose token.
    pub service_account_name: String,
}

/// `oauth2`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OAuth2 {
    /// Who asks.
    pub client_id: String,
    /// Where tokens are issued.
    pub token_url: String,
    /// Its secret.
    pub client_secret: Option<SecretValue>,
    /// What for.
    pub scopes: Vec<String>,
    /// Sent along.
    pub token_url_params: BTreeMap<String, String>,
}

/// On what of whoever asks the parameters depend, besides the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// On nothing: all who name the object get the same.
    Nothing,
    /// On the namespace: a ServiceAccount in it.
    Namespace,
    /// On the workload that is scaled: its variables, its ServiceAccount.
    Workload,
}

impl Auth {
    /// What it takes from whoever asks.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let of_workload = |identity: &Option<PodIdentity>| identity.as_ref().is_some_and(PodIdentity::is_of_workload);
        let aws = self.aws_secret_manager.as_ref().filter(|aws| !aws.secrets.is_empty());
        let vault = self.hashi_corp_vault.as_ref().and_then(|vault| vault.credential.as_ref());
        let file = !self.file_path.is_empty();
        if of_workload(&self.pod_identity) {
            return Needs::Workload;
        }
        if file {
            return Needs::Nothing;
        }
        if !self.env.is_empty() || aws.is_some_and(|aws| of_workload(&aws.pod_identity)) {
            return Needs::Workload;
        }
        if vault.is_some_and(|credential| !credential.service_account_name.is_empty()) {
            return Needs::Namespace;
        }
        Needs::Nothing
    }
}
