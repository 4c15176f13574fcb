//! Where the trigger says Redis is: KEDA's way from `address`, `host` and `port` to a list, and one entry of it.
//!
//! Not for: name resolution and dialling (`client/connect.rs`). KEDA looks at the form of an address only when it
//! dials, and so do we: a bad one is a failing read, not a bad trigger.

use std::{fmt, sync::Arc};

use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Reader,
};

/// The key that a missing or bad address is reported under.
const ADDRESS: &str = "address";

/// One place to dial.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// An address by its parts.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads `host:port`, `[v6]:port` or `:port`, which means this machine.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        let wrong = |what: &str| {
            let text = format!("redis address `{text}` {what}: correct `{ADDRESS}` in the trigger");
            ReadError::new(ReadErrorKind::Unreachable, text)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("has no port, write `host:port`"))?;
        let port = port.parse().map_err(|_| wrong("has a port that is not a number from 0 to 65535"))?;
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(host)) => host,
            Some(None) => return Err(wrong("has a bracket that does not close")),
            None if host.contains(':') => return Err(wrong("has several colons, write IPv6 as `[::1]:6379`")),
            None => host,
        };
        Ok(Self::new(if host.is_empty() { "localhost" } else { host }, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.host, &self.port.to_string()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the list of addresses: those of `address`, then the pairs of `host` and `port`.
///
/// As in KEDA a lone `host` or `port` means nothing, both lists must be of one length even beside `address`, and
/// only the first address must not be blank.
pub fn read(keys: &mut Reader<'_>) -> Vec<String> {
    let list = |text: Option<&str>| -> Vec<String> {
        text.map(|text| text.split(',').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    };
    let mut addresses = list(keys.first_of(&[ADDRESS, "addresses"]));
    let hosts = list(keys.first_of(&["host", "hosts"]));
    let ports = list(keys.first_of(&["port", "ports"]));
    if !hosts.is_empty() && !ports.is_empty() {
        if hosts.len() != ports.len() {
            keys.problem("hosts", "`hosts` and `ports` must be of the same number: each host needs its port");
            return addresses;
        }
        addresses.extend(hosts.iter().zip(&ports).map(|(host, port)| join(host, port)));
    }
    if addresses.first().is_none_or(String::is_empty) {
        keys.problem(ADDRESS, "`address` is required: give `host:port`, or `host` and `port`");
    }
    addresses
}

fn join(host: &str, port: &str) -> String {
    if host.contains([':', '%']) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("redis:6379", "redis", 6379),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[::1]:6379", "::1", 6379),
            (":7001", "localhost", 7001),
        ] {
            assert_eq!(Address::parse(text), Ok(Address::new(host, port)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_says_why() {
        for (text, why) in [
            ("justhost", "has no port"),
            ("h:redis", "not a number"),
            ("h:70000", "not a number"),
            ("::1:6379", "several colons"),
            ("[::1:6379", "does not close"),
        ] {
            let error = Address::parse(text).expect_err(text);
            assert!(error.to_string().contains(why), "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
