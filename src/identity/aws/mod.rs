//! AWS: whose rights a trigger uses, read from its metadata by one grammar for every backend that signs requests.
//!
//! [`Credentials`] is what the trigger says, and needs nothing of AWS; `Identity` the live thing: shared, cached, renewed. Not for: any one
//! service of AWS.

#[cfg(feature = "aws")]
mod connector;
#[cfg(feature = "aws")]
mod explain;
#[cfg(feature = "aws")]
mod identity;

#[cfg(test)]
#[cfg(feature = "aws")]
mod tests;

#[cfg(feature = "aws")]
pub use connector::reason;
#[cfg(feature = "aws")]
pub use explain::{kind_of, shown};
#[cfg(feature = "aws")]
pub use identity::Identity;

use crate::{
    metadata::{Order, Reader, Secret},
    net::{Cloud, Reach, Refusal},
};

const OWNER: &str = "identityOwner";
const POD_IDENTITY: &str = "podIdentity";
const ROLE: &str = "awsRoleArn";
const EXTERNAL_ID: &str = "awsExternalID";
const ACCESS_KEY: &str = "awsAccessKeyID";
const SECRET_KEY: &str = "awsSecretAccessKey";
const SESSION_TOKEN: &str = "awsSessionToken";

/// Every key that [`Credentials::read`] looks at: for backends that need it with some logins only.
pub const CREDENTIAL_KEYS: [&str; 8] =
    [OWNER, ROLE, EXTERNAL_ID, "awsExternalId", ACCESS_KEY, "awsAccessKeyId", SECRET_KEY, SESSION_TOKEN];

/// KEDA reads them from the metadata, then from the reference.
pub const AWS_ORDER: (Order, &[&str]) = (
    Order::ReferenceLast,
    &[POD_IDENTITY, OWNER, ROLE, EXTERNAL_ID, "awsExternalId", ACCESS_KEY, "awsAccessKeyId", SECRET_KEY, SESSION_TOKEN],
);

/// Whose rights a trigger uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// The server's own: environment, profile, web identity (IRSA), EKS Pod Identity or ECS, instance role.
    DefaultChain,
    /// This role, assumed by the server's own identity.
    AssumeRole {
        /// `arn:aws:iam::123456789012:role/name`.
        arn: String,
        /// What the role's trust policy may ask for.
        external_id: Option<String>,
    },
    /// An access key.
    Static {
        /// The access key's id.
        access_key_id: String,
        /// Its secret.
        secret_access_key: Secret,
        /// The session token of temporary credentials.
        session_token: Option<Secret>,
    },
}

/// The region that `key` names, if it is one by its form: it becomes part of host names.
pub fn read_region(keys: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let region = keys.text(key)?;
    let parts: Vec<&str> = region.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_region = match parts.as_slice() {
        [places @ .., number] => {
            places.len() >= 2
                && places.iter().all(letters)
                && matches!(number.len(), 1 | 2)
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        [] => false,
    };
    // Whoever speaks AWS's protocols elsewhere may name regions otherwise, as long as it is one word.
    let is_word = region.len() <= 32 && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_region && !is_word {
        keys.problem(key, format!("`{key}` must be the code of a region, such as `eu-west-1`, not its name"));
    }
    Some(region.to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Unsaid,
    /// The trigger names a role or a key.
    Pod,
    Server,
}

impl Credentials {
    /// Reads KEDA's keys in KEDA's order: the server's own identity if `identityOwner` says so, else the role, else
    /// the access key. A trigger that names none uses the server's own: what KEDA calls `podIdentity: aws` never
    /// reaches an external scaler.
    pub fn read(keys: &mut Reader<'_>) -> Self {
        let words = [("pod", Owner::Pod), ("operator", Owner::Server), ("keda", Owner::Server)];
        let owner = keys.choice(OWNER, &words, Owner::Unsaid);
        // Of a TriggerAuthentication: nothing but a role counts beside it.
        let of_provider = keys.text(POD_IDENTITY) == Some("aws");
        let role = keys.text(ROLE);
        let external_id = keys.first_of(&[EXTERNAL_ID, "awsExternalId"]);
        let access_key = keys.first_of(&[ACCESS_KEY, "awsAccessKeyId"]);
        let secret_access_key = keys.secret(SECRET_KEY);
        let session_token = keys.secret(SESSION_TOKEN);
        if of_provider && role.is_none() || !of_provider && owner == Owner::Server {
            return Self::DefaultChain;
        }
        if let Some(arn) = role {
            return Self::AssumeRole { arn: arn.to_owned(), external_id: external_id.map(str::to_owned) };
        }
        if external_id.is_some() {
            keys.problem(EXTERNAL_ID, format!("`{EXTERNAL_ID}` is of use with `{ROLE}` only: name the role"));
        }
        let Some(access_key_id) = access_key.map(str::to_owned) else {
            let half_a_key = secret_access_key.is_some() || session_token.is_some();
            if owner == Owner::Pod || half_a_key {
                keys.problem(
                    ACCESS_KEY,
                    format!(
                        "`{ACCESS_KEY}` is missing: give it with `{SECRET_KEY}`, or `{ROLE}`, or use the server's own \
                         AWS identity by `{OWNER}: operator`"
                    ),
                );
            }
            return Self::DefaultChain;
        };
        let Some(secret_access_key) = secret_access_key else {
            keys.problem(SECRET_KEY, format!("`{SECRET_KEY}` is missing: `{ACCESS_KEY}` needs it"));
            return Self::DefaultChain;
        };
        Self::Static { access_key_id, secret_access_key, session_token }
    }

    /// Whether `host` may be shown requests that these sign; `verified` is TLS with a verified certificate. An access key
    /// that the trigger gives is the trigger's to show; all else comes from the server's own identity.
    pub fn check(&self, reach: &Reach, host: &str, verified: bool) -> Result<(), Refusal> {
        match self {
            Self::Static { .. } => Ok(()),
            Self::DefaultChain | Self::AssumeRole { .. } => reach.check_identity(Cloud::Aws, host, verified),
        }
    }

    /// For people: whose rights, without a secret.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::DefaultChain => "the server's own AWS identity".into(),
            Self::AssumeRole { arn, .. } => format!("role `{arn}`"),
            Self::Static { access_key_id, .. } => format!("access key `{access_key_id}`"),
        }
    }
}
