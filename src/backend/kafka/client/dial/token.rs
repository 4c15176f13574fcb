//! Tokens for OAUTHBEARER: from an OIDC token endpoint (KEDA's semantics: a client credentials grant), or signed for
//! Amazon MSK.
//!
//! Not for: how they are kept and renewed (`identity::kept`).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::Region;

use crate::{
    backend::kafka::connection::{MskIam, Sasl},
    error::{ReadError, ReadErrorKind},
    identity::{
        aws::Identity,
        kept::{Issuer, Kept},
        oauth,
    },
    metadata::Secret,
    net::{Reach, tls::Tls},
};

/// The tokens of one identity.
pub(super) enum Tokens {
    Oidc(Arc<oauth::Tokens>),
    Msk(Kept<Msk>),
}

impl Tokens {
    /// The tokens that `sasl` needs, if it needs any.
    pub fn of(sasl: &Sasl, reach: &Reach) -> Option<Self> {
        match sasl {
            Sasl::OauthOidc(oidc) => Some(Self::Oidc(oauth::Tokens::of(&oidc.oauth, &Tls::default(), reach))),
            Sasl::MskIam(msk) => {
                let identity = Identity::of(&msk.credentials, &msk.region);
                Some(Self::Msk(Kept::new(Msk { msk: msk.clone(), identity })))
            }
            Sasl::Plain(_) | Sasl::Scram256(_) | Sasl::Scram512(_) => None,
            #[cfg(feature = "gssapi")]
            Sasl::Gssapi(_) => None,
        }
    }

    /// A token for a login, which holds as long as it does.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        match self {
            Self::Oidc(tokens) => tokens.fresh().await,
            Self::Msk(tokens) => tokens.fresh().await,
        }
    }

    /// The broker refuses the one at hand: the next login gets another.
    pub fn forget(&self) {
        match self {
            Self::Oidc(tokens) => tokens.forget(),
            Self::Msk(tokens) => {
                tokens.forget();
                tokens.identity.forget();
            }
        }
    }
}

/// Signs for one cluster.
pub(super) struct Msk {
    msk: MskIam,
    identity: Arc<Identity>,
}

#[async_trait]
impl Issuer for Msk {
    type Value = Secret;

    /// The signer hides why credentials cannot be had, so they are asked for first.
    async fn issue(&self) -> Result<(Secret, Duration), ReadError> {
        self.identity.credentials().await?;
        let region = Region::new(self.msk.region.clone());
        let provider = self.identity.provider();
        let signed = aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider(region, provider).await;
        let (token, expires_ms) = signed.map_err(|error| {
            let text = format!("no token for Amazon MSK: {error}: check the AWS credentials and `awsRegion`");
            ReadError::new(ReadErrorKind::Denied, text).of_connection()
        })?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let life = Duration::from_millis(u64::try_from(expires_ms).unwrap_or_default()).saturating_sub(now);
        Ok((Secret::new(token), life))
    }

    fn late(&self, patience: Duration) -> ReadError {
        let text = format!("no token for Amazon MSK within {patience:?}: check the AWS credentials");
        ReadError::new(ReadErrorKind::Timeout, text).of_connection()
    }
}
