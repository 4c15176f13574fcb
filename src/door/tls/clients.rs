//! Which callers may come in: a certificate of one of the roots, with one of the names.

use std::{collections::HashSet, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::material::{Root, unusable};
use crate::config::ConfigError;

/// The library's verifier, and the names that `--allow-client` gives.
#[derive(Debug)]
pub(super) struct Clients {
    chain: Arc<dyn ClientCertVerifier>,
    allow: HashSet<String>,
}

impl Clients {
    pub(super) fn new(chain: Arc<dyn ClientCertVerifier>, allow: &[String]) -> Self {
        Self { chain, allow: allow.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }
}

/// Accepts the certificates of these roots.
pub(super) fn verifier<'a>(
    roots: impl Iterator<Item = &'a Root>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.certificate.clone())
            .map_err(|_| unusable("--tls-client-ca", "it is not the certificate of a CA"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|_| unusable("--tls-client-ca", "no certificate in it can be a root"))
}

/// All names of a certificate: alternative names of DNS, URI (SPIFFE) and mail, and the subject's CN.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternative = parsed.subject_alternative_name().ok()?;
    let alternative = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let alternative = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some(*name),
        _ => None,
    });
    let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    Some(alternative.chain(common).map(str::to_ascii_lowercase).collect())
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let named = || names(end_entity).is_some_and(|names| names.iter().any(|name| self.allow.contains(name)));
        if self.allow.is_empty() || named() {
            return Ok(verified);
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
