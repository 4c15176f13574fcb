//! TLS towards a broker, the same for every backend: which keys say it, and the rustls configuration they make.
//!
//! Not for: KEDA's channel to us. KEDA reads `enableTLS` and `unsafeSsl` for that, so here they mean nothing;
//! towards a broker it is `tls: enable` and `skipTlsVerify`.

mod explain;
mod key;
mod peers;
mod pem;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, Error,
    client::{WantsClientCert, danger::ServerCertVerifier},
    crypto::CryptoProvider,
};

use self::verify::Verifier;
pub use self::{
    explain::Session,
    peers::{EXPIRES_SOON, Encryption, Peers, Shown},
};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::{Reader, Secret},
};

/// Names of the keys, in KEDA's TriggerAuthentication spelling.
const CA: &str = "ca";
const CERT: &str = "cert";
const KEY: &str = "key";
const KEY_PASSWORD: &str = "keyPassword";

/// TLS material as the trigger gives it: PEM texts, not paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Trusted in addition to the system's roots.
    pub ca: Option<Secret>,
    /// The client certificate chain; always together with `key`.
    pub cert: Option<Secret>,
    /// Its private key: PKCS#8, PKCS#1 or SEC1; encrypted PKCS#8 with `key_password`.
    pub key: Option<Secret>,
    /// Decrypts `key`.
    pub key_password: Option<Secret>,
    /// Accept any server certificate.
    pub skip_verify: bool,
}

impl Tls {
    /// Reads `ca`, `cert`, `key`, `keyPassword` and `skipTlsVerify`; a lone `cert` or `key` is a problem.
    pub fn read(keys: &mut Reader<'_>) -> Self {
        let tls = Self {
            ca: keys.secret(CA),
            // KEDA's Redis scalers write it with a capital, too, and prefer that.
            cert: keys.first_of(&["Cert", CERT]).map(Secret::new),
            key: keys.secret(KEY),
            key_password: keys.secret(KEY_PASSWORD),
            skip_verify: keys.boolean("skipTlsVerify", false),
        };
        match (&tls.cert, &tls.key) {
            (Some(_), None) => keys.problem(KEY, "`key` must be given with `cert`: a client certificate needs both"),
            (None, Some(_)) => keys.problem(CERT, "`cert` must be given with `key`: a client certificate needs both"),
            _ => {}
        }
        tls
    }

    /// How a connection is encrypted that has this, or none.
    #[must_use]
    pub fn encryption(tls: Option<&Self>) -> Encryption {
        match tls {
            None => Encryption::None,
            Some(tls) if tls.skip_verify => Encryption::Unverified,
            Some(_) => Encryption::Verified,
        }
    }

    /// The rustls configuration; what the other end shows is noted in `peers`. May wait for a key to be decrypted, so make
    /// it once per connection.
    pub async fn client_config(&self, peers: Arc<Peers>) -> Result<ClientConfig, ReadError> {
        let builder = self.verifying(peers)?;
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(builder.with_no_client_auth()) };
        let chain = pem::certificates(cert.expose()).map_err(|why| unusable(CERT, why))?;
        let key = match &self.key_password {
            Some(password) => key::decrypt(key, password).await,
            None => pem::private_key(key.expose()),
        };
        let key = key.map_err(|why| unusable(KEY, why))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => unusable(KEY, "it is not the key of `cert`: give the pair"),
            Error::InvalidCertificate(_) => unusable(CERT, "its certificate cannot be read: issue it anew"),
            _ => unusable(KEY, "it is of a kind that we cannot use: take RSA of 2048 to 8192 bits, ECDSA or Ed25519"),
        })
    }

    /// The rustls configuration of a client that trusts the system's roots and shows no certificate.
    pub fn of_system() -> Result<ClientConfig, ReadError> {
        Self::default().verifying(Arc::default()).map(|builder| builder.with_no_client_auth())
    }

    fn verifying(&self, peers: Arc<Peers>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ReadError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| ReadError::new(ReadErrorKind::Internal, "the TLS library has no usable version"))?;
        Ok(builder.dangerous().with_custom_certificate_verifier(self.verifier(provider, peers)?))
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
        peers: Arc<Peers>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ReadError> {
        if self.skip_verify {
            return Ok(Arc::new(Verifier::of_anybody(provider, peers)));
        }
        let given = match &self.ca {
            Some(ca) => pem::certificates(ca.expose()).map_err(|why| unusable(CA, why))?,
            None => Vec::new(),
        };
        Ok(Arc::new(Verifier::new(given, provider, peers).map_err(|why| unusable(CA, why))?))
    }
}

/// What is wrong with the text of `key`; `why` is ours, never a library's, which would show the text.
fn unusable(key: &str, why: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("`{key}` cannot be used for TLS: {why}")).of_connection()
}
