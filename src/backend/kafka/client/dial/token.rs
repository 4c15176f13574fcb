//! Tokens for OAUTHBEARER: from an OIDC token endpoint (KEDA's semantics: a client credentials grant), or signed for
//! Amazon MSK.
//!
//! Not for: how they are kept and renewed (`identity::kept`), or the signing (`msk`).

use std::sync::Arc;

#[cfg(feature = "msk")]
use super::msk::Signed;
use crate::{
    backend::kafka::connection::Sasl,
    error::ReadError,
    identity::{held::Issued, oauth},
    metadata::Secret,
    net::{Reach, tls::Tls},
};

/// The tokens of one identity.
pub(super) enum Tokens {
    Oidc(Arc<oauth::Tokens>),
    #[cfg(feature = "msk")]
    Msk(Signed),
}

impl Tokens {
    /// The tokens that `sasl` needs, if it needs any.
    pub fn of(sasl: &Sasl, reach: &Reach) -> Option<Self> {
        match sasl {
            Sasl::OauthOidc(oidc) => Some(Self::Oidc(oauth::Tokens::of(&oidc.oauth, &Tls::default(), reach))),
            #[cfg(feature = "msk")]
            Sasl::MskIam(msk) => Some(Self::Msk(Signed::of(msk))),
            // The metadata of a build without it is refused.
            #[cfg(not(feature = "msk"))]
            Sasl::MskIam(_) => None,
            Sasl::Plain(_) | Sasl::Scram256(_) | Sasl::Scram512(_) => None,
            #[cfg(feature = "gssapi")]
            Sasl::Gssapi(_) => None,
        }
    }

    /// A token for a login, which holds as long as it does.
    pub async fn get(&self) -> Result<Secret, ReadError> {
        match self {
            Self::Oidc(tokens) => tokens.fresh().await,
            #[cfg(feature = "msk")]
            Self::Msk(tokens) => tokens.fresh().await,
        }
    }

    /// What is shown, and how old it is.
    pub fn issued(&self) -> Issued {
        match self {
            Self::Oidc(tokens) => tokens.issued(),
            #[cfg(feature = "msk")]
            Self::Msk(tokens) => tokens.issued(),
        }
    }

    /// The broker refuses the one at hand: the next login gets another.
    pub fn forget(&self) {
        match self {
            Self::Oidc(tokens) => tokens.forget(),
            #[cfg(feature = "msk")]
            Self::Msk(tokens) => tokens.forget(),
        }
    }
}
