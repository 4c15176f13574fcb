//! Who is believed to be the broker: the system's roots and the trigger's own, or anybody.
//!
//! One thing is done as Go does it, which KEDA's own scalers are written in, and not as webpki: a certificate that is
//! itself among the roots is trusted, although it calls itself an authority. `openssl req -x509` makes such ones.

use std::sync::{Arc, LazyLock};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_cert::{
    Certificate,
    der::{Decode, oid::db::rfc5280},
    ext::pkix::ExtendedKeyUsage,
};

use super::peers::Peers;

/// Whoever is trusted, the handshake's signatures must be sound.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    trusted: Trusted,
    /// What is shown, believed or not.
    peers: Arc<Peers>,
}

#[derive(Debug)]
enum Trusted {
    /// `skipTlsVerify`: any certificate will do.
    Anybody,
    /// The trigger's own roots, and those of the system.
    Roots { given: Vec<CertificateDer<'static>>, by_given: Option<Arc<WebPkiServerVerifier>> },
}

/// The system's roots are read once and shared: for each connection anew they would be 200 KB of memory.
static BY_SYSTEM: LazyLock<Option<Arc<WebPkiServerVerifier>>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    by_roots(roots, &Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
});

/// `None` without any root.
fn by_roots(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

impl Verifier {
    pub fn of_anybody(provider: Arc<CryptoProvider>, peers: Arc<Peers>) -> Self {
        Self { provider, trusted: Trusted::Anybody, peers }
    }

    /// Fails when a `given` certificate cannot be read, or when there is no root at all.
    pub fn new(
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
        peers: Arc<Peers>,
    ) -> Result<Self, &'static str> {
        let mut roots = RootCertStore::empty();
        for certificate in &given {
            let unreadable = |_| "it holds a certificate that cannot be read: issue it anew";
            roots.add(certificate.clone()).map_err(unreadable)?;
        }
        let by_given = by_roots(roots, &provider);
        if by_given.is_none() && BY_SYSTEM.is_none() {
            return Err("the system has no root certificates: give the authority's certificate");
        }
        Ok(Self { provider, trusted: Trusted::Roots { given, by_given }, peers })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.peers.have_shown(server_name, std::iter::once(end_entity).chain(intermediates), now);
        let Trusted::Roots { given, by_given } = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        if given.iter().any(|given| given == end_entity) {
            verify_given(end_entity, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let mut verdict = Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        for authorities in [by_given.as_ref(), BY_SYSTEM.as_ref()].into_iter().flatten() {
            verdict = authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
            // Only an issuer that the one does not know may be known to the other.
            if !matches!(&verdict, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))) {
                break;
            }
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is left to check of a certificate that needs no issuer: that it holds now, and is for servers.
fn verify_given(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let parsed = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?.tbs_certificate;
    if now.as_secs() < parsed.validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet);
    }
    if now.as_secs() > parsed.validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired);
    }
    let usage = parsed.get::<ExtendedKeyUsage>().map_err(|_| CertificateError::BadEncoding)?;
    let for_servers = [rfc5280::ID_KP_SERVER_AUTH, rfc5280::ANY_EXTENDED_KEY_USAGE];
    if usage.is_some_and(|(_, usage)| !usage.0.iter().any(|purpose| for_servers.contains(purpose))) {
        return Err(CertificateError::InvalidPurpose);
    }
    Ok(())
}
