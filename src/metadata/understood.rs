//! Metadata as it was understood, for people: each key with where its value is from, and no secret.
//!
//! What could be a secret is not shown: only what stands in the metadata or in a named connection by a harmless name is, and
//! no part of an address that could be a login.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Reader, is_secret_name,
    reader::{Found, Origin},
};
use crate::error::{clean_within, quoted};

/// What stands in place of a value that is not shown.
const HIDDEN: &str = "•••";
/// Bytes of a value that are shown.
const SHOWN: usize = 400;
/// Names that hold what may be a secret, besides those that sound like it.
const MAY_BE_SECRET: [&str; 12] = [
    "ca",
    "cert",
    "credentials",
    "customAuthValue",
    "customHeaders",
    "endpointParams",
    "awsExternalID",
    "externalID",
    "externalId",
    "awsExternalId",
    "oauthExtensions",
    "queryParameters",
];

/// Names that are not read for what a source is, and hide nothing.
const PLAIN: [&str; 8] = [
    "clusterTriggerAuthentication",
    "connection",
    "enableTLS",
    "idlePollingInterval",
    "scalerAddress",
    "triggerAuthentication",
    "triggerName",
    "unsafeSsl",
];

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Understood {
    /// Its name.
    pub key: String,
    /// What it says; `•••` in place of what is a secret or may be one.
    pub value: String,
    /// Where it is from: `metadata`, `environment of the workload`, ``connection `main` ``, or the object that a reference leads to.
    pub origin: String,
    /// Whether this kind of trigger has such a key.
    pub known: bool,
}

impl Reader<'_> {
    /// Everything that was found so far, and what stands in the metadata and was not asked for.
    #[must_use]
    pub fn understood(&self) -> Vec<Understood> {
        let mut understood: Vec<Understood> = self.trace().iter().map(Understood::of).collect();
        let metadata = self.metadata();
        let unread = metadata.keys().filter(|key| !self.trace().iter().any(|found| found.is_of(key)));
        understood.extend(unread.map(|key| {
            // A name that nobody knows says nothing about what it holds.
            let known = self.knows(key);
            let plain = metadata.get(key).filter(|_| PLAIN.contains(&key));
            let value = plain.map_or_else(|| HIDDEN.to_owned(), |text| clean_within(text.trim(), SHOWN).into_owned());
            Understood { key: quoted(key), value, origin: "metadata".to_owned(), known }
        }));
        understood.sort_by(|one, other| one.key.cmp(&other.key));
        understood
    }
}

impl Found<'_> {
    fn is_of(&self, key: &str) -> bool {
        match self.origin {
            Origin::Metadata => key == self.name,
            Origin::Environment => key.strip_suffix("FromEnv") == Some(self.name),
            Origin::Connection(_) | Origin::Reference(_) => false,
        }
    }
}

impl Understood {
    fn of(found: &Found<'_>) -> Self {
        let Found { name, text, origin, secret } = *found;
        let may_be_shown = matches!(origin, Origin::Metadata | Origin::Connection(_));
        let hidden = secret || !may_be_shown || is_secret_name(name) || MAY_BE_SECRET.contains(&name);
        Self {
            key: name.to_owned(),
            value: if hidden { HIDDEN.to_owned() } else { clean_within(&without_login(text), SHOWN).into_owned() },
            origin: match origin {
                Origin::Metadata => "metadata".to_owned(),
                Origin::Environment => "environment of the workload".to_owned(),
                Origin::Connection(connection) => format!("connection `{}`", quoted(connection)),
                Origin::Reference(origin) => clean_within(origin, SHOWN).into_owned(),
            },
            known: true,
        }
    }
}

/// `text` without what stands before an `@` or, in an address, after a `?`.
fn without_login(text: &str) -> String {
    let part = |part: &str| {
        let (scheme, rest) = part.split_once("://").map_or(("", part), |(scheme, rest)| (scheme, rest));
        let separator = if scheme.is_empty() { "" } else { "://" };
        let rest = match rest.rsplit_once('@') {
            // Without a scheme only what looks like a name and a password.
            Some((login, host)) if !scheme.is_empty() || login.contains(':') => format!("{HIDDEN}@{host}"),
            _ => rest.to_owned(),
        };
        match rest.split_once('?') {
            Some((before, _)) if !scheme.is_empty() => format!("{scheme}{separator}{before}?{HIDDEN}"),
            _ => format!("{scheme}{separator}{rest}"),
        }
    };
    text.split(',').map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metadata::{Login, Metadata, Order, Parameter, Parameters};

    #[test]
    fn each_key_says_where_its_value_is_from_and_no_secret_is_among_them() {
        let metadata: Metadata = [
            ("topic", "orders"),
            ("groupFromEnv", "s3cret-group"),
            ("password", "s3cret-own"),
            ("customHeaders", "X-Key=s3cret-header"),
            ("passwort", "s3cret-typo"),
            ("host", "amqp://guest:s3cret-url@rabbit:5672/?x=s3cret-query"),
            ("awsRoleArn", "unused"),
        ]
        .into_iter()
        .collect();
        let reference =
            Parameters::from_iter([("user", Parameter::new("s3cret-user", "Secret `shop/kafka`, key `u`"))]);
        let connection = Parameters::from_iter([
            ("servers", Parameter::new("kafka:9092", "the config")),
            ("token", Parameter::new("s3cret-token", "the config")),
        ]);
        let login =
            Login { connection: Some((Arc::from("main"), Arc::new(connection))), reference: Some(reference.into()) };
        let mut keys = Reader::new(&metadata).traced();
        keys.use_login(&login, &[(Order::ReferenceFirst, &["user", "servers", "token"])]);
        for key in ["topic", "group", "customHeaders", "host", "user", "servers", "token", "absent"] {
            keys.text(key);
        }
        keys.secret("password");
        keys.accept(&["awsRoleArn"]);
        let understood = keys.understood();
        let all = format!("{understood:?}");
        assert!(!all.contains("s3cret"), "{all}");
        let of = |key: &str| {
            let found = understood.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key} in {all}"));
            (found.value.as_str(), found.origin.as_str(), found.known)
        };
        assert_eq!(of("topic"), ("orders", "metadata", true));
        assert_eq!(of("group"), ("•••", "environment of the workload", true));
        assert_eq!(of("user"), ("•••", "Secret `shop/kafka`, key `u`", true));
        assert_eq!(of("servers"), ("kafka:9092", "connection `main`", true));
        assert_eq!(of("token"), ("•••", "connection `main`", true));
        assert_eq!(of("host"), ("amqp://•••@rabbit:5672/?•••", "metadata", true));
        assert_eq!(of("passwort"), ("•••", "metadata", false));
        assert_eq!(of("awsRoleArn"), ("•••", "metadata", true));
        assert_eq!(understood.len(), 10, "{all}");
    }

    #[test]
    fn logins_in_addresses_are_left_out() {
        for (text, shown) in [
            ("redis:6379", "redis:6379"),
            ("user:pw@redis:6379", "•••@redis:6379"),
            ("redis://:p@w@a:1,redis://b:2", "redis://•••@a:1,redis://b:2"),
            ("http://prom:9090/api?token=x", "http://prom:9090/api?•••"),
            ("sum(rate(x[5m])) or vector(0)", "sum(rate(x[5m])) or vector(0)"),
            ("a?b", "a?b"),
        ] {
            assert_eq!(without_login(text), shown);
        }
    }
}
