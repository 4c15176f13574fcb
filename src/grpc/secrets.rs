//! Says once that secrets cross the port in the clear.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

use crate::{
    metadata::{Metadata, is_secret_name},
    object::ObjectRef,
};

/// KEDA resolves a key of this ending from the workload's environment, and sends what it found.
const RESOLVED: &str = "FromEnv";

/// Looks at what comes in, until there is nothing more to be said.
#[derive(Debug)]
pub(super) struct Secrets {
    done: AtomicBool,
}

impl Secrets {
    /// Nothing is to be said where callers speak TLS.
    pub(super) fn new(encrypted: bool) -> Self {
        Self { done: AtomicBool::new(encrypted) }
    }

    /// `metadata` as it was, looked at.
    pub(super) fn look(&self, object: ObjectRef<&str>, metadata: Metadata) -> Metadata {
        if !self.done.load(Ordering::Relaxed)
            && let Some(key) = metadata.keys().find(|key| is_secret(key, metadata.get(key).unwrap_or_default()))
            && !self.done.swap(true, Ordering::Relaxed)
        {
            let ObjectRef { namespace, name } = object;
            warn!(
                namespace,
                name,
                key,
                "a secret came over the gRPC port in the clear: set `--tls-cert` and `--tls-key`, and `enableTLS` in triggers"
            );
        }
        metadata
    }
}

/// By the key's name, or by a login in a URL (RabbitMQ's `host`).
fn is_secret(key: &str, value: &str) -> bool {
    let Some(name) = key.strip_suffix(RESOLVED) else { return false };
    let login = value.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    is_secret_name(name) || login.is_some_and(|(login, _)| login.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_key_or_by_a_login_in_its_url() {
        for (key, value) in [
            ("passwordFromEnv", "x"),
            ("awsSecretAccessKeyFromEnv", "x"),
            ("bearerTokenFromEnv", "x"),
            ("hostFromEnv", "amqp://guest:guest@rabbit:5672/"),
        ] {
            assert!(is_secret(key, value), "{key}");
        }
        for (key, value) in
            [("addressFromEnv", "redis:6379"), ("hostFromEnv", "http://rabbit:15672"), ("password", "x")]
        {
            assert!(!is_secret(key, value), "{key}");
        }
    }
}
