//! `host`: one URL that says where RabbitMQ is, as whom, and often on which vhost, in Go's reading of it, which is
//! KEDA's. Each part is decoded by itself, so that nothing is ever put back together from decoded text.
//!
//! Not for: what follows from it (`spec.rs`).

use percent_encoding::percent_decode_str;

use crate::metadata::Secret;

/// The key that holds it.
pub const HOST: &str = "host";

/// By which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1.
    Amqp,
    /// The management API.
    Http,
}

/// A URL in parts. `Debug` shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// In lower case.
    pub scheme: String,
    /// Decoded.
    pub username: Option<String>,
    /// Decoded.
    pub password: Option<Secret>,
    /// A name or an address, IPv6 without brackets; may be empty.
    pub host: String,
    /// As given.
    pub port: Option<u16>,
    /// As given, still encoded: empty or with a leading slash.
    pub path: String,
    /// Decoded names and values, in order.
    pub query: Vec<(String, String)>,
}

impl Address {
    /// Reads `text`. The error says what is wrong, without the text, for it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let whole = text;
        let text = text.split_once('#').map_or(text, |(before, _fragment)| before);
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
        if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return Err("has no scheme");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        // Of `//u:12/3@h` and `//u:1@2/3@h` parts of a password would be taken for a port, a host and a path, and shown.
        let after = whole.split_once("://").and_then(|(_, rest)| rest.split_once(['/', '?', '#']));
        if after.is_some_and(|(_, after)| after.contains('@')) {
            return Err(SPECIAL);
        }
        let (username, password) = user.map_or(Ok((None, None)), user_part)?;
        let (host, port) = host_and_port(place)?;
        if path.bytes().any(|b| b.is_ascii_control()) || decoded(path).is_none() {
            return Err("has a path that is not percent-encoded");
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            username,
            password,
            host,
            port,
            path: path.to_owned(),
            query: pairs(query).ok_or("has a query that is not percent-encoded")?,
        })
    }

    /// The protocol that its scheme stands for.
    pub fn protocol(&self) -> Option<Protocol> {
        match self.scheme.as_str() {
            "amqp" | "amqps" => Some(Protocol::Amqp),
            "http" | "https" => Some(Protocol::Http),
            _ => None,
        }
    }

    /// The path's segments, each decoded.
    pub fn segments(&self) -> Vec<String> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        path.split('/').map(|segment| decoded(segment).unwrap_or_default()).collect()
    }

    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `scheme://host:port`, for people and as the head of a URL.
    pub fn origin(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme),
            None => format!("{}://{host}", self.scheme),
        }
    }
}

const SPECIAL: &str = "has special characters in its user part: percent-encode them, or use `username` and `password`";

/// `None` for a `%` without two digits, or bytes that are no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        escape.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    }
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// Pairs of a query or form: `a=1&b=2`, with `+` for a blank.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let part = |part: &str| decoded(&part.replace('+', " "));
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((part(name)?, part(value)?))
        })
        .collect()
}

fn user_part(text: &str) -> Result<(Option<String>, Option<Secret>), &'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !text.bytes().all(legal) {
        return Err(SPECIAL);
    }
    let (username, password) = text.split_once(':').map_or((text, None), |(name, word)| (name, Some(word)));
    let username = decoded(username).ok_or(SPECIAL)?;
    let password = password.map(|word| decoded(word).map(Secret::new).ok_or(SPECIAL)).transpose()?;
    Ok((Some(username), password))
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("has a `[` without a `]`")?;
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| "has something else than IPv6 in brackets")?;
            (address.to_string(), port.strip_prefix(':'))
        }
        None => {
            let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (host.to_owned(), port)
        }
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~:".contains(&b) || !b.is_ascii();
    if !host.bytes().all(legal) || (host.contains(':') && !text.starts_with('[')) {
        return Err("has a host name with characters that no host name has");
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| "has a port that is not a number")?),
    };
    Ok((host, port))
}
