//! What a failed TLS session means to an operator, the same words for every backend.
//!
//! rustls's own texts are for its developers (`Other(OtherError(CaUsedAsEndEntity))`), so none of them is repeated.

use std::{error::Error as StdError, io, sync::Arc};

use rustls::{AlertDescription as Alert, CertificateError as Bad, Error, PeerIncompatible};

use crate::error::{
    ReadError,
    ReadErrorKind::{self, Denied, Unreachable},
};

/// One end's view of a session that failed.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The other end, in backticks.
    pub place: &'a str,
    /// Whether we have shown a client certificate.
    pub client_certificate: bool,
    /// What to do if the port does not speak TLS at all: "set `tls: disable`, or …".
    pub without_tls: &'a str,
}

impl Session<'_> {
    /// What `error` means.
    #[must_use]
    pub fn failed(&self, error: &Error) -> ReadError {
        let (kind, what) = match error {
            Error::InvalidCertificate(bad) => (Unreachable, certificate(bad).to_owned()),
            Error::NoCertificatesPresented => (Unreachable, "shows no certificate: give its server one".to_owned()),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
                (Unreachable, "speaks neither TLS 1.2 nor 1.3: enable one of them there".to_owned())
            }
            Error::PeerIncompatible(_) => (Unreachable, NOTHING_IN_COMMON.to_owned()),
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
                (Unreachable, format!("does not speak TLS: {}", self.without_tls))
            }
            _ => (Unreachable, "breaks the rules of TLS: see its log".to_owned()),
        };
        ReadError::new(kind, format!("{} {what}", self.place)).of_connection()
    }

    /// What `error` means if a TLS error is somewhere in its chain.
    #[must_use]
    pub fn failed_by(&self, error: &(dyn StdError + 'static)) -> Option<ReadError> {
        tls_error(error).map(|error| self.failed(error))
    }

    fn alert(&self, alert: Alert) -> (ReadErrorKind, String) {
        let refuses_certificate = matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
        );
        match (alert, self.client_certificate) {
            (Alert::CertificateRequired, _) => (Denied, WANTS_CERTIFICATE.to_owned()),
            // Up to TLS 1.2, and from old Java, there is no better word for a client certificate that is missing.
            (_, false) if refuses_certificate => (Denied, WANTS_CERTIFICATE.to_owned()),
            (_, true) if refuses_certificate => {
                (Denied, "refuses our client certificate: correct `cert` and `key`".to_owned())
            }
            (Alert::HandshakeFailure, true) => {
                let what = "ends the handshake: it refuses our client certificate, or has no TLS cipher in common with us: \
                            correct `cert` and `key`, or its TLS settings";
                (Unreachable, what.to_owned())
            }
            (Alert::HandshakeFailure, false) => {
                let what = "ends the handshake: it has no TLS cipher in common with us, or wants a client certificate: \
                            correct its TLS settings, or set `cert` and `key`";
                (Unreachable, what.to_owned())
            }
            (Alert::ProtocolVersion, _) => {
                (Unreachable, "speaks neither TLS 1.2 nor 1.3: enable one of them there".to_owned())
            }
            (Alert::InsufficientSecurity, _) => (Unreachable, NOTHING_IN_COMMON.to_owned()),
            (Alert::UnrecognisedName, _) => {
                (Unreachable, "does not know the name that we call it by: use a name that it serves".to_owned())
            }
            _ => (Unreachable, "ends the TLS session: see its log".to_owned()),
        }
    }
}

const NOTHING_IN_COMMON: &str = "has no TLS cipher in common with us: enable a modern one there";
const WANTS_CERTIFICATE: &str = "wants a client certificate: set `cert` and `key` to a pair that it trusts";

/// What is wrong with the certificate that the other end shows.
fn certificate(bad: &Bad) -> &'static str {
    match bad {
        Bad::UnknownIssuer | Bad::BadSignature => {
            "shows a certificate of an unknown issuer: set `ca` to the issuer's certificate"
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "shows a certificate for another name: use a name that is in it, or `skipTlsVerify: true`"
        }
        Bad::Expired | Bad::ExpiredContext { .. } => "shows an expired certificate: renew it there",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "shows a certificate that is not valid yet: correct its clock or ours"
        }
        Bad::Revoked => "shows a revoked certificate: renew it there",
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            "shows a certificate that is not for servers: issue one with the purpose `serverAuth`"
        }
        Bad::BadEncoding => "shows a certificate that is damaged: issue it anew",
        // webpki's own: an authority's certificate shown as a server's.
        Bad::Other(_) => {
            "shows an authority's certificate as its own: give that very certificate as `ca`, or issue one for the server"
        }
        _ => "shows a certificate that cannot be trusted: issue it anew, with a signature and extensions in common use",
    }
}

/// The TLS error in a chain. An `io::Error` hides what it holds from `source`, and some libraries keep theirs in an `Arc`.
fn tls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        let shared = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>();
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        link = shared
            .map(|shared| &**shared as &(dyn StdError + 'static))
            .or_else(|| held.map(|held| held as &(dyn StdError + 'static)))
            .or_else(|| error.source());
    }
    None
}
