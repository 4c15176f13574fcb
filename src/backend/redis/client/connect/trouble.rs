//! What goes wrong on the way to Redis: sockets, TLS, silence; each in words that say what to do.
//!
//! Not for: what Redis itself answers (`refusal.rs`).

use std::{error::Error, io, time::Duration};

use super::meter::Crossed;
use crate::{
    backend::redis::refusal::Place,
    error::{
        ReadError,
        ReadErrorKind::{BadReply, Throttled, Timeout, Unreachable},
    },
    net::tls::{Session, Tls},
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

/// What may be wrong with what the trigger says of TLS.
#[derive(Debug, Clone, Copy)]
pub enum Doubt {
    /// Whether TLS is spoken there at all.
    Tls,
    /// Whether plain text is.
    Plain,
    /// Nothing: it has worked.
    None,
}

/// Nothing came of connecting within the time there is.
pub fn not_in_time(place: &Place, within: Duration, doubt: Doubt) -> ReadError {
    let cure = match doubt {
        Doubt::Tls => "look at the address and the network policies, and whether it speaks TLS there",
        Doubt::Plain => "look at the address and the network policies, and whether it wants `tls: enable`",
        Doubt::None => "see whether it is overloaded or stopped, and look at the network policies",
    };
    ReadError::new(Timeout, format!("{place} does not answer within {within:?}: {cure}"))
}

/// Redis hung up while we said hello.
pub fn no_hello(place: &Place, doubt: Doubt) -> ReadError {
    let why = match doubt {
        Doubt::Plain => "set `tls: enable` if it wants TLS, else see its log for why",
        Doubt::Tls | Doubt::None => "see its log for why",
    };
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
pub fn of_tls(place: &Place, error: &(dyn Error + 'static), tls: Option<&Tls>) -> Option<ReadError> {
    let session = Session {
        place: &place.to_string(),
        client_certificate: tls.is_some_and(|tls| tls.cert.is_some()),
        without_tls: "drop `tls: enable`, or give the address of its TLS port",
    };
    session.failed_by(error)
}

/// The handshake broke off without an error of TLS's own.
pub fn no_handshake(place: &Place, error: &io::Error, tls: &Tls) -> ReadError {
    of_tls(place, error, Some(tls)).unwrap_or_else(|| {
        let text =
            format!("{place} hangs up on a TLS handshake: drop `tls: enable`, or give the address of its TLS port");
        ReadError::new(Unreachable, text)
    })
}
