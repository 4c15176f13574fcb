//! Certificates and keys as files have them. No error shows anything of a file's contents.

use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::config::ConfigError;

/// What the files hold.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The soonest of the chain.
    pub(super) expires: SystemTime,
    /// Of callers; empty where they show no certificate.
    pub(super) roots: Vec<Root>,
}

/// A root of callers' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) expires: SystemTime,
}

impl Material {
    /// Of the chain, the key and, where there is one, the file of roots.
    pub(super) fn read(contents: &[Vec<u8>], now: SystemTime) -> Result<Self, ConfigError> {
        let [chain, key, roots @ ..] = contents else {
            return Err(ConfigError("`--tls-cert` and `--tls-key` are needed together".to_owned()));
        };
        let chain = certificates("--tls-cert", chain)?;
        let expires = chain.iter().map(|certificate| certificate.expires).min().unwrap_or(now);
        if expires <= now {
            return Err(unusable("--tls-cert", "it has expired: renew it"));
        }
        let chain = chain.into_iter().map(|root| root.certificate).collect();
        let key = private_key(key)?;
        let roots = match roots.first() {
            None => Vec::new(),
            Some(pem) => {
                let mut roots = certificates("--tls-client-ca", pem)?;
                roots.retain(|root| root.expires > now);
                if roots.is_empty() {
                    return Err(unusable("--tls-client-ca", "all certificates in it have expired"));
                }
                roots
            }
        };
        Ok(Self { chain, key, expires, roots })
    }
}

fn certificates(option: &str, pem: &[u8]) -> Result<Vec<Root>, ConfigError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable(option, "it is not sound PEM"))?;
    if found.is_empty() {
        return Err(unusable(option, "there is no `-----BEGIN CERTIFICATE-----` in it"));
    }
    let dated = |certificate: CertificateDer<'static>| {
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| unusable(option, "a certificate in it cannot be read"))?;
        let expires = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Root { expires: SystemTime::UNIX_EPOCH + Duration::from_secs(expires), certificate })
    };
    found.into_iter().map(dated).collect()
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let encrypted = pem.windows(b"ENCRYPTED".len()).any(|words| words == b"ENCRYPTED");
        let why = if encrypted {
            "it is encrypted: give it without a password (`openssl pkey -in key.pem`), in a file that only we can read"
        } else {
            "there is no sound `-----BEGIN PRIVATE KEY-----` in it"
        };
        unusable("--tls-key", why)
    })
}

pub(super) fn unusable(option: &str, why: &str) -> ConfigError {
    ConfigError(format!("`{option}` cannot be used: {why}"))
}
