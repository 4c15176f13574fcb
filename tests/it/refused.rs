//! A trigger that cannot be followed: KEDA must hear why, where it shows it, and nobody else must notice.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use plimsoll::{
    backend::Registry,
    metadata::Metadata,
    net::Reach,
    trigger::{Trigger, metric_of_refused},
};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::{emulator::Keda, grpc::Pipe, scripted::Act};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_hpa_is_made_and_every_value_says_what_is_wrong() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    for (pairs, metric, target, says) in [
        // Its own name and target can be read.
        (&[("queue", "a"), ("threshold", "7"), ("activation", "x")][..], "scripted-a", 7.0, "`activation` must be"),
        (&[("queue", "a"), ("pollingInterval", "1ms")], "scripted-a", 10.0, "`pollingInterval` must be at least"),
        // They cannot.
        (&[("threshold", "7")], "plimsoll-scripted", 1.0, "`queue` is required"),
        (&[("queue", "a"), ("threshold", "0")], "plimsoll-scripted", 1.0, "`threshold` must be greater than 0"),
        (&[("scalerType", "Kafka/2"), ("queue", "a")], "plimsoll-kafka-2", 1.0, "`scalerType` is not one"),
        (&[("scalerType", " "), ("queue", "a")], "plimsoll-unknown", 1.0, "`scalerType` is required"),
    ] {
        let metadata = [&[("scalerType", "scripted")], pairs].concat();
        let mut keda = Keda::new(channel.clone(), "orders", &metadata);
        let spec = keda.spec().await.unwrap();
        assert_eq!((spec.metric_name.as_str(), spec.target_size_float), (metric, target), "{pairs:?}");
        assert!(spec.target_size >= 1);
        let answers = [
            keda.poll().await.unwrap_err(),
            keda.hpa().await.unwrap_err(),
            keda.value("another-name", None).await.unwrap_err(),
            keda.active().await.unwrap_err(),
        ];
        for status in answers {
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(says), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_stays_when_the_trigger_is_mended() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    let wrong = [("scalerType", "scripted"), ("queue", "a"), ("activation", "none")];
    let before = Keda::new(channel.clone(), "orders", &wrong).spec().await.unwrap();
    let mended = [("scalerType", "scripted"), ("queue", "a"), ("activation", "1")];
    let mut keda = Keda::new(channel, "orders", &mended);
    assert_eq!(keda.spec().await.unwrap(), before);
    pipe.world.queue("a").set(Act::Value(3.0));
    assert_eq!(keda.poll().await.unwrap().value.metric_value, 3);
}

#[tokio::test(start_paused = true)]
async fn its_stream_stays_open_and_silent_and_ends_with_ok() {
    let pipe = Pipe::new().await;
    let mut keda = Keda::new(pipe.channel().await, "orders", &[("scalerType", "scripted")]);
    let mut stream = keda.stream().await.unwrap();
    assert!(timeout(600 * SECOND, stream.next()).await.is_err(), "KEDA takes an error for an outage");
    pipe.drain.end_streams();
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_is_one_row_of_the_page_until_nobody_asks() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    for name in ["orders", "mails"] {
        let mut keda = Keda::new(channel.clone(), name, &[("scalerType", "scripted"), ("password", "s3cret")]);
        for _ in 0..3 {
            keda.poll().await.unwrap_err();
        }
    }
    let rows = pipe.sampler.triggers();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let error = rows[0].error.as_ref().unwrap();
    assert_eq!((rows[0].state.as_str(), error.kind, rows[0].value), ("refused", "refused", None));
    assert!(error.message.starts_with("`queue` is required"), "{}", error.message);
    assert_eq!(rows[0].scaled_objects, ["shop/mails", "shop/orders"]);
    sleep(601 * SECOND).await;
    assert!(pipe.sampler.triggers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn thousands_of_wrong_triggers_are_answered_and_not_kept() {
    let pipe = Pipe::new().await;
    let mut good = Keda::new(pipe.channel().await, "good", &[("scalerType", "scripted"), ("queue", "a")]);
    good.poll().await.unwrap();
    let channel = pipe.channel().await;
    for n in 0..3000 {
        let number = n.to_string();
        let mut keda = Keda::new(channel.clone(), "bad", &[("scalerType", "scripted"), ("n", &number)]);
        assert_eq!(keda.active().await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(pipe.sampler.triggers().len(), 1001, "bounded");
    good.poll().await.unwrap();
}

/// What each backend needs to name a metric, and something that is wrong with it.
#[test]
fn each_backend_names_what_it_can_of_a_wrong_trigger() {
    let registry = Registry::standard();
    let metric = |pairs: &[(&str, &str)]| {
        let metadata: Metadata = pairs.iter().copied().collect();
        let parsed = Trigger::parse(&registry, &metadata, &Reach::open(), SECOND);
        assert!(parsed.is_err(), "{pairs:?}");
        let metric = metric_of_refused(&registry, &metadata);
        (metric.name, metric.target)
    };
    for (pairs, name, target) in [
        (&[("scalerType", "kafka"), ("consumerGroup", "g"), ("topic", "t.1")][..], "kafka-t-1", 10.0),
        (&[("scalerType", "kafka"), ("topic", "t"), ("bootstrapServers", "b:9092")], "plimsoll-kafka", 1.0),
        (
            &[("scalerType", "apache-kafka"), ("consumerGroup", "g"), ("lagThreshold", "3"), ("sasl", "oauthbearer")],
            "kafka-g-topics",
            3.0,
        ),
        (&[("scalerType", "redis"), ("listName", "l"), ("listLength", "9")], "redis-l", 9.0),
        (&[("scalerType", "redis-streams"), ("stream", "s"), ("lagCount", "x")], "plimsoll-redis-streams", 1.0),
        (
            &[("scalerType", "redis-cluster-streams"), ("stream", "s"), ("consumerGroup", "g"), ("lagCount", "4")],
            "redis-streams-s",
            4.0,
        ),
        (&[("scalerType", "rabbitmq"), ("queueName", "q"), ("queueLength", "2")], "rabbitmq-q", 2.0),
        (
            &[("scalerType", "rabbitmq"), ("queueName", "q"), ("host", "amqp://h/"), ("value", "2")],
            "plimsoll-rabbitmq",
            1.0,
        ),
        (&[("scalerType", "aws-sqs-queue"), ("queueURL", "https://sqs/1/q")], "aws-sqs-q", 5.0),
        (&[("scalerType", "prometheus"), ("threshold", "1.5")], "prometheus", 1.5),
        (&[("scalerType", "prometheus"), ("query", "up"), ("serverAddress", "http://p")], "plimsoll-prometheus", 1.0),
    ] {
        assert_eq!(metric(pairs), (name.to_owned(), target), "{pairs:?}");
    }
}

/// `value: "0.0004"` is greater than 0 and still no target.
#[test]
fn a_target_that_rounds_to_nothing_names_its_key() {
    let registry = Registry::standard();
    let amqp = [("scalerType", "rabbitmq"), ("queueName", "q"), ("host", "amqp://u:p@h/")];
    let mode = [("mode", "QueueLength")];
    let prometheus = [("scalerType", "prometheus"), ("query", "up"), ("serverAddress", "http://p")];
    let list = [("scalerType", "redis"), ("listName", "l"), ("address", "h:6379")];
    let sqs = [("scalerType", "aws-sqs-queue"), ("queueURL", "https://sqs/1/q"), ("awsRegion", "eu-west-1")];
    let kafka = [("scalerType", "kafka"), ("consumerGroup", "g"), ("topic", "t"), ("bootstrapServers", "b:9092")];
    for (base, more, key, value) in [
        (&amqp[..], &mode[..], "value", "0.0004"),
        (&amqp, &mode, "value", "-1"),
        (&amqp, &[], "queueLength", "0.0004"),
        (&prometheus, &[], "threshold", "0.0004"),
        (&list, &[], "listLength", "0"),
        (&sqs, &[], "queueLength", "0"),
        (&kafka, &[], "lagThreshold", "0"),
    ] {
        let metadata: Metadata = [base, more, &[(key, value)]].concat().into_iter().collect();
        let error = Trigger::parse(&registry, &metadata, &Reach::open(), SECOND).expect_err(key);
        assert_eq!(error.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), [key], "{error}");
        assert!(error.to_string().starts_with(&format!("`{key}` must be")), "{error}");
    }
}

/// Every key that says how long, with what would overflow a clock.
#[test]
fn no_duration_is_longer_than_a_day() {
    let registry = Registry::standard();
    let amqp = [("scalerType", "rabbitmq"), ("queueName", "q"), ("host", "amqp://u:p@h/")];
    let http = [("scalerType", "rabbitmq"), ("queueName", "q"), ("host", "http://u:p@h/")];
    let prometheus = [("scalerType", "prometheus"), ("query", "up"), ("serverAddress", "http://p"), ("threshold", "1")];
    let list = [("scalerType", "redis"), ("listName", "l"), ("address", "h:6379")];
    let sqs = [("scalerType", "aws-sqs-queue"), ("queueURL", "https://sqs/1/q"), ("awsRegion", "eu-west-1")];
    let kafka = [("scalerType", "kafka"), ("consumerGroup", "g"), ("topic", "t"), ("bootstrapServers", "b:9092")];
    for (base, keys) in [
        (&amqp[..], &["pollingInterval", "maxStaleness", "idlePollingInterval"][..]),
        (&http, &["pollingInterval", "timeout"]),
        (&prometheus, &["pollingInterval", "maxStaleness", "idlePollingInterval", "timeout"]),
        (&list, &["pollingInterval", "idlePollingInterval"]),
        (&sqs, &["maxStaleness", "idlePollingInterval"]),
        (&kafka, &["pollingInterval", "maxStaleness", "persistentLagAfter"]),
    ] {
        for key in keys {
            for value in ["9223372036854775807", "2500000000000000h", "86400001ms", "25h", "24h1ns"] {
                let metadata: Metadata = [base, &[(*key, value)]].concat().into_iter().collect();
                let error = Trigger::parse(&registry, &metadata, &Reach::open(), SECOND).expect_err(key);
                let text = error.to_string();
                assert!(text.starts_with(&format!("`{key}` must be")), "{key}={value}: {text}");
            }
        }
        let metadata: Metadata = [base, &[("pollingInterval", "24h")]].concat().into_iter().collect();
        Trigger::parse(&registry, &metadata, &Reach::open(), SECOND).expect("a day is allowed");
    }
}

/// A day is the longest that any clock of ours is asked for.
#[tokio::test(start_paused = true)]
async fn a_day_overflows_nothing() {
    let pipe = Pipe::new().await;
    let pairs = [("scalerType", "scripted"), ("queue", "a"), ("pollingInterval", "24h"), ("maxStaleness", "24h")];
    let mut keda = Keda::new(pipe.channel().await, "orders", &pairs);
    let mut stream = keda.stream().await.unwrap();
    keda.poll().await.unwrap();
    let start = Instant::now();
    sleep(3600 * SECOND).await;
    assert!(stream.next().now_or_never().flatten().is_none());
    keda.poll().await.unwrap();
    assert!(start.elapsed() < 3601 * SECOND);
}
