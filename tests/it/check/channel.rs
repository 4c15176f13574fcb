//! Keys of KEDA's own channel to this server, on every scaler type alike: the server warns of none, and `check` asks whether the
//! broker was meant where that can be.

use std::time::Duration;

use plimsoll::{backend::Registry, metadata::Metadata, net::Reach, trigger::Trigger};

use super::{codes, object};

type Keys = &'static [(&'static str, &'static str)];

/// For each scaler type the least that makes a trigger; whether it has a key `tls` for its broker.
const TYPES: [(&str, Keys, bool); 11] = [
    ("kafka", &[("bootstrapServers", "k:9092"), ("consumerGroup", "g"), ("topic", "t")], true),
    ("apache-kafka", &[("bootstrapServers", "k:9092"), ("consumerGroup", "g"), ("topic", "t")], true),
    ("rabbitmq", &[("host", "amqp://r:5672/"), ("queueName", "q"), ("mode", "QueueLength"), ("value", "5")], true),
    ("aws-sqs-queue", &[("queueURL", "q"), ("awsRegion", "eu-west-1"), ("identityOwner", "operator")], false),
    ("redis", &[("address", "r:6379"), ("listName", "l")], true),
    ("redis-cluster", &[("addresses", "r:6379"), ("listName", "l")], true),
    ("redis-sentinel", &[("addresses", "r:26379"), ("listName", "l"), ("sentinelMaster", "m")], true),
    ("redis-streams", &[("address", "r:6379"), ("stream", "s")], true),
    ("redis-cluster-streams", &[("addresses", "r:6379"), ("stream", "s")], true),
    ("redis-sentinel-streams", &[("addresses", "r:26379"), ("stream", "s"), ("sentinelMaster", "m")], true),
    ("prometheus", &[("serverAddress", "http://p:9090"), ("query", "up"), ("threshold", "1")], false),
];

const CHANNEL: [(&str, &str); 5] = [
    ("enableTLS", "true"),
    ("unsafeSsl", "true"),
    ("caCert", "PEM"),
    ("tlsClientCert", "PEM"),
    ("tlsClientKey", "PEM"),
];

fn warnings(scaler_type: &str, keys: &[(&str, &str)]) -> Vec<String> {
    let all = [("scalerType", scaler_type), ("scalerAddress", "plimsoll.keda.svc:6000")];
    let metadata: Metadata = all.iter().chain(keys).copied().collect();
    let trigger = Trigger::parse(&Registry::standard(), &metadata, &Reach::open(), Duration::from_secs(5));
    trigger.unwrap_or_else(|error| panic!("{scaler_type}: {error}")).warnings()
}

fn checked(scaler_type: &str, keys: &[(&str, &str)], beside: &str) -> Vec<&'static str> {
    let lines: String = keys.iter().map(|(key, value)| format!("      {key}: \"{value}\"\n")).collect();
    codes(&object(
        "",
        &format!(
            "  - type: external-push\n    metadata:\n      scalerAddress: plimsoll.keda.svc:6000\n      scalerType: {scaler_type}\n{lines}{beside}"
        ),
    ))
}

#[test]
fn the_server_warns_of_no_key_of_kedas_channel_on_any_backend() {
    let registry = Registry::standard();
    let all: Vec<&str> = registry.scaler_types().collect();
    assert!(all.iter().all(|known| TYPES.iter().any(|(scaler_type, ..)| scaler_type == known)), "{all:?}");
    for (scaler_type, keys, _) in TYPES {
        let plain = warnings(scaler_type, keys);
        assert_eq!(plain, [""; 0], "{scaler_type}");
        for more in [&CHANNEL[..], &CHANNEL[..1], &CHANNEL[1..2]] {
            assert_eq!(warnings(scaler_type, &[keys, more].concat()), plain, "{scaler_type} {more:?}");
        }
    }
}

#[test]
fn check_asks_whether_the_broker_was_meant_where_that_can_be() {
    let tls = ("enableTLS", "true");
    for (scaler_type, keys, has_tls) in TYPES {
        let with = |more: &[(&str, &str)], beside: &str| checked(scaler_type, &[keys, more].concat(), beside);
        let found: &[&str] = if has_tls { &["PL403"] } else { &[] };
        assert_eq!(with(&[], ""), [""; 0], "{scaler_type}");
        assert_eq!(with(&[tls], ""), found, "{scaler_type}");
        // Who says himself how the broker is asked has thought of it, and who gives KEDA a certificate means the channel.
        if has_tls && scaler_type != "rabbitmq" {
            assert_eq!(with(&[tls, ("tls", "disable")], ""), [""; 0], "{scaler_type}");
        }
        let reference = with(&[tls], "    authenticationRef: {name: channel}\n");
        assert_eq!(reference, ["PL303"], "{scaler_type}");
        // Without TLS it does nothing at all, for whomever it was meant.
        assert_eq!(with(&[("unsafeSsl", "true")], ""), ["PL403"], "{scaler_type}");
    }
}
