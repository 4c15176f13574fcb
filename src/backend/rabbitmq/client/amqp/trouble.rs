//! What can go wrong with a broker over AMQP, in words: what we looked at, what happened, what to do.

use std::{io, time::Duration};

use super::{dial::Stage, frame::Broken, method::Goodbye};
use crate::{
    backend::rabbitmq::{
        connection::{Amqp, Login},
        question::no_queue,
    },
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, Timeout, Unreachable},
        give_login,
    },
    net::{DialError, tls::Session},
};

/// AMQP's reply codes that mean something to us.
mod code {
    pub const CONNECTION_FORCED: u16 = 320;
    pub const ACCESS_REFUSED: u16 = 403;
    pub const NOT_FOUND: u16 = 404;
    pub const RESOURCE_LOCKED: u16 = 405;
    pub const NOT_ALLOWED: u16 = 530;
}

/// For a trigger whose queue was refused.
pub(super) fn refused(to: &Amqp, queue: &str, why: &Goodbye) -> ReadError {
    let vhost = &to.vhost;
    let text = match why.code {
        code::NOT_FOUND => return no_queue(queue, vhost),
        code::RESOURCE_LOCKED => format!(
            "queue `{queue}` on vhost `{vhost}` is exclusive to another connection: \
             declare it without `exclusive`, or give the management API's URL as `host`"
        ),
        _ => format!(
            "the broker does not tell of queue `{queue}` on vhost `{vhost}`, {}: grant the user the right",
            why.words
        ),
    };
    ReadError::new(Denied, text)
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
pub(super) fn silent_handshake(to: &Amqp, stage: Stage) -> ReadError {
    let place = to.origin();
    let text = match stage {
        Stage::Greeting => format!(
            "`{place}` accepts a connection and does not answer AMQP: check that it is up, and that the port is its {} port",
            if to.tls.is_some() { "TLS" } else { "plain AMQP" }
        ),
        Stage::Login => format!("`{place}` does not answer our login: check that it is up and not overloaded"),
    };
    ReadError::new(Timeout, text)
}

/// There is no socket.
pub(super) fn no_socket(to: &Amqp, error: &DialError) -> ReadError {
    error.at(&format!("`{}`", to.origin())).of_connection()
}

/// The name that the certificate should be for is none.
pub(super) fn no_server_name(to: &Amqp) -> ReadError {
    let text = format!("`{}` has no name that a certificate could be for: correct `host`", to.origin());
    ReadError::new(BadReply, text).of_connection()
}

/// TLS did not come about.
pub(super) fn no_tls(to: &Amqp, error: &io::Error) -> ReadError {
    let place = format!("`{}`", to.origin());
    let client_certificate = to.tls.as_ref().is_some_and(|tls| tls.cert.is_some());
    let without_tls = "use `amqp://`, or give the address of its TLS port";
    Session { place: &place, client_certificate, without_tls }.failed_by(error).unwrap_or_else(|| {
        let text = format!("{place} hangs up: check that the port is its TLS port, and `cert` and `key`");
        ReadError::new(Unreachable, text)
    })
}

/// The broker does not know the way in which we log in.
pub(super) fn not_offered(to: &Amqp, mechanism: &str) -> ReadError {
    let text = format!(
        "`{}` does not offer the login mechanism {mechanism}: enable it there, or choose another by `auth_mechanism` in `host`",
        to.origin()
    );
    ReadError::new(Denied, text).of_connection()
}

/// A connection did not come about.
pub(super) fn connecting(to: &Amqp, stage: Stage, broken: &Broken) -> ReadError {
    let place = format!("`{}`", to.origin());
    let (kind, text) = match (broken, stage) {
        (Broken::Lost, Stage::Greeting) if to.tls.is_some() => {
            (Unreachable, format!("{place} hangs up: check that the port is its TLS port, and `cert` and `key`"))
        }
        (Broken::Lost, Stage::Greeting) => (
            Unreachable,
            format!("{place} hangs up: check that it is up, and use `amqps://`, or give its plain AMQP port"),
        ),
        (Broken::Lost, Stage::Login) => (Unreachable, format!("{place} hangs up while we log in: see its log")),
        // A TLS port answers plain text with an alert.
        (Broken::Foreign, Stage::Greeting) if to.tls.is_none() => {
            (Unreachable, format!("{place} does not speak plain AMQP: use `amqps://`, or give its plain AMQP port"))
        }
        (Broken::Foreign | Broken::Unexpected | Broken::LargeFrame, Stage::Greeting) => {
            (BadReply, format!("{place} does not speak AMQP 0-9-1: give the address of RabbitMQ's AMQP port"))
        }
        (Broken::Closed(goodbye), _) => closed(to, &place, goodbye),
        _ => return self::broken(to, broken),
    };
    ReadError::new(kind, text).of_connection()
}

/// A connection that had come about broke.
pub(super) fn broken(to: &Amqp, broken: &Broken) -> ReadError {
    let place = format!("`{}`", to.origin());
    let (kind, text) = match broken {
        Broken::Lost => (Unreachable, format!("the connection to {place} broke: check that it is up")),
        Broken::Silent => (Timeout, format!("{place} has fallen silent: check that it is up and not overloaded")),
        Broken::Closed(goodbye) => closed(to, &place, goodbye),
        Broken::Foreign | Broken::Unexpected => {
            (BadReply, format!("{place} says what AMQP 0-9-1 does not have there: check that it is RabbitMQ"))
        }
        Broken::LargeFrame => {
            (BadReply, format!("{place} sends a frame larger than may be: check that it is RabbitMQ"))
        }
        Broken::Flood => (BadReply, format!("{place} sends more than was asked for: check that it is RabbitMQ")),
    };
    ReadError::new(kind, text).of_connection()
}

/// The broker has closed the connection.
fn closed(to: &Amqp, place: &str, goodbye: &Goodbye) -> (ReadErrorKind, String) {
    let words = &goodbye.words;
    match goodbye.code {
        code::ACCESS_REFUSED => (Denied, login_refused(to, place)),
        code::NOT_ALLOWED => (Denied, not_allowed(to, place, words)),
        code::CONNECTION_FORCED => (Unreachable, format!("{place} has closed the connection: check that it is up")),
        code => (BadReply, format!("{place} has closed the connection with {code}, {words}: see its log")),
    }
}

fn login_refused(to: &Amqp, place: &str) -> String {
    match &to.login {
        Login::External => format!(
            "{place} refuses the client certificate as a login: grant its user, enable `rabbitmq_auth_mechanism_ssl`, \
             or give `username` and `password`"
        ),
        Login::Password { username, .. } | Login::AmqPlain { username, .. } if username == "guest" => {
            let cure = give_login(&["username", "password"]);
            format!("{place} refuses user `guest`, whom it is asked as where no other is given: {cure}")
        }
        Login::Password { username, .. } | Login::AmqPlain { username, .. } => {
            format!("{place} refuses user `{username}`: correct `username` and `password`, or the user part of `host`")
        }
        Login::Anonymous | Login::OAuth(_) | Login::Azure(_) => format!("{place} refuses the login"),
    }
}

fn not_allowed(to: &Amqp, place: &str, words: &str) -> String {
    let vhost = &to.vhost;
    if words.contains("not found") {
        return format!("{place} has no vhost `{vhost}`: create it, or correct `vhostName` or the path of `host`");
    }
    if words.contains("channels") {
        return format!("{place} lets us open no more channels: raise the user's limit of channels");
    }
    if words.contains("limit") {
        return format!("{place} lets nobody else connect to vhost `{vhost}`: raise its connection limit");
    }
    format!("{place} refuses us vhost `{vhost}`: grant the user access to it, no permission in it is needed")
}
