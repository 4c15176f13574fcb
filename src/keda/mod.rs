//! What KEDA itself has: its scalers and the keys of each, as of version 2.21, and what becomes of a built-in trigger's keys
//! when it is moved to this server.
//!
//! Not for: our own backends' keys, which their parsers know (`backend`).

mod moved;

use std::{collections::BTreeMap, sync::LazyLock};

pub use moved::{Change, Key, moved};

use crate::error::similar;

/// From where KEDA reads a key of a built-in trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// The trigger's metadata.
    pub metadata: bool,
    /// A variable of the workload that `…FromEnv` names.
    pub environment: bool,
    /// An `authenticationRef`.
    pub reference: bool,
    /// There must be one.
    pub required: bool,
}

/// The keys of one scaler.
pub type Keys = BTreeMap<&'static str, From>;

/// A line each: the type, and its keys with where they are read from.
const TABLE: &str = include_str!("scalers.txt");

/// Keys that KEDA's schema leaves out, since they are read elsewhere: by a part of the scaler type's name.
const BESIDE: [(&[&str], &str); 3] = [
    (
        &["aws-", "kafka", "prometheus"],
        "awsAccessKeyID:ea awsAccessKeyId:a awsSecretAccessKey:ea awsSessionToken:ea awsRoleArn:a awsEndpoint:m identityOwner:m",
    ),
    (&["gcp-", "prometheus"], "credentials:e credentialsFromEnvFile:m GoogleApplicationCredentials:a"),
    (
        &["azure-", "prometheus"],
        "cloud:m azureManagedPrometheusResourceURL:m activeDirectoryEndpoint:m endpointSuffix:m",
    ),
];

/// Keys that KEDA once read: in which scalers, since when not, and what to write now.
const GONE: [(&[&str], &str, &str, &str); 14] = [
    (&[], "metricName", "2.12", "take it away: KEDA makes the name itself"),
    (&["prometheus"], "cortexOrgID", "2.15", "write `customHeaders: X-Scope-OrgID=…`"),
    (&["cpu", "memory"], "type", "2.18", "write `metricType` beside `type` of the trigger, not in its metadata"),
    (
        &["cpu", "memory"],
        "targetAverageUtilization",
        "2.0",
        "write `value`, with `metricType: Utilization` in the trigger",
    ),
    (&["cpu", "memory"], "targetAverageValue", "2.0", "write `value`, with `metricType: AverageValue` in the trigger"),
    (&["kafka", "apache-kafka"], "brokerList", "2.0", "write `bootstrapServers`"),
    (&["kafka", "apache-kafka"], "authMode", "2.0", "write `sasl` and `tls`"),
    (&["rabbitmq"], "apiHost", "2.0", "write `host: http://…` with `protocol: http`"),
    (&["rabbitmq"], "includeUnacked", "2.0", "write `protocol: http`, which counts them"),
    (&["external", "external-push"], "tlsCertFile", "2.16", "give `caCert` by an `authenticationRef`"),
    (&["huawei-cloudeye"], "minMetricValue", "2.20", "write `activationTargetMetricValue`"),
    (&["gcp-pubsub"], "subscriptionSize", "2.20", "write `mode` and `value`"),
    (&["influxdb"], "authToken", "2.20", "give it by `authTokenFromEnv` or an `authenticationRef`"),
    (&["temporal"], "buildId", "2.21", "write `workerDeploymentName` and `workerDeploymentBuildId`"),
];

static SCALERS: LazyLock<BTreeMap<&'static str, Keys>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (scaler, keys) = line.split_once(' ')?;
            let mut keys: Keys = keys.split(' ').filter_map(key).collect();
            for (parts, beside) in BESIDE {
                if parts.iter().any(|part| scaler.contains(part)) {
                    for (name, from) in beside.split(' ').filter_map(key) {
                        keys.entry(name).or_insert(from);
                    }
                }
            }
            Some((scaler, keys))
        })
        .collect()
});

fn key(text: &'static str) -> Option<(&'static str, From)> {
    let (name, from) = text.split_once(':')?;
    let has = |c| from.contains(c);
    Some((name, From { metadata: has('m'), environment: has('e'), reference: has('a'), required: has('!') }))
}

/// The keys of the scaler `kind`; `None` where KEDA has none of that name.
#[must_use]
pub fn keys(kind: &str) -> Option<&'static Keys> {
    SCALERS.get(kind)
}

/// The scaler type that `kind` was probably meant to be.
#[must_use]
pub fn near_type(kind: &str) -> Option<&'static str> {
    let usual = [("sqs", "aws-sqs-queue"), ("aws-sqs", "aws-sqs-queue"), ("amqp", "rabbitmq"), ("rabbit", "rabbitmq")];
    let more =
        [("postgres", "postgresql"), ("valkey", "redis"), ("pubsub", "gcp-pubsub"), ("servicebus", "azure-servicebus")];
    let lower = kind.to_ascii_lowercase().replace('_', "-");
    let known = usual.into_iter().chain(more).find(|(name, _)| *name == lower).map(|(_, meant)| meant);
    known.or_else(|| similar(&lower, SCALERS.keys().copied()))
}

/// Since which version KEDA does not read `name` of scaler `kind` any more, and what to write now.
#[must_use]
pub fn gone(kind: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let known = keys(kind).is_some_and(|keys| keys.contains_key(name));
    let of = |kinds: &[&str]| kinds.is_empty() || kinds.contains(&kind);
    let (_, _, since, cure) = GONE.iter().find(|(kinds, gone, ..)| !known && *gone == name && of(kinds))?;
    Some((since, cure))
}

/// The key without its suffix, and whether it had one.
#[must_use]
pub fn base(name: &str) -> (&str, bool) {
    name.strip_suffix("FromEnv").map_or((name, false), |base| (base, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert!(SCALERS.len() > 70, "{}", SCALERS.len());
        let kafka = keys("kafka").unwrap();
        assert_eq!(kafka["topic"], From { metadata: true, environment: true, reference: false, required: false });
        assert_eq!(kafka["password"], From { metadata: false, environment: false, reference: true, required: false });
        assert!(keys("cron").unwrap()["start"].required);
        assert!(keys("aws-sqs-queue").unwrap().contains_key("awsAccessKeyID"));
        assert!(keys("nats").is_none());
    }

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        for (written, meant) in
            [("kafk", "kafka"), ("sqs", "aws-sqs-queue"), ("rabbitMQ", "rabbitmq"), ("redis_streams", "redis-streams")]
        {
            assert_eq!(near_type(written), Some(meant), "{written}");
        }
        assert_eq!(near_type("something-else-entirely"), None);
    }

    #[test]
    fn what_is_gone_is_gone_where_it_was_only() {
        assert!(gone("kafka", "metricName").is_some());
        assert!(gone("aws-cloudwatch", "metricName").is_none(), "there it is a key");
        assert!(gone("kafka", "cortexOrgID").is_none());
    }
}
