//! What becomes of each key of a built-in trigger that is moved to this server.
//!
//! KEDA reads some keys for its own channel to an external scaler that meant the broker before, so these get another name,
//! or go where KEDA never read them.

use super::keys;
use crate::metadata::parse_boolean;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It keeps its name and its meaning.
    Keep,
    /// It has another name here, and maybe another value.
    Rename {
        /// The new name.
        to: &'static str,
        /// The new value; `None` for the old one.
        value: Option<&'static str>,
        /// Why.
        why: &'static str,
    },
    /// KEDA did not read it before, and would now read it for its channel to us.
    Drop(&'static str),
    /// It was not read before, and is now.
    Awakened,
}

/// A key of a built-in trigger.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    /// Its name.
    pub name: &'k str,
    /// Its value, as written.
    pub value: &'k str,
    /// Whether a backend of ours reads it.
    pub ours: bool,
}

const CHANNEL: &str = "KEDA takes it for its own channel to an external scaler";

/// What becomes of `key` of a trigger of KEDA's scaler `kind`.
#[must_use]
pub fn moved(kind: &str, key: Key<'_>) -> Change {
    let known = keys(kind);
    let from = known.and_then(|keys| keys.get(key.name));
    let read = from.is_some_and(|from| from.metadata);
    match key.name {
        "enableTLS" if read => match parse_boolean(key.value.trim()) {
            Some(on) => Change::Rename { to: "tls", value: Some(if on { "enable" } else { "disable" }), why: CHANNEL },
            // KEDA refuses it too; the parser says so.
            None => Change::Rename { to: "tls", value: None, why: CHANNEL },
        },
        "unsafeSsl" if read => Change::Rename { to: "skipTlsVerify", value: None, why: CHANNEL },
        "enableTLS" | "unsafeSsl" => Change::Drop(CHANNEL),
        _ if read || !key.ours => Change::Keep,
        name => {
            let (base, from_environment) = super::base(name);
            let from = known.and_then(|keys| keys.get(base));
            if from_environment && from.is_some_and(|from| from.environment) { Change::Keep } else { Change::Awakened }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, name: &str, value: &str, expected: Change) {
        assert_eq!(moved(kind, Key { name, value, ours: true }), expected, "{kind} {name}");
    }

    #[test]
    fn what_keda_takes_for_itself_gets_another_name_or_goes() {
        check("redis", "enableTLS", "true", Change::Rename { to: "tls", value: Some("enable"), why: CHANNEL });
        check("redis-streams", "enableTLS", "F", Change::Rename { to: "tls", value: Some("disable"), why: CHANNEL });
        check("kafka", "enableTLS", "true", Change::Drop(CHANNEL));
        check("kafka", "unsafeSsl", "true", Change::Rename { to: "skipTlsVerify", value: None, why: CHANNEL });
        check("apache-kafka", "unsafeSsl", "true", Change::Drop(CHANNEL));
        check("kafka", "topic", "orders", Change::Keep);
        check("kafka", "topicFromEnv", "TOPIC", Change::Keep);
        check("kafka", "password", "x", Change::Awakened);
        check("kafka", "passwordFromEnv", "PASSWORD", Change::Awakened);
        check("redis", "passwordFromEnv", "PASSWORD", Change::Keep);
        check("aws-sqs-queue", "awsAccessKeyIDFromEnv", "KEY", Change::Keep);
        check("kafka", "pollingInterval", "15", Change::Awakened);
    }
}
