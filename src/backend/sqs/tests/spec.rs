//! Keys and their meaning, queues and their names.

use std::time::Duration;

use super::{super::address::Address, metadata, spec};
use crate::{
    backend::{Backend, sqs::Sqs},
    metadata::Reader,
    net::{Identities, Reach, Rules},
};

#[test]
fn a_queue_is_a_url_or_a_bare_name() {
    #[track_caller]
    fn check(given: &str, expected: Option<(&str, Option<&str>)>) {
        let parsed = Address::parse(given);
        let found = parsed.as_ref().map(|address| (address.name.as_str(), address.account.as_deref()));
        assert_eq!(found, expected, "{given}");
    }
    check("https://sqs.eu-west-1.amazonaws.com/1/orders", Some(("orders", Some("1"))));
    check("http://localhost:9324/000000000000/orders.fifo?x=1", Some(("orders.fifo", Some("000000000000"))));
    check("/1/orders", Some(("orders", Some("1"))));
    check("orders", Some(("orders", None)));
    check("sqs.eu-west-1.amazonaws.com/1/orders", None);
    check("https://sqs.eu-west-1.amazonaws.com/1/orders/", None);
    check("https://sqs.eu-west-1.amazonaws.com/1", None);
    check("https://sqs.eu-west-1.amazonaws.com", None);
    check("arn:aws:sqs:eu-west-1:1:orders", None);
    check("/", None);
}

#[test]
fn the_region_of_a_url_is_known_on_aws_only() {
    #[track_caller]
    fn check(given: &str, region: Option<&str>) {
        assert_eq!(Address::parse(given).expect("a queue").region(), region, "{given}");
    }
    check("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1"));
    check("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1"));
    check("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1"));
    check("https://eu-west-1.queue.amazonaws.com/1/q", Some("eu-west-1"));
    check("http://localhost:4566/000000000000/q", None);
    check("q", None);
}

#[test]
fn a_region_that_is_not_the_urls_is_a_warning_with_both_names() {
    let warnings = |more: &[(&str, &str)]| {
        let metadata = metadata(more);
        let mut keys = Reader::new(&metadata);
        Sqs::default().parse("aws-sqs-queue", &mut keys, &Reach::open()).expect("a legal trigger");
        keys.unknown_keys()
    };
    assert_eq!(warnings(&[]), Vec::<String>::new());
    let one = warnings(&[("awsRegion", "us-east-1")]);
    assert_eq!(one, ["`queueURL` is of region `eu-west-1`, `awsRegion` is `us-east-1`: make them equal"]);
    let elsewhere = [("awsRegion", "us-east-1"), ("awsEndpoint", "http://localhost:4566")];
    assert_eq!(warnings(&elsewhere), Vec::<String>::new());
}

#[test]
fn bad_values_are_named_with_what_would_be_right() {
    #[track_caller]
    fn check(key: &str, value: &str, text: &str) {
        let error = spec(&[(key, value)]).expect_err("a problem");
        assert_eq!((error.problems.len(), error.problems[0].key.as_str()), (1, key), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    check("queueURL", "https://h/q", "ends in `/<account>/<queue>`");
    check("queueLength", "0", "greater than 0");
    check("queueLength", "1e1", "whole number");
    check("activationQueueLength", "a", "whole number");
    check("scaleOnInFlight", "no", "`true` or `false`");
    check("awsRegion", "N. Virginia", "must be the code of a region, such as `eu-west-1`");
    check("awsRegion", "eu-west-1.evil.example/", "must be the code of a region");
    check("awsEndpoint", "localhost:4566", "must be a URL");
    check("identityOwner", "workload", "one of `pod`, `operator`, `keda`");
    check("idlePollingInterval", "100ms", "at least `200ms`");
}

#[test]
fn queues_of_localstack_and_elasticmq_are_addressed_in_all_their_ways() {
    for (url, account, region) in [
        ("http://localhost:4566/queue/eu-west-3/000000000000/orders", "000000000000", Some("eu-west-3")),
        ("http://sqs.eu-west-3.localhost.localstack.cloud:4566/000000000000/orders", "000000000000", Some("eu-west-3")),
        ("http://eu-west-3.queue.localhost.localstack.cloud:4566/1/orders", "1", Some("eu-west-3")),
        ("http://localhost:4566/000000000000/orders", "000000000000", None),
        ("http://elasticmq:9324/queue/orders", "queue", None),
    ] {
        let address = Address::parse(url).expect(url);
        assert_eq!((address.name.as_str(), address.account.as_deref()), ("orders", Some(account)), "{url}");
        assert_eq!(address.region(), region, "{url}");
        assert!(address.elsewhere().is_some(), "{url}");
    }
    for url in ["http://h/queue/eu-west-3/orders", "http://h/q/eu-west-3/1/orders", "http://h/queue/r/1/orders/x"] {
        assert!(Address::parse(url).is_none(), "{url}");
    }
    let aws = "https://sqs.cn-north-1.amazonaws.com.cn/1/orders";
    assert_eq!(Address::parse(aws).expect("a queue").elsewhere(), None);
}

#[test]
fn a_name_that_no_queue_can_have_is_refused_and_not_shown() {
    for given in ["hunter2@host", "user:hunter2@host/1/q", "a b", &"x".repeat(300), "http://u:hunter2@h/1/a%20b"] {
        let error = spec(&[("queueURL", given)]).expect_err(given);
        assert_eq!(error.problems[0].key, "queueURL");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn the_servers_own_identity_goes_to_sqs_or_where_the_policy_names_the_host() {
    let read = |more: &[(&str, &str)], reach: &Reach| {
        let keys = [("awsAccessKeyID", ""), ("awsSecretAccessKey", "")];
        let metadata = metadata(&[&keys, more].concat());
        super::super::Spec::read(&mut Reader::new(&metadata), reach).map(|_| ())
    };
    let named = |host: &str| {
        let identities = Identities { aws: Some(vec![host.parse().expect("a place")]), ..Identities::default() };
        Reach::new(Rules { identities, ..Rules::default() })
    };
    let (plain, secure) = (("awsEndpoint", "http://localstack:4566"), ("awsEndpoint", "https://evil.example"));
    for own in [("identityOwner", "operator"), ("awsRoleArn", "arn:aws:iam::1:role/r")] {
        read(&[own], &Reach::open()).expect("SQS itself");
        read(&[own, secure], &Reach::open()).expect("verified TLS");
        let error = read(&[own, plain], &Reach::open()).expect_err("in the open");
        assert_eq!(error.problems[0].key, "awsEndpoint", "{error}");
        read(&[own, plain], &named("localstack")).expect("named");
        read(&[own], &named("*.amazonaws.com")).expect("named");
        let error = read(&[own, secure], &named("*.amazonaws.com")).expect_err("not named");
        assert!(error.to_string().contains("`identities.aws` does not name it"), "{error}");
        assert_eq!(read(&[own], &named("localstack")).expect_err("not named").problems[0].key, "awsRegion");
    }
    let keys = [("awsAccessKeyID", "k"), ("awsSecretAccessKey", "s"), plain];
    assert!(super::super::Spec::read(&mut Reader::new(&metadata(&keys)), &named("localhost")).is_ok());
}

#[test]
fn an_endpoint_beyond_reach_is_a_problem_of_its_key() {
    for endpoint in ["http://169.254.169.254", "http://localhost:4566", "http://[::1]:1", "http://u:hunter2@127.1/"] {
        let metadata = metadata(&[("awsEndpoint", endpoint)]);
        let error = super::super::Spec::read(&mut Reader::new(&metadata), &Reach::new(Rules::default()));
        let error = error.map(|_| ()).expect_err(endpoint);
        assert_eq!(error.problems[0].key, "awsEndpoint", "{error}");
        assert!(error.to_string().contains("may not be reached") && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn an_idle_queue_is_looked_at_each_five_seconds_unless_said_otherwise() {
    assert_eq!(spec(&[]).expect("legal").idle_every, Duration::from_secs(5));
    assert_eq!(spec(&[("idlePollingInterval", "1s")]).expect("legal").idle_every, Duration::from_secs(1));
}

#[test]
fn nothing_secret_shows() {
    let login = [("awsSessionToken", "hunter2"), ("awsEndpoint", "http://user:hunter2@localhost:9324")];
    let metadata = metadata(&login);
    let source = Sqs::default().parse("aws-sqs-queue", &mut Reader::new(&metadata), &Reach::open()).expect("legal");
    let shown = format!("{source:?} {} {}", source.describe(), source.connection().label());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(source.connection().label(), "sqs://localhost:9324 as access key `AKIATEST`");
    assert_eq!(source.describe(), "visible and in-flight messages of queue `orders`");
}
