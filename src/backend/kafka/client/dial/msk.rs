//! Tokens for OAUTHBEARER that are signed for Amazon MSK.
//!
//! Not for: how they are kept and renewed (`identity::kept`), or whose rights (`identity::aws`).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::Region;

use crate::{
    backend::kafka::connection::MskIam,
    clock::since_epoch,
    error::{ReadError, ReadErrorKind},
    identity::{
        aws::Identity,
        held::Issued,
        kept::{Issuer, Kept},
    },
    metadata::Secret,
};

/// The tokens of one identity at one cluster.
pub(super) struct Signed(Kept<Msk>);

impl Signed {
    pub fn of(msk: &MskIam) -> Self {
        let identity = Identity::of(&msk.credentials, &msk.region);
        Self(Kept::new(Msk { msk: msk.clone(), identity }))
    }

    pub async fn fresh(&self) -> Result<Secret, ReadError> {
        self.0.fresh().await
    }

    pub fn issued(&self) -> Issued {
        self.0.issued(format!("a token signed by {}", self.0.msk.credentials.describe()))
    }

    /// The broker refuses the one at hand, and so perhaps the keys that signed it.
    pub fn forget(&self) {
        self.0.forget();
        self.0.identity.forget();
    }
}

/// Signs for one cluster.
struct Msk {
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
        let now = since_epoch(SystemTime::now());
        let life = Duration::from_millis(u64::try_from(expires_ms).unwrap_or_default()).saturating_sub(now);
        Ok((Secret::new(token), life))
    }

    fn late(&self, patience: Duration) -> ReadError {
        let text = format!("no token for Amazon MSK within {patience:?}: check the AWS credentials");
        ReadError::new(ReadErrorKind::Timeout, text).of_connection()
    }
}
