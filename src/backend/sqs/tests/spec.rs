//! Keys and their meaning, queues and their names.

use std::time::Duration;

use super::{super::address::Address, metadata, spec};
use crate::net::Reach;
use crate::{
    backend::{Backend, sqs::Sqs},
    metadata::Reader,
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
    check("sqs.eu-west-1.amazonaws.com/1/orders", Some(("sqs.eu-west-1.amazonaws.com/1/orders", None)));
    check("https://sqs.eu-west-1.amazonaws.com/1/orders/", None);
    check("https://sqs.eu-west-1.amazonaws.com/1", None);
    check("https://sqs.eu-west-1.amazonaws.com", None);
    check("https://host/queue/eu-west-1/1/orders", None);
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
    check("awsEndpoint", "localhost:4566", "must be a URL");
    check("identityOwner", "workload", "one of `pod`, `operator`, `keda`");
    check("idlePollingInterval", "100ms", "at least `200ms`");
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
