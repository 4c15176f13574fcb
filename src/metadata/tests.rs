//! KEDA's value grammar and the reader's rules, as tables.

use std::time::Duration;

use super::{Metadata, Reader, values};

#[test]
fn integers_follow_json() {
    for (text, expected) in [
        ("10", Some(10)),
        ("0", Some(0)),
        ("-5", Some(-5)),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", None),
        ("10.0", None),
        ("+5", None),
        ("1e1", None),
        ("010", None),
        ("0x10", None),
        ("1_000", None),
        ("\"5\"", None),
        ("-", None),
        ("", None),
    ] {
        assert_eq!(values::int(text), expected, "{text:?}");
    }
}

#[test]
fn numbers_follow_json() {
    for (text, expected) in [
        ("100", Some(100.0)),
        ("100.5", Some(100.5)),
        ("-5", Some(-5.0)),
        ("0.001", Some(0.001)),
        ("1e3", Some(1000.0)),
        ("1E+3", Some(1000.0)),
        ("1.5e-1", Some(0.15)),
        ("1e999", None),
        ("1e", None),
        ("+5", None),
        (".5", None),
        ("5.", None),
        ("007", None),
        ("-01", None),
        ("0x10", None),
        ("NaN", None),
        ("Inf", None),
        ("1_000", None),
        ("\"5\"", None),
        ("null", None),
        ("100m", None),
    ] {
        assert_eq!(values::float(text), expected, "{text:?}");
    }
}

#[test]
fn maps_are_pairs_with_commas_and_a_value_may_hold_an_equals_sign() {
    let read = |text: &str| Some(values::map(text)?.into_iter().collect::<Vec<_>>());
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>())
    };
    for (text, expected) in [
        ("a=1, b = 2", pairs(&[("a", "1"), ("b", "2")])),
        ("a=1,a=2", pairs(&[("a", "2")])),
        ("a=", pairs(&[("a", "")])),
        ("=1", pairs(&[("", "1")])),
        ("a=YQ==", pairs(&[("a", "YQ==")])),
        ("a=1,", None),
        ("a=1,b", None),
        ("a", None),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn timeouts_are_milliseconds_or_go_syntax() {
    for (text, expected) in [
        ("1000", Some(Duration::from_secs(1))),
        ("1.5s", Some(Duration::from_millis(1500))),
        ("1m", Some(Duration::from_secs(60))),
        ("0", Some(Duration::ZERO)),
        ("1.5", None),
        ("-1", None),
        ("a", None),
    ] {
        assert_eq!(values::timeout(text), expected, "{text:?}");
    }
}

#[test]
fn booleans_follow_go() {
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(values::boolean(text), Some(true), "{text:?}");
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(values::boolean(text), Some(false), "{text:?}");
    }
    for text in ["yes", "on", "tRUE", "2", ""] {
        assert_eq!(values::boolean(text), None, "{text:?}");
    }
}

#[test]
fn durations_are_seconds_or_go_syntax() {
    for (text, expected) in [
        ("15", Some(Duration::from_secs(15))),
        ("500ms", Some(Duration::from_millis(500))),
        ("1m30s", Some(Duration::from_secs(90))),
        ("1.5s", Some(Duration::from_millis(1500))),
        ("0", Some(Duration::ZERO)),
        ("-1", None),
        ("1.5", None),
        ("5 s", None),
        ("5d", None),
        ("s", None),
        ("", None),
    ] {
        assert_eq!(values::duration(text), expected, "{text:?}");
    }
}

#[test]
fn lists_keep_empty_elements() {
    assert_eq!(values::list(" b1:9092 , b2:9092,"), ["b1:9092", "b2:9092", ""]);
}

#[test]
fn a_plain_key_comes_before_its_from_env_form_and_blank_is_absent() {
    let metadata: Metadata =
        [("a", " one "), ("aFromEnv", "two"), ("b", "  "), ("bFromEnv", "three")].into_iter().collect();
    let mut keys = Reader::new(&metadata);
    assert_eq!(keys.text("a"), Some("one"));
    assert_eq!(keys.text("b"), Some("three"));
    assert_eq!(keys.text("c"), None);
    assert_eq!(keys.finish(), Ok(()));
}

#[test]
fn every_problem_is_named_at_once_and_no_value_is_shown() {
    let metadata: Metadata = [("count", "s3cret"), ("mode", "s3cret"), ("on", "s3cret")].into_iter().collect();
    let mut keys = Reader::new(&metadata);
    keys.int("count", 1);
    keys.choice("mode", &[("fast", 1), ("slow", 2)], 1);
    keys.boolean("on", false);
    keys.required("missing");
    let error = keys.finish().expect_err("four problems");
    assert_eq!(error.problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["count", "mode", "on", "missing"]);
    let text = error.to_string();
    assert!(text.contains("`mode` must be one of `fast`, `slow`"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn a_missing_part_of_a_login_says_that_an_authentication_ref_is_not_passed_on() {
    let metadata: Metadata = [("usernameFromEnv", "resolved")].into_iter().collect();
    let mut keys = Reader::new(&metadata);
    assert_eq!(keys.required_login("username").expose(), "resolved");
    keys.required_login("password");
    let text = keys.finish().expect_err("no password").to_string();
    assert!(text.starts_with("`password` is required: KEDA does not pass `authenticationRef` on"), "{text}");
    assert!(text.contains("`passwordFromEnv`"), "{text}");
}

#[test]
fn an_unknown_key_gets_the_nearest_known_name() {
    let metadata: Metadata = [
        ("lagTreshold", "5"),
        ("scalerAddress", "x"),
        ("enableTLS", "true"),
        ("quiteOther", "1"),
        ("topicFromEnv", "t"),
    ]
    .into_iter()
    .collect();
    let mut keys = Reader::new(&metadata);
    keys.int("lagThreshold", 10);
    keys.text("topic");
    keys.warn("`topic` is odd");
    assert_eq!(
        keys.unknown_keys(),
        [
            "`topic` is odd",
            "`lagTreshold` is not a key of this scaler, did you mean `lagThreshold`?",
            "`quiteOther` is not a key of this scaler and is ignored"
        ]
    );
}

#[test]
fn metadata_is_equal_when_it_reads_the_same_source() {
    let base: Metadata = [("topic", "a"), ("scalerAddress", "one:6000")].into_iter().collect();
    let moved: Metadata = [("topic", "a"), ("scalerAddress", "two:6000"), ("enableTLS", "true")].into_iter().collect();
    let other: Metadata = [("topic", "b"), ("scalerAddress", "one:6000")].into_iter().collect();
    assert_eq!(base, moved);
    assert_ne!(base, other);
}

#[test]
fn debug_shows_keys_only() {
    let metadata: Metadata = [("password", "s3cret")].into_iter().collect();
    assert_eq!(format!("{metadata:?}"), r#"{"password"}"#);
}
