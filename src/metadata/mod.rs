//! Trigger metadata: the string map that KEDA sends, and KEDA's own grammar for reading it.
//!
//! Not for: what any key means. Backends ask a [`Reader`] for their keys by name; it applies one grammar for all.

mod parameters;
mod reader;
mod understood;
mod unknown;
mod values;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{
    error::{Problem, clean, quoted},
    limits,
};

pub use parameters::{Login, Order, Orders, Parameter, Parameters};
pub use reader::Reader;
pub use understood::Understood;
pub use unknown::Unknown;
pub use values::{Secret, boolean as parse_boolean, duration as parse_duration};

/// The metadata of one trigger as KEDA sends it.
///
/// Two maps are equal when they read the same source: the keys that KEDA itself uses for its channel to us
/// (`scalerAddress`, `enableTLS`, …) take no part. `Debug` shows keys only, since values may be secrets.
#[derive(Clone, Default)]
pub struct Metadata(BTreeMap<String, String>);

/// Keys that KEDA reads for its own gRPC channel, whatever they meant in a built-in trigger: no backend reads one, and none is
/// worth a warning. Who sends `enableTLS` speaks TLS to us; whether the broker was meant is for `check` to ask.
const CHANNEL_KEYS: [&str; 6] = ["caCert", "enableTLS", "scalerAddress", "tlsClientCert", "tlsClientKey", "unsafeSsl"];

/// Parts of the names of keys that hold secrets.
const SECRET_PARTS: [&str; 5] = ["password", "secret", "token", "key", "connection"];

/// Whether a key of this name holds a secret, as far as names tell.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

impl Metadata {
    /// Whether KEDA uses `key` for its channel to us, so that it says nothing about the source.
    #[must_use]
    pub fn is_channel_key(key: &str) -> bool {
        CHANNEL_KEYS.contains(&key)
    }

    /// The raw value, untrimmed.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// How long all keys and values are together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All keys with their raw values, in the keys' order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What is larger than anything that is meant, so that the rest need not be read.
    #[must_use]
    pub fn excess(&self) -> Option<Problem> {
        let problem = self.excessive().map(|(key, text)| Problem::new(key, &text));
        if problem.is_some() {
            limits::Limit::Request.crossed();
        }
        problem
    }

    fn excessive(&self) -> Option<(&str, String)> {
        if self.0.len() > limits::KEYS {
            let text = format!(
                "the trigger has {} keys, {} are read at most: remove what no scaler knows",
                self.0.len(),
                limits::KEYS
            );
            return Some(("metadata", text));
        }
        self.0.iter().find_map(|(key, value)| {
            let shown = quoted(key);
            if key.len() > limits::KEY || clean(key) != key.as_str() {
                let text =
                    format!("`{shown}` is no key: a key has {} bytes at most and no control characters", limits::KEY);
                return Some((key.as_str(), text));
            }
            (value.len() > limits::VALUE).then(|| {
                let text =
                    format!("`{shown}` has {} bytes, a value has {} at most: shorten it", value.len(), limits::VALUE);
                (key.as_str(), text)
            })
        })
    }

    fn identity(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().filter(|(key, _)| !Self::is_channel_key(key))
    }
}

impl From<BTreeMap<String, String>> for Metadata {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.identity().eq(other.identity())
    }
}

impl Eq for Metadata {}

impl Hash for Metadata {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for pair in self.identity() {
            pair.hash(state);
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
