//! Each store against a server that says what the test wants; what of them all is the same.

#[cfg(feature = "aws-secrets")]
mod aws;
#[cfg(feature = "azure-secrets")]
mod azure;
#[cfg(feature = "google-secrets")]
mod google;
mod reader;

use super::*;
#[cfg(any(feature = "vault", feature = "aws-secrets", feature = "azure-secrets", feature = "google-secrets"))]
pub use crate::net::stand_in;

/// What a value is, or what it says in place of one.
#[cfg(any(feature = "vault", feature = "aws-secrets", feature = "azure-secrets", feature = "google-secrets"))]
pub fn shown(value: &Value) -> String {
    match value {
        Ok(value) => format!("= {}", String::from_utf8_lossy(value)),
        Err(why) => why.clone(),
    }
}

#[test]
fn a_store_that_is_not_built_in_is_named_with_its_field_and_its_feature() {
    for (store, field, feature) in [
        (Store::Vault(Vault::default()), "hashiCorpVault", "vault"),
        (Store::Azure(AzureVault::default()), "azureKeyVault", "azure-secrets"),
        (Store::Google(GoogleSecrets::default()), "gcpSecretManager", "google-secrets"),
        (Store::Aws(AwsSecrets::default()), "awsSecretManager", "aws-secrets"),
    ] {
        let error = unsupported(&store);
        assert_eq!(error.kind, ReadErrorKind::Invalid);
        let text = error.to_string();
        assert!(
            text.contains(&format!("`{field}` is not supported")) && text.contains(&format!("`{feature}`")),
            "{text}"
        );
    }
}
