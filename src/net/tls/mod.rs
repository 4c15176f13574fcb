//! TLS towards a broker, the same for every backend: which keys say it, and the rustls configuration they make.
//!
//! Not for: KEDA's channel to us. KEDA reads `enableTLS` and `unsafeSsl` for that, so here they mean nothing;
//! towards a broker it is `tls: enable` and `skipTlsVerify`.

use std::sync::Arc;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
    pem::{self, PemObject},
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

    /// The rustls configuration. Reads the system's root certificates, so call it once per connection.
    pub fn client_config(&self) -> Result<ClientConfig, ReadError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS versions", &error))?;
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let (Some(cert), Some(_)) = (&self.cert, &self.key) else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(CERT, cert)?;
        builder.with_client_auth_cert(chain, self.private_key()?).map_err(|error| unusable("`cert` and `key`", &error))
    }

    /// The client key, decrypted if need be.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, ReadError> {
        let pem = self.key.as_ref().map_or("", Secret::expose);
        let Some(password) = &self.key_password else {
            return PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
                pem::Error::NoItemsFound if pem.contains("ENCRYPTED") => {
                    unusable("`key`", &"it is encrypted, give its password as `keyPassword`")
                }
                other => unusable("`key`", &other),
            });
        };
        let (label, document) = SecretDocument::from_pem(pem).map_err(|error| unusable("`key`", &error))?;
        if label != "ENCRYPTED PRIVATE KEY" {
            let text = "`keyPassword` is for encrypted PKCS#8, convert the key with `openssl pkcs8 -topk8` or drop the password";
            return Err(unusable("`key`", &text));
        }
        let decrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
            .and_then(|info| info.decrypt(password.expose()))
            .map_err(|_| unusable("`key`", &"`keyPassword` does not decrypt it"))?;
        Ok(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec()).into())
    }

    fn roots(&self) -> Result<RootCertStore, ReadError> {
        let mut roots = RootCertStore::empty();
        // A system without root certificates is fine as long as `ca` has the one that counts.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(ca) = &self.ca {
            for certificate in certificates(CA, ca)? {
                roots.add(certificate).map_err(|error| unusable("`ca`", &error))?;
            }
        }
        Ok(roots)
    }
}

fn certificates(key: &str, pem: &Secret) -> Result<Vec<CertificateDer<'static>>, ReadError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
    match parsed {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(unusable(&format!("`{key}`"), &"no PEM certificate in it: give the text itself, not a path")),
        Err(error) => Err(unusable(&format!("`{key}`"), &error)),
    }
}

fn unusable(what: &str, why: &dyn std::fmt::Display) -> ReadError {
    ReadError::new(ReadErrorKind::Denied, format!("{what} cannot be used for TLS: {why}")).of_connection()
}

/// `skipTlsVerify`: any certificate will do, though the handshake's signatures must still be sound.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
