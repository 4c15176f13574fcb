//! The rules, held against hosts and addresses in disguise.

use super::*;

fn places(texts: &[&str]) -> Vec<Place> {
    texts.iter().map(|text| text.parse().expect("a legal place")).collect()
}

#[track_caller]
fn check(reach: &Reach, host: &str, address: &str, expected: bool) {
    let found = reach.check_address(host, address.parse().expect("an address"));
    assert_eq!(found.is_ok(), expected, "{host} at {address}: {found:?}");
}

#[test]
fn metadata_services_are_out_of_reach_in_every_disguise() {
    let everything =
        Reach::new(Rules { allow: Some(places(&["0.0.0.0/0", "::/0"])), loopback: true, ..Rules::default() });
    for reach in [Reach::open(), everything] {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::169.254.169.254",
            "224.0.0.1",
            "ff02::1",
        ] {
            check(&reach, "innocent.example.com", address, false);
            assert!(reach.check_host(address).is_err(), "{address}");
        }
        check(&reach, "innocent.example.com", "10.0.0.1", true);
    }
}

#[test]
fn the_servers_own_loopback_is_out_of_reach_unless_allowed() {
    let closed = Reach::new(Rules::default());
    for (host, address) in [
        ("localhost", "127.0.0.1"),
        ("a.b", "127.9.9.9"),
        ("a.b", "::1"),
        ("a.b", "0.0.0.0"),
        ("a.b", "::"),
        ("a.b", "::ffff:127.0.0.1"),
        ("a.b", "64:ff9b::7f00:1"),
    ] {
        check(&closed, host, address, false);
        check(&Reach::open(), host, address, true);
    }
    for host in ["localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "[::1]"] {
        assert!(closed.check_host(host).is_err(), "{host}");
        assert!(Reach::open().check_host(host).is_ok(), "{host}");
    }
}

#[test]
fn allow_and_deny_go_by_name_before_resolution_and_by_address_after() {
    let rules = Rules {
        allow: Some(places(&["*.shop.svc", "kafka.example.com", "10.1.0.0/16"])),
        deny: places(&["secret.shop.svc", "10.1.9.0/24"]),
        ..Rules::default()
    };
    let reach = Reach::new(rules);
    for (host, before) in [
        ("a.shop.svc", true),
        ("A.Shop.SVC.", true),
        ("secret.shop.svc", false),
        ("10.1.2.3", true),
        ("10.2.0.1", false),
        ("10.1.9.1", false),
    ] {
        assert_eq!(reach.check_host(host).is_ok(), before, "{host}");
    }
    check(&reach, "a.shop.svc", "192.168.0.1", true);
    check(&reach, "shop.svc", "192.168.0.1", false);
    check(&reach, "evilshop.svc", "192.168.0.1", false);
    check(&reach, "other.example.com", "10.1.2.3", true);
    check(&reach, "other.example.com", "10.2.2.3", false);
    check(&reach, "a.shop.svc", "10.1.9.9", false);
}

#[test]
fn an_identity_is_shown_over_verified_tls_or_to_named_hosts() {
    let open = Reach::open();
    assert!(open.check_identity(Cloud::Google, "prometheus.example.com", true).is_ok());
    assert!(open.check_identity(Cloud::Google, "prometheus.example.com", false).is_err());
    let aws = Some(places(&["*.amazonaws.com", "localstack.dev.svc", "10.0.0.7"]));
    let named = Reach::new(Rules { identities: Identities { aws, ..Identities::default() }, ..Rules::default() });
    for (host, expected) in [
        ("sqs.eu-west-1.amazonaws.com", true),
        ("localstack.dev.svc", true),
        ("10.0.0.7", true),
        ("evil.example.com", false),
    ] {
        assert_eq!(named.check_identity(Cloud::Aws, host, false).is_ok(), expected, "{host}");
    }
    assert!(named.check_identity(Cloud::Azure, "x.azure.com", true).is_ok());
}

#[test]
fn a_place_is_a_host_a_domain_an_address_or_a_range() {
    for (text, shown) in [
        ("Kafka.Shop.svc.", "kafka.shop.svc"),
        ("*.a.b", "*.a.b"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("[::1]", "::1/128"),
    ] {
        assert_eq!(text.parse::<Place>().expect("legal").to_string(), shown);
    }
    for text in ["", "*", "*.", "a b", "http://a", "a:9092", "*.*.a"] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}
