//! What a trigger's metadata means beyond the vectors: our own keys, warnings, what is shared, what stays secret.

use std::time::Duration;

use crate::{
    backend::{
        Backend,
        redis::{Redis, connection::Topology, spec::Spec},
    },
    error::SpecError,
    metadata::{Metadata, Reader},
    net::{Reach, Rules},
};

fn read(scaler_type: &str, pairs: &[(&str, &str)]) -> (Result<Spec, SpecError>, Vec<String>) {
    let metadata: Metadata = pairs.iter().copied().collect();
    let mut keys = Reader::new(&metadata);
    let spec = Spec::read(scaler_type, &mut keys, &Reach::open());
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
    let off = spec("redis", &[LIST[0], LIST[1], ("enableTLS", "true"), ("unsafeSsl", "true")]);
    assert_eq!(off.connection.tls, None);
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
fn a_url_says_what_it_says_and_shows_nothing() {
    let plain = [("listName", "l"), ("tls", "enable"), ("username", "u"), ("password", "PW"), ("databaseIndex", "2")];
    let expected = spec("redis", &[&[("address", "h:6379")], plain.as_slice()].concat());
    for pairs in [
        [("address", "rediss://u:PW@h:6379/2")].as_slice(),
        &[("addressFromEnv", "rediss://u:PW@h/2")],
        &[("addresses", "rediss://u:PW@h:6379?db=2")],
        &[("host", "rediss://u:PW@h"), ("port", "6379"), ("databaseIndex", "2")],
        &[("host", "rediss://u:PW@h:6379/2")],
        &[("address", "rediss://u@h:6379/2"), ("password", "PW")],
    ] {
        let (url, warnings) = read("redis", &[&LIST[1..], pairs].concat());
        let url = url.unwrap_or_else(|error| panic!("{pairs:?}: {error}"));
        assert_eq!(url, expected, "{pairs:?}");
        assert!(warnings[0].contains("is a URL") && warnings[0].contains("`username`"), "{warnings:?}");
        let shown = format!("{url:?} {} {warnings:?}", url.connection.id().label());
        assert!(!shown.contains("PW"), "{shown}");
    }
    let sentinels = [("addresses", "redis://:PW@a:1,redis://:PW@b:1"), ("listName", "l"), ("sentinelMaster", "m")];
    let connection = spec("redis-sentinel", &sentinels).connection;
    assert_eq!(connection.addresses, ["a:1", "b:1"]);
    assert_eq!(connection.login.expect("a login").password.expose(), "PW");
}

#[test]
fn a_url_that_cannot_be_followed_or_is_contradicted_is_refused_unseen() {
    for (pairs, key) in [
        ([("address", "http://u:PW@h:6379")].as_slice(), "address"),
        (&[("address", "unix:///PW/redis.sock")], "address"),
        (&[("address", "redis://u:PW@h:PW")], "address"),
        (&[("address", "redis://u:PW@h:1/PW")], "address"),
        (&[("address", "h:6379 PW")], "address"),
        (&[("host", "http://u:PW@h"), ("port", "6379")], "host"),
        (&[("host", "redis://u:PW@h:1"), ("port", "2")], "port"),
        (&[("addresses", "redis://u:PW@h:1,redis://u:PWX@g:1")], "address"),
        (&[("address", "redis://u:PW@h:1"), ("tls", "enable")], "tls"),
        (&[("address", "rediss://u:PW@h:1"), ("tls", "disable")], "tls"),
        (&[("address", "redis://u:PW@h:1"), ("username", "PW")], "username"),
        (&[("address", "redis://u:PW@h:1"), ("password", "PWX")], "password"),
        (&[("address", "redis://u:PW@h:1/1"), ("databaseIndex", "2")], "databaseIndex"),
    ] {
        let (spec, warnings) = read("redis", &[&LIST[1..], pairs].concat());
        let error = spec.expect_err("refused");
        assert!(error.problems.iter().any(|problem| problem.key == key), "{pairs:?}: {error}");
        assert!(!format!("{error} {warnings:?}").contains("PW"), "{pairs:?}: {error} {warnings:?}");
    }
}

#[test]
fn a_place_that_the_policy_forbids_is_a_problem_of_its_key() {
    let reach = Reach::new(Rules { deny: vec!["10.0.0.0/8".parse().expect("a range")], ..Rules::default() });
    for (pairs, key) in [
        ([("address", "10.1.1.1:6379")].as_slice(), "address"),
        (&[("address", "rediss://u:p@10.1.1.1:6379")], "address"),
        (&[("addresses", "h:1,169.254.169.254:80")], "address"),
        (&[("address", ":6379")], "address"),
        (&[("host", "localhost"), ("port", "6379")], "host"),
        (&[("host", "[::ffff:10.0.0.1]"), ("port", "6379")], "host"),
    ] {
        let metadata: Metadata = LIST[1..].iter().chain(pairs).copied().collect();
        for scaler_type in ["redis", "redis-cluster", "redis-sentinel"] {
            let error = Spec::read(scaler_type, &mut Reader::new(&metadata), &reach).expect_err("forbidden");
            assert_eq!(error.problems[0].key, key, "{pairs:?}");
            assert!(error.to_string().contains("may not be reached"), "{error}");
        }
    }
    let open = spec("redis", &LIST).connection.id();
    let metadata: Metadata = LIST.into_iter().collect();
    let closed = Spec::read("redis", &mut Reader::new(&metadata), &reach).expect("allowed").connection.id();
    assert_ne!(open, closed, "who may reach less must not share the connection of who may reach more");
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
