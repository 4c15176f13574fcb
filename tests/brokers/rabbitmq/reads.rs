//! What a read says is what is in the broker.

use futures::future::join_all;

use super::fixtures::{Broker, Vhost, amqp, eventually, http, read, registry, shared, source_of, unique};

#[tokio::test]
async fn ready_messages_count_over_amqp_and_unacknowledged_ones_too_over_http() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    for kind in ["classic", "quorum"] {
        let queue = unique(kind);
        broker.declare_as(&queue, kind).await;
        broker.publish(&queue, 5).await;
        broker.take(&queue, 2).await;
        let (amqp, http) = (amqp(), http());
        for (host, exclude, expected) in [(&amqp, "false", 3.0), (&http, "false", 5.0), (&http, "true", 3.0)] {
            let pairs = [("host", host.as_str()), ("queueName", &queue), ("excludeUnacknowledged", exclude)];
            let reading = if kind == "quorum" && host == &http {
                // A quorum queue tells its totals every five seconds, to whatever API.
                eventually(&pairs, |reading| reading.value == expected).await
            } else {
                read(&pairs).await.unwrap()
            };
            assert_eq!((reading.value, reading.active), (expected, true), "{kind} by {host}");
        }
        broker.delete(&[queue]).await;
    }
}

#[tokio::test]
async fn activation_and_target_are_two_things() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("threshold");
    broker.declare(&queue).await;
    broker.publish(&queue, 3).await;
    for host in [amqp(), http()] {
        for (activation, active) in [("2", true), ("3", false), ("2.5", true), ("-1", true)] {
            let pairs = [
                ("host", host.as_str()),
                ("queueName", &queue),
                ("mode", "QueueLength"),
                ("value", "10"),
                ("activationValue", activation),
            ];
            let reading = read(&pairs).await.unwrap();
            assert_eq!((reading.value, reading.active), (3.0, active), "{activation} by {host}");
        }
    }
    broker.delete(&[queue]).await;
}

#[tokio::test]
async fn an_empty_queue_without_any_history_is_0_in_every_mode() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("new");
    broker.declare(&queue).await;
    let host = http();
    let all =
        ["QueueLength", "MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio", "ExpectedQueueConsumptionTime"];
    for mode in all {
        let pairs = [("host", host.as_str()), ("queueName", &queue), ("mode", mode), ("value", "1")];
        let reading = eventually(&pairs, |_| true).await;
        assert_eq!((reading.value, reading.active), (0.0, false), "{mode}");
    }
    broker.delete(&[queue]).await;
}

#[tokio::test]
async fn rates_follow_the_traffic() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("rates");
    broker.declare(&queue).await;
    let host = http();
    let pairs = |mode| [("host", host.as_str()), ("queueName", queue.as_str()), ("mode", mode), ("value", "1")];
    // Two in, one out, so the ratio is 2 and the queue grows.
    let traffic = async {
        loop {
            broker.publish(&queue, 2).await;
            broker.take_and_acknowledge(&queue, 1).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let seen = async {
        let (published, delivered) = (pairs("MessageRate"), pairs("DeliverGetRate"));
        let (published, delivered, ratio, time) = (
            eventually(&published, |reading| reading.value > 5.0).await,
            eventually(&delivered, |reading| reading.value > 2.0).await,
            eventually(&pairs("PublishedToDeliveredRatio"), |reading| (1.5..2.5).contains(&reading.value)).await,
            eventually(&pairs("ExpectedQueueConsumptionTime"), |reading| reading.value > 1.0).await,
        );
        assert!(published.active && delivered.active && ratio.active && time.active);
    };
    tokio::select! {
        () = seen => {}
        () = traffic => unreachable!("it goes on for ever"),
    }
    broker.delete(&[queue]).await;
}

#[tokio::test]
async fn a_backlog_that_nobody_consumes_is_active_though_its_time_cannot_be_told() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("stuck");
    broker.declare(&queue).await;
    broker.publish(&queue, 4).await;
    let host = http();
    let pairs = [
        ("host", host.as_str()),
        ("queueName", &queue),
        ("mode", "ExpectedQueueConsumptionTime"),
        ("value", "1"),
        ("activationValue", "7"),
    ];
    let reading = eventually(&pairs, |reading| reading.active).await;
    assert_eq!(reading.value, 7.0);
    broker.delete(&[queue]).await;
}

#[tokio::test]
async fn a_pattern_takes_in_all_pages_by_sum_mean_and_largest() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let names = broker.declare_many("page", 7).await;
    for (n, name) in names.iter().enumerate() {
        broker.publish(name, n).await;
    }
    let tails: Vec<&str> = names.iter().map(|name| name.rsplit_once("-test-").unwrap().1).collect();
    let pattern = format!("^plimsoll-test-({})$", tails.join("|"));
    let host = http();
    for (operation, expected) in [("sum", 21.0), ("avg", 3.0), ("max", 6.0)] {
        let pairs = [
            ("host", host.as_str()),
            ("queueName", &pattern),
            ("useRegex", "true"),
            ("pageSize", "2"),
            ("operation", operation),
        ];
        assert_eq!(read(&pairs).await.unwrap().value, expected, "{operation}");
    }
    let none = [("host", host.as_str()), ("queueName", "^nothing at all$"), ("useRegex", "true")];
    assert_eq!(read(&none).await.unwrap().value, 0.0);
    broker.delete(&names).await;
}

#[tokio::test]
async fn odd_names_of_vhosts_and_queues_arrive_as_they_are() {
    let _broker_runs = shared().await;
    let escaped = "other%20%25%20vhost%2F%C3%A9%23%3F";
    let broker = Broker::on(escaped).await;
    for odd in ["a b", "a/b", "a%2Fb", "ü#?&+=", "it's 'quoted' in vhost '/'", &"long".repeat(50)] {
        let queue = format!("{odd}-{}", unique("odd"));
        let queue: String = queue.chars().take(230).collect();
        broker.declare(&queue).await;
        broker.publish(&queue, 1).await;
        for base in [amqp(), http()] {
            let by_path = format!("{base}/{escaped}");
            let by_key = [("host", base.as_str()), ("vhostName", "other % vhost/é#?"), ("queueName", &queue)];
            let by_path = [("host", by_path.as_str()), ("queueName", &queue)];
            for pairs in [&by_key[..], &by_path[..]] {
                assert_eq!(read(pairs).await.unwrap().value, 1.0, "{queue} by {base}");
            }
        }
        broker.delete(&[queue]).await;
    }
}

#[tokio::test]
async fn many_triggers_of_many_queues_each_get_their_own_number() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let names = broker.declare_many("many", 40).await;
    for (n, name) in names.iter().enumerate() {
        broker.publish(name, n % 5).await;
    }
    for host in [amqp(), http()] {
        let registry = registry();
        // Each queue twice: by triggers with different targets.
        let sources: Vec<_> = ["5", "6"]
            .iter()
            .flat_map(|value| names.iter().map(move |name| (name, *value)))
            .map(|(name, value)| source_of(&registry, &[("host", &host), ("queueName", name), ("queueLength", value)]))
            .collect();
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        for (n, reading) in readings.into_iter().enumerate() {
            assert_eq!(reading.unwrap().value, (n % 40 % 5) as f64, "{n} by {host}");
        }
    }
    broker.delete(&names).await;
}

/// The fresh answers of the management API leave a stream's messages out.
#[tokio::test]
async fn a_stream_counts_its_messages_over_http_alone_and_within_a_pattern() {
    let _broker_runs = shared().await;
    let vhost = Vhost::new().await;
    let broker = vhost.broker().await;
    for (kind, count) in [("stream", 3), ("classic", 2), ("quorum", 1)] {
        broker.declare_as(&format!("kinds-{kind}"), kind).await;
        broker.publish(&format!("kinds-{kind}"), count).await;
    }
    let http = vhost.http();
    let alone = [("host", http.as_str()), ("queueName", "kinds-stream")];
    eventually(&alone, |reading| reading.value == 3.0 && reading.active).await;
    let pattern = [("host", http.as_str()), ("queueName", "^kinds-"), ("useRegex", "true")];
    eventually(&pattern, |reading| reading.value == 6.0).await;
    let rates = [
        ("host", http.as_str()),
        ("queueName", "^kinds-"),
        ("useRegex", "true"),
        ("mode", "MessageRate"),
        ("value", "1"),
    ];
    eventually(&rates, |reading| reading.active).await;
    assert_eq!(read(&[("host", &vhost.amqp()), ("queueName", "kinds-stream")]).await.unwrap().value, 3.0);
    vhost.delete().await;
}
