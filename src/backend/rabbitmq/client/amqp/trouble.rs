//! What can go wrong with a broker over AMQP, in words: what we looked at, what happened, what to do.

use std::{io, sync::Arc, time::Duration};

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use crate::{
    backend::rabbitmq::{
        connection::{Amqp, Login},
        question::no_queue,
    },
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, Timeout, Unreachable},
    },
    net::tls::Session,
};

/// Why a broker refuses to tell of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing,
    /// It belongs to one other connection.
    Exclusive,
    /// In the broker's words.
    Other(String),
}

/// Whether `error` closed a channel for the sake of one of `queues`, which, and why. No queue means: the first of
/// them, by the order of answers.
pub(super) fn refusal<'q>(
    mut queues: impl Iterator<Item = &'q Arc<str>>,
    error: &Error,
) -> Option<(Option<&'q Arc<str>>, Refusal)> {
    let ErrorKind::ProtocolError(protocol) = error.kind() else { return None };
    let why = match protocol.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Refusal::Missing,
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Refusal::Exclusive,
        AMQPErrorKind::Soft(_) => Refusal::Other(protocol.get_message().to_string()),
        AMQPErrorKind::Hard(_) => return None,
    };
    let named = protocol.get_message().as_str();
    Some((queues.find(|queue| names(named, queue)), why))
}

/// Whether the broker's words end the name where `queue` ends: `no queue 'a' in vhost '/'`. They are cut at 255
/// bytes, so a long name may be missing in part; then the order of answers decides.
fn names(words: &str, queue: &str) -> bool {
    let quoted = format!("queue '{queue}' in vhost '");
    words.contains(&quoted)
}

/// For a trigger whose queue was refused.
pub(super) fn refused(to: &Amqp, queue: &str, refusal: &Refusal) -> ReadError {
    let vhost = &to.vhost;
    match refusal {
        Refusal::Missing => no_queue(queue, vhost),
        Refusal::Exclusive => ReadError::new(
            Denied,
            format!(
                "queue `{queue}` on vhost `{vhost}` is exclusive to another connection: \
                 declare it without `exclusive`, or give the management API's URL as `host`"
            ),
        ),
        Refusal::Other(words) => ReadError::new(
            Denied,
            format!(
                "the broker does not tell of queue `{queue}` on vhost `{vhost}`, {words}: grant the user the right"
            ),
        ),
    }
}

/// Many queues are missing, and asking about them took all the time.
pub(super) fn not_reached(to: &Amqp) -> ReadError {
    let text = format!(
        "`{}` refuses so many queues that this one's turn has not come: create them, or correct `queueName`",
        to.origin()
    );
    ReadError::new(Timeout, text).of_source()
}

/// No answer to a burst.
pub(super) fn frozen(to: &Amqp, patience: Duration) -> ReadError {
    let text = format!("`{}` did not answer within {patience:?}: check that it is up and not overloaded", to.origin());
    ReadError::new(Timeout, text)
}

/// Connected, and then silence.
pub(super) fn silent_handshake(to: &Amqp) -> ReadError {
    let text = format!(
        "`{}` accepts a connection and does not answer AMQP: check that it is up, and that the port is its {} port",
        to.origin(),
        if to.tls.is_some() { "TLS" } else { "plain AMQP" }
    );
    ReadError::new(Timeout, text)
}

/// A connection did not come about, or broke.
pub(super) fn connecting(to: &Amqp, error: &Error) -> ReadError {
    let place = format!("`{}`", to.origin());
    if let ErrorKind::IOError(error) = error.kind()
        && let Some(error) = session(to, &place).failed_by(&**error)
    {
        return error;
    }
    let (kind, text) = match error.kind() {
        ErrorKind::ProtocolError(protocol) => {
            let words = protocol.get_message().as_str();
            match protocol.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => (Denied, login_refused(to, &place)),
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => (Denied, not_allowed(to, &place, words)),
                AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => {
                    (Unreachable, format!("{place} has closed the connection: check that it is up"))
                }
                _ => (BadReply, format!("{place} answers {words}: see its log")),
            }
        }
        ErrorKind::IOError(error) => io_error(to, &place, error),
        ErrorKind::MissingHeartbeatError => {
            (Timeout, format!("{place} has fallen silent: check that it is up and not overloaded"))
        }
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => (Unreachable, broken(&place)),
        // A TLS port answers plain text with an alert.
        ErrorKind::ParsingError(_) if to.tls.is_none() => {
            (Unreachable, format!("{place} does not speak plain AMQP: use `amqps://`, or give its plain AMQP port"))
        }
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::ParsingError(_) => {
            (BadReply, format!("{place} does not speak AMQP 0-9-1: give the address of RabbitMQ's AMQP port"))
        }
        other => (BadReply, format!("{place} cannot be talked to: {}", Error::from(other.clone()))),
    };
    ReadError::new(kind, text).of_connection()
}

fn session<'a>(to: &Amqp, place: &'a str) -> Session<'a> {
    Session {
        place,
        client_certificate: to.tls.as_ref().is_some_and(|tls| tls.cert.is_some()),
        without_tls: "use `amqp://`, or give the address of its TLS port",
    }
}

fn broken(place: &str) -> String {
    format!("the connection to {place} broke: check that it is up")
}

fn login_refused(to: &Amqp, place: &str) -> String {
    match &to.login {
        Login::External => format!(
            "{place} refuses the client certificate as a login: grant its user, enable `rabbitmq_auth_mechanism_ssl`, \
             or give `username` and `password`"
        ),
        Login::Password { username, .. } | Login::AmqPlain { username, .. } => {
            format!("{place} refuses user `{username}`: correct `username` and `password`, or the user part of `host`")
        }
        Login::Anonymous | Login::OAuth(_) => format!("{place} refuses the login"),
    }
}

fn not_allowed(to: &Amqp, place: &str, words: &str) -> String {
    let vhost = &to.vhost;
    if words.contains("not found") {
        return format!("{place} has no vhost `{vhost}`: create it, or correct `vhostName` or the path of `host`");
    }
    if words.contains("limit") {
        return format!("{place} lets nobody else connect to vhost `{vhost}`: raise its connection limit");
    }
    format!("{place} refuses us vhost `{vhost}`: grant the user access to it, no permission in it is needed")
}

fn io_error(to: &Amqp, place: &str, error: &io::Error) -> (ReadErrorKind, String) {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("{place} refuses connections: check that it is up, and the address in `host`")
        }
        io::ErrorKind::TimedOut => {
            format!(
                "{place} cannot be connected to in time: check its address, and that a network policy lets us through"
            )
        }
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            match &to.tls {
                Some(_) => format!("{place} hangs up: check that the port is its TLS port, and `cert` and `key`"),
                None => {
                    format!("{place} hangs up: check that it is up, and use `amqps://`, or give its plain AMQP port")
                }
            }
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("{place} cannot be reached: check the address in `host`, and the network")
        }
        _ if error.to_string().contains("lookup") => {
            format!("{place} has no address: correct the name in `host`, or check DNS")
        }
        _ => format!("{place} cannot be reached, {error}: check the address in `host`"),
    };
    (Unreachable, text)
}
