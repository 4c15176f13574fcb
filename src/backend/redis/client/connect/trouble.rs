//! What goes wrong on the way to Redis: sockets, TLS, silence; each in words that say what to do.
//!
//! Not for: what Redis itself answers (`refusal.rs`).

use std::{error::Error, io, time::Duration};

use crate::{
    backend::redis::refusal::Place,
    error::{
        ReadError,
        ReadErrorKind::{Timeout, Unreachable},
    },
    net::tls::{Session, Tls},
};

/// The name in the address has no machine.
pub fn unresolved(place: &Place) -> ReadError {
    ReadError::new(Unreachable, format!("{place} has a host that DNS does not know: correct `address` in the trigger"))
}

/// The socket could not be opened.
pub fn not_connected(place: &Place, error: &io::Error) -> ReadError {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "refuses connections: start it, or correct `address` in the trigger",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "has no route from here: look at the network policies"
        }
        _ => return ReadError::new(Unreachable, format!("{place} cannot be reached: {}", error.kind())),
    };
    ReadError::new(Unreachable, format!("{place} {why}"))
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

/// Redis hung up while we said hello, or spoke another language.
pub fn no_hello(place: &Place, error: &(dyn Error + 'static), tls: Option<&Tls>) -> ReadError {
    if let Some(error) = of_tls(place, error, tls) {
        return error;
    }
    let why = if tls.is_some() {
        "see its log for why"
    } else {
        "set `tls: enable` if it wants TLS, else see its log for why"
    };
    ReadError::new(Unreachable, format!("{place} hangs up on the first command: {why}"))
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
