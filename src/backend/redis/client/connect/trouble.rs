//! What goes wrong on the way to Redis: sockets, TLS, silence; each in words that say what to do.
//!
//! Not for: what Redis itself answers (`refusal.rs`).

use std::{error::Error, io, sync::Arc, time::Duration};

use rustls::{AlertDescription, CertificateError};

use super::meter::Crossed;
use crate::{
    backend::redis::refusal::Place,
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, Throttled, Timeout, Unreachable},
    },
};

/// No certificate can be for such a name.
pub fn no_tls_name(place: &Place) -> ReadError {
    ReadError::new(
        Unreachable,
        format!("{place} has a host that no certificate can name: correct `address` in the trigger"),
    )
}

/// It was working, then the connection broke.
pub fn lost(place: &Place) -> ReadError {
    ReadError::new(Unreachable, format!("{place} closed the connection: see its log for why"))
}

/// A node that answered until now has gone silent, or does not answer at all.
pub fn silent(place: &Place, within: Duration) -> ReadError {
    ReadError::new(Timeout, format!("{place} has not answered for {within:?}: see whether it is overloaded or stopped"))
}

/// Nothing came of connecting within the time there is; over plain text it may be that TLS is expected.
pub fn not_in_time(place: &Place, within: Duration, tls: bool) -> ReadError {
    let why = if tls { ", and whether it speaks TLS there" } else { ", and whether it wants `tls: enable`" };
    let text = format!("{place} does not answer within {within:?}: look at the address and the network policies{why}");
    ReadError::new(Timeout, text)
}

/// Redis hung up while we said hello.
pub fn no_hello(place: &Place, tls: bool) -> ReadError {
    let why = if tls { "see its log for why" } else { "set `tls: enable` if it wants TLS, else see its log for why" };
    ReadError::new(Unreachable, format!("{place} hangs up on the first command: {why}"))
}

/// It has crossed one of our bounds.
pub fn crossed(place: &Place, crossed: Crossed) -> ReadError {
    let (kind, cure) = match crossed {
        Crossed::NotRedis => (BadReply, "correct `address`, or set `tls: enable` if it wants TLS"),
        Crossed::NoRoom => (Throttled, "spread large reads, or run more replicas"),
        _ => (BadReply, "no Redis needs so much here, look at what listens there"),
    };
    ReadError::new(kind, format!("{place} {crossed}: {cure}")).of_connection()
}

/// What failed in TLS, if that is it: the library's error is somewhere in the chain.
pub fn of_tls(place: &Place, error: &(dyn Error + 'static)) -> Option<ReadError> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            let (kind, text) = tls_text(place, error);
            return Some(ReadError::new(kind, text).of_connection());
        }
        link = inside(error).or_else(|| error.source());
    }
    None
}

/// What an error wraps without calling it its source: the library keeps its errors behind an `Arc`, and the source
/// of an I/O error is that of the error inside.
fn inside<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    error.downcast_ref::<io::Error>()?.get_ref().map(|error| error as _)
}

/// The handshake broke off without an error of TLS's own.
pub fn no_handshake(place: &Place, error: &io::Error) -> ReadError {
    of_tls(place, error).unwrap_or_else(|| {
        let text =
            format!("{place} hangs up on a TLS handshake: drop `tls: enable`, or give the address of its TLS port");
        ReadError::new(Unreachable, text)
    })
}

fn tls_text(place: &Place, error: &rustls::Error) -> (ReadErrorKind, String) {
    use AlertDescription::{
        BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        HandshakeFailure, UnknownCA,
    };
    match error {
        rustls::Error::InvalidCertificate(why) => (Unreachable, untrusted(place, why)),
        rustls::Error::AlertReceived(CertificateRequired) => {
            (Denied, format!("{place} wants a client certificate: set `cert` and `key`"))
        }
        rustls::Error::AlertReceived(
            BadCertificate | CertificateExpired | CertificateRevoked | CertificateUnknown | UnknownCA
            | HandshakeFailure,
        ) => (Denied, format!("{place} refuses the client certificate: correct `cert` and `key`")),
        rustls::Error::InvalidMessage(_) => {
            let what = "does not speak TLS: drop `tls: enable`, or give the address of its TLS port";
            (Unreachable, format!("{place} {what}"))
        }
        other => (Unreachable, format!("{place} cannot agree on TLS: {other}")),
    }
}

fn untrusted(place: &Place, why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("{place} shows a certificate of an unknown issuer: set `ca` to the issuer's certificate")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{place} shows a certificate for another name: use a name that is in it, or `skipTlsVerify: true`")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{place} shows an expired certificate: renew it")
        }
        other => format!("{place} shows a certificate that cannot be trusted, {other}: correct it, or `ca`"),
    }
}
