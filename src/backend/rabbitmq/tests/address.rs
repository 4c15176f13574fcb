//! What a URL says, and which are none.

use super::super::address::Address;

#[test]
fn each_part_is_decoded_by_itself() {
    let address =
        Address::parse("AMQPS://us%40er:p%2Fa%3Ass@[2001:db8::1]:5673/a%2Fb/c%25?heartbeat=7&x=a+b#gone").unwrap();
    assert_eq!(address.scheme, "amqps");
    assert_eq!(address.username.as_deref(), Some("us@er"));
    assert_eq!(address.password.as_ref().map(|password| password.expose()), Some("p/a:ss"));
    assert_eq!((address.host.as_str(), address.port), ("2001:db8::1", Some(5673)));
    assert_eq!(address.segments(), ["a/b", "c%"]);
    assert_eq!(
        (address.parameter("heartbeat"), address.parameter("x"), address.parameter("y")),
        (Some("7"), Some("a b"), None)
    );
    assert_eq!(address.origin(), "amqps://[2001:db8::1]:5673");
    assert!(!format!("{address:?}").contains("p/a"), "{address:?}");
}

#[test]
fn what_is_no_url_is_refused_without_repeating_it() {
    for (text, wrong) in [
        ("myhost", "has no scheme"),
        ("://h", "has no scheme"),
        ("a b://h", "has no scheme"),
        ("amqp://h:x/", "has a port that is not a number"),
        ("amqp://h:70000/", "has a port that is not a number"),
        ("amqp://[::1/", "has a `[` without a `]`"),
        ("amqp://[h]/", "has something else than IPv6 in brackets"),
        ("amqp://a b/", "has a host name with characters that no host name has"),
        ("amqp://::1/", "has a host name with characters that no host name has"),
        ("amqp://h/%zz", "has a path that is not percent-encoded"),
        ("amqp://h/%2", "has a path that is not percent-encoded"),
        ("amqp://h/?a=%", "has a query that is not percent-encoded"),
        (
            "amqp://u:p^w@h/",
            "has special characters in its user part: percent-encode them, or use `username` and `password`",
        ),
    ] {
        assert_eq!(Address::parse(text), Err(wrong), "{text}");
    }
}

/// Whatever a password holds, no part of it is taken for something that is shown.
#[test]
fn no_part_of_a_password_becomes_a_host_a_port_or_a_path() {
    for text in [
        "amqp:/u:S3CRET@h",
        "amqp:u:S3CRET@h:5672",
        "u:S3CRET@h:5672",
        "amqp://u:S3CRET/@h/v",
        "amqp://u:1/S3CRET@h/v",
        "amqp://u:1@2/S3CRET@h/v",
        "amqp://u:1#S3CRET@h/v",
        "amqp://u:1?S3CRET@h/v",
        "amqp://u@x:1/S3CRET@h/v",
        "amqp://u:S3 CRET@h",
        "amqp://u:S3%CRET@h",
        "amqp://u:S3CRET@h h",
        "https://u:[S3CRET]@h/",
    ] {
        let wrong = Address::parse(text).expect_err(text);
        assert!(!wrong.contains("CRET"), "{text}: {wrong}");
    }
}
