//! What an error of Redis's own means to an operator: its code becomes a kind, a text and what to do.
//!
//! Not for: sockets and TLS (`client/trouble.rs`).

use std::{fmt, sync::Arc};

use super::reply::Refusal;
use crate::error::{
    ReadError,
    ReadErrorKind::{BadReply, Denied, NotFound, Throttled, Unreachable},
    give_login, quoted,
};

/// The server that answered, for people: ``redis at `h:6379` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    what: &'static str,
    address: Arc<str>,
}

impl Place {
    /// A data node.
    pub fn node(address: &impl fmt::Display) -> Self {
        Self { what: "redis", address: address.to_string().into() }
    }

    /// A sentinel.
    pub fn sentinel(address: &impl fmt::Display) -> Self {
        Self { what: "redis sentinel", address: address.to_string().into() }
    }

    /// Where the login comes from, by the names of its keys.
    #[must_use]
    pub fn login_keys(&self) -> [&'static str; 2] {
        if self.what == "redis" { ["username", "password"] } else { ["sentinelUsername", "sentinelPassword"] }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`", self.what, self.address)
    }
}

/// Redis refuses `command` on `key`.
#[must_use]
pub fn of_command(place: &Place, command: &str, key: &str, refusal: &Refusal) -> ReadError {
    if let Some(error) = of_server(place, refusal) {
        return error;
    }
    let (kind, text) = match refusal.code.as_str() {
        "NOPERM" => {
            let right = command.to_lowercase().replace(' ', "|");
            (Denied, format!("{place} denies `{command}` on key `{key}`: grant the user `+{right} ~{key}`"))
        }
        "WRONGTYPE" => {
            (BadReply, format!("key `{key}` at {place} is of a type that `{command}` cannot count: correct its name"))
        }
        "ERR" if refusal.text == "no such key" => {
            (NotFound, format!("stream `{key}` at {place} is missing: create it, or correct `stream` in the trigger"))
        }
        "ERR" if refusal.text.starts_with("unknown") => {
            (BadReply, format!("{place} does not know `{command}`: it is too old, or a proxy that leaves it out"))
        }
        code => {
            let said = quoted(&format!("{code} {}", refusal.text));
            (BadReply, format!("{place} answers `{command}` on key `{key}` with `{said}`"))
        }
    };
    ReadError::new(kind, text)
}

/// Redis refuses whatever it is asked; `None` when it is about one command or key only.
#[must_use]
pub fn of_server(place: &Place, refusal: &Refusal) -> Option<ReadError> {
    let [user, password] = place.login_keys();
    let (kind, text) = match refusal.code.as_str() {
        "NOAUTH" => (Denied, format!("{place} wants a login: {}", give_login(&[user, password]))),
        "WRONGPASS" => (Denied, format!("{place} refuses the login: correct `{user}` and `{password}`")),
        "DENIED" => {
            (Denied, format!("{place} is in protected mode and refuses other machines: give it a password or a `bind`"))
        }
        "LOADING" => (Unreachable, format!("{place} is still loading its data: wait until it has")),
        "MASTERDOWN" => (Unreachable, format!("{place} is a replica cut off from its master: mend the replication")),
        "BUSY" => (Unreachable, format!("{place} is held up by a long script: end it with `SCRIPT KILL`")),
        "CLUSTERDOWN" => (Unreachable, format!("{place} says that its cluster is down: see `CLUSTER INFO`")),
        "TRYAGAIN" => (Unreachable, format!("{place} is moving a slot of its cluster: wait until it has")),
        "ERR" if refusal.text.starts_with("max number of clients") => {
            (Throttled, format!("{place} has no connection left: raise its `maxclients`, or close what is idle"))
        }
        _ => return None,
    };
    Some(ReadError::new(kind, text).of_connection())
}

/// Redis refuses the login, in words that must not be shown: they may repeat it.
#[must_use]
pub fn of_login(place: &Place, refusal: &Refusal) -> ReadError {
    of_server(place, refusal).unwrap_or_else(|| {
        let [user, password] = place.login_keys();
        let text = format!("{place} refuses the login: correct `{user}` and `{password}`");
        ReadError::new(Denied, text).of_connection()
    })
}

/// Redis refuses to enter `database`.
#[must_use]
pub fn of_select(place: &Place, database: i64, refusal: &Refusal) -> ReadError {
    of_server(place, refusal).unwrap_or_else(|| {
        let (kind, text) = if refusal.code == "NOPERM" {
            (Denied, format!("{place} denies `SELECT`: grant the user `+select`, or drop `databaseIndex`"))
        } else {
            (NotFound, format!("{place} has no database {database}: correct `databaseIndex` in the trigger"))
        };
        ReadError::new(kind, text).of_connection()
    })
}
