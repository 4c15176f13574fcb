//! Where the trigger says Redis is: KEDA's way from `address`, `host` and `port` to a list, and one entry of it.
//!
//! Not for: what is in a URL (`url.rs`), name resolution and dialling (`net`). KEDA looks at the form of an address only when it
//! dials, and so do we: a bad one is a failing read, not a bad trigger.

use std::{fmt, sync::Arc};

use super::url::{self, Extras};
use crate::{
    error::{ReadError, ReadErrorKind},
    metadata::Reader,
    net::Reach,
};

/// The key that a missing or bad address is reported under.
const ADDRESS: &str = "address";
/// Where Redis listens if nobody says otherwise.
const DEFAULT_PORT: u16 = 6379;
/// The longest name of DNS, with a port.
const LONGEST: usize = 260;

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

/// What the trigger says of where Redis is.
#[derive(Debug, Default)]
pub struct Given {
    /// As `host:port`; those that are blank stand for nothing.
    pub addresses: Vec<String>,
    /// The key that they are in.
    pub key: &'static str,
    /// What the URLs among them say beside that.
    pub extras: Extras,
}

/// Reads the list of addresses: those of `address`, then the pairs of `host` and `port`.
///
/// As in KEDA a lone `host` or `port` means nothing, both lists must be of one length even beside `address`, and
/// only the first address must not be blank. Each may be a URL; a URL needs no `port`.
pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Given {
    let list = |text: Option<&str>| text.map(url::split).unwrap_or_default();
    let addresses = list(keys.first_of(&[ADDRESS, "addresses"]));
    let hosts = list(keys.first_of(&["host", "hosts"]));
    let ports = list(keys.first_of(&["port", "ports"]));
    let key = if addresses.is_empty() && !hosts.is_empty() { "host" } else { ADDRESS };
    let mut given = Given { key, ..Given::default() };
    for address in addresses {
        given.add(keys, reach, (ADDRESS, &address), None);
    }
    let bring_ports = ports.is_empty() && hosts.iter().all(|host| host.contains("://"));
    if bring_ports || !hosts.is_empty() && hosts.len() == ports.len() {
        let ports = ports.iter().map(|port| Some(&**port)).chain(std::iter::repeat(None));
        for (host, port) in hosts.iter().zip(ports) {
            given.add(keys, reach, ("host", host), port);
        }
    } else if !hosts.is_empty() && !ports.is_empty() {
        keys.problem("hosts", "`hosts` and `ports` must be of the same number: each host needs its port");
        return given;
    }
    if given.addresses.first().is_none_or(String::is_empty) && !keys.has_problem(given.key) {
        keys.problem(ADDRESS, "`address` is required: give `host:port`, or `host` and `port`");
    }
    if given.extras.ignored {
        keys.warn(format!("`{key}` is a URL with parameters, which have no effect: see the keys of this scaler"));
    }
    given
}

impl Given {
    /// Adds one entry of a list; `port` is its partner in the other list.
    fn add(&mut self, keys: &mut Reader<'_>, reach: &Reach, (key, text): (&'static str, &str), port: Option<&str>) {
        let place = match url::parse(text) {
            Ok(None) => port.map_or_else(|| text.to_owned(), |port| join(text, port)),
            Ok(Some(url)) => match (url.port, port) {
                (Some(own), Some(port)) if port.parse() != Ok(own) => {
                    keys.problem("port", format!("`port` is another than that of the URL in `{key}`: keep one"));
                    return;
                }
                (own, port) => {
                    if !self.extras.merge(url.extras) {
                        keys.problem(key, format!("`{key}` has URLs that differ in scheme, login or database"));
                    }
                    let own = own.unwrap_or(DEFAULT_PORT).to_string();
                    let host = &url.host;
                    let bracketed = host.starts_with('[');
                    let port = port.unwrap_or(&own);
                    if bracketed { format!("{host}:{port}") } else { join(host, port) }
                }
            },
            Err(why) => {
                keys.problem(key, format!("`{key}` {why}"));
                return;
            }
        };
        // What is no host and port is not shown anywhere: it may be a login, misspelt.
        if !place.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c)) || place.len() > LONGEST {
            keys.problem(
                key,
                format!("`{key}` must be `host:port`, or a URL such as `rediss://user:password@host:6379`"),
            );
            return;
        }
        if let Ok(address) = Address::parse(&place)
            && let Err(refusal) = reach.check_host(&address.host)
        {
            keys.problem(key, format!("`{key}`: {refusal}"));
        }
        self.addresses.push(place);
    }
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
