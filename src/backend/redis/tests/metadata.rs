//! What a trigger's metadata means beyond the vectors: our own keys, warnings, what is shared, what stays secret.

use std::time::Duration;

use crate::net::Reach;
use crate::{
    backend::{
        Backend,
        redis::{Redis, connection::Topology, spec::Spec},
    },
    error::SpecError,
    metadata::{Metadata, Reader},
};

fn read(scaler_type: &str, pairs: &[(&str, &str)]) -> (Result<Spec, SpecError>, Vec<String>) {
    let metadata: Metadata = pairs.iter().copied().collect();
    let mut keys = Reader::new(&metadata);
    let spec = Spec::read(scaler_type, &mut keys);
    (spec, keys.unknown_keys())
}

fn spec(scaler_type: &str, pairs: &[(&str, &str)]) -> Spec {
    read(scaler_type, pairs).0.expect("legal metadata")
}

const LIST: [(&str, &str); 2] = [("address", "h:6379"), ("listName", "l")];
const STREAM: [(&str, &str); 2] = [("address", "h:6379"), ("stream", "s")];

#[test]
fn tls_towards_redis_is_ours_and_not_the_channels() {
    let on = spec("redis", &[LIST[0], LIST[1], ("tls", "enable"), ("skipTlsVerify", "true"), ("enableTLS", "true")]);
    assert!(on.connection.tls.is_some_and(|tls| tls.skip_verify));
    let (off, warnings) = read("redis", &[LIST[0], LIST[1], ("enableTLS", "true"), ("unsafeSsl", "true")]);
    assert_eq!(off.expect("legal").connection.tls, None);
    assert_eq!(
        warnings,
        ["`enableTLS` is about KEDA's channel to this server: for TLS towards Redis set `tls: enable`"]
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (scaler_type, extra, warning) in [
        ("redis-cluster", ("databaseIndex", "3"), "`databaseIndex` has no effect in a Redis Cluster"),
        ("redis", ("username", "u"), "`username` has no effect without `password`"),
        ("redis", ("ca", "PEM"), "have no effect without `tls: enable`"),
        ("redis-sentinel", ("sentinelUsername", "u"), "`sentinelUsername` has no effect without `sentinelPassword`"),
        ("redis", ("listLenght", "4"), "did you mean `listLength`?"),
    ] {
        let (spec, warnings) = read(scaler_type, &[LIST[0], LIST[1], extra]);
        assert!(spec.is_ok(), "{spec:?}");
        assert!(warnings.iter().any(|text| text.contains(warning)), "{warnings:?}");
    }
    let (_, warnings) = read("redis-streams", &[STREAM[0], STREAM[1], ("lagCount", "4"), ("consumerGroup", " ")]);
    assert_eq!(warnings, ["`lagCount` has no effect without `consumerGroup`: the length of the stream is measured"]);
    let (_, warnings) = read("redis-sentinel", &LIST);
    assert_eq!(warnings, ["`sentinelMaster` is missing: without the master's name nothing can be read"]);
}

#[test]
fn only_the_target_of_the_chosen_mode_must_be_positive() {
    let with = |extra: &[(&str, &str)]| read("redis-streams", &[&STREAM, extra].concat()).0;
    assert!(with(&[("streamLength", "0"), ("consumerGroup", "g")]).is_ok());
    assert!(with(&[("streamLength", "0")]).is_err());
    assert!(with(&[("pendingEntriesCount", "-1"), ("consumerGroup", "g"), ("lagCount", "5")]).is_ok());
    assert!(with(&[("pendingEntriesCount", "-1"), ("consumerGroup", "g")]).is_err());
    let negative_lag = with(&[("consumerGroup", "g"), ("lagCount", "-5")]).expect_err("a negative target");
    assert_eq!(negative_lag.problems[0].key, "lagCount");
}

#[test]
fn a_lone_certificate_is_refused() {
    for key in ["cert", "Cert", "key"] {
        let (spec, _) = read("redis", &[LIST[0], LIST[1], ("tls", "enable"), (key, "PEM")]);
        assert!(spec.is_err(), "{key}");
    }
}

#[test]
fn the_idle_interval_has_a_floor() {
    assert_eq!(
        spec("redis", &[LIST[0], LIST[1], ("idlePollingInterval", "50ms")]).idle,
        Some(Duration::from_millis(50))
    );
    assert!(read("redis", &[LIST[0], LIST[1], ("idlePollingInterval", "1ms")]).0.is_err());
}

#[test]
fn triggers_share_a_connection_when_address_login_database_and_tls_are_the_same() {
    let id = |extra: &[(&str, &str)]| spec("redis", &[&LIST, extra].concat()).connection.id();
    assert_eq!(id(&[("listLength", "7")]), id(&[("activationListLength", "1"), ("username", "ignored")]));
    assert_eq!(id(&[]).label(), "redis://h:6379/0");
    for other in [
        [("databaseIndex", "1")].as_slice(),
        &[("password", "p")],
        &[("password", "p"), ("username", "u")],
        &[("password", "other")],
        &[("tls", "enable")],
        &[("tls", "enable"), ("skipTlsVerify", "true")],
    ] {
        assert_ne!(id(&[]), id(other), "{other:?}");
    }
}

#[test]
fn labels_name_the_place_and_no_secret() {
    let pairs = [
        ("addresses", "a:26379, b:26379"),
        ("listName", "l"),
        ("password", "s3cret"),
        ("sentinelMaster", "m"),
        ("sentinelPassword", "s3cret"),
        ("tls", "enable"),
        ("key", "s3cret"),
        ("cert", "s3cret"),
    ];
    let sentinel = spec("redis-sentinel", &pairs);
    assert_eq!(sentinel.connection.id().label(), "rediss+sentinel://a:26379,b:26379/m/0");
    assert!(!format!("{sentinel:?}").contains("s3cret"), "{sentinel:?}");
    assert!(matches!(sentinel.connection.topology, Topology::Sentinel { login: Some(_), .. }));
}

#[test]
fn parsing_connects_to_nothing_and_needs_no_runtime() {
    let metadata: Metadata = LIST.into_iter().collect();
    let backend = Redis::default();
    let source = backend.parse("redis", &mut Reader::new(&metadata), &Reach::open()).expect("legal");
    assert_eq!(backend.requests(), 0);
    assert_eq!(source.describe(), "length of `l`");
    assert_eq!(source.metric().name, "redis-l");
}
