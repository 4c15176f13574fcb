//! What is counted of a queue.

use std::time::Duration;

use futures::StreamExt;
use plimsoll::error::ReadErrorKind;
use tokio::time::{Instant, sleep, timeout};

use super::fixtures::{Writer, pairs, refused, source, unique, value};
use crate::{
    emulator::{Keda, seen_by_keda},
    process::Process,
};

#[tokio::test]
async fn visible_in_flight_and_delayed_messages_count_as_the_trigger_says() {
    let writer = Writer::new();
    let url = writer.create(&unique("counts")).await;
    for _ in 0..3 {
        writer.send(&url, 0).await;
    }
    for _ in 0..5 {
        writer.send(&url, 900).await;
    }
    writer.receive(&url).await;
    for (in_flight, delayed, expected) in
        [("true", "false", 3.0), ("false", "false", 2.0), ("true", "true", 8.0), ("false", "true", 7.0)]
    {
        let source = source(&[("queueURL", &url), ("scaleOnInFlight", in_flight), ("scaleOnDelayed", delayed)]);
        assert_eq!(value(&source).await, expected, "in flight {in_flight}, delayed {delayed}");
    }
}

#[tokio::test]
async fn a_queue_is_active_above_its_activation() {
    let writer = Writer::new();
    let url = writer.create(&unique("activation")).await;
    let active = async |activation: &str| {
        let source = source(&[("queueURL", &url), ("activationQueueLength", activation)]);
        source.read().await.unwrap().active
    };
    assert!(!active("0").await);
    writer.send(&url, 0).await;
    writer.receive(&url).await;
    assert!(active("0").await, "what is in flight counts for the activation too");
    assert!(!active("1").await);
}

#[tokio::test]
async fn a_fifo_queue_is_read_and_its_dot_is_none_in_the_metrics_name() {
    let writer = Writer::new();
    let name = format!("{}.fifo", unique("fifo"));
    let url = writer.create(&name).await;
    writer.send(&url, 0).await;
    let source = source(&[("queueURL", &url)]);
    assert_eq!(value(&source).await, 1.0);
    assert_eq!(source.metric().name, format!("aws-sqs-{}", name.replace('.', "-")));
}

#[tokio::test]
async fn a_bare_name_will_do() {
    let writer = Writer::new();
    let name = unique("named");
    let url = writer.create(&name).await;
    let source = source(&[("queueURL", &name)]);
    assert_eq!(value(&source).await, 0.0);
    writer.send(&url, 0).await;
    assert_eq!(value(&source).await, 1.0);
}

#[tokio::test]
async fn a_missing_queue_is_an_error_until_it_is_made() {
    let writer = Writer::new();
    let name = unique("missing");
    let url = format!("{}/000000000000/{name}", super::fixtures::server());
    let (by_url, by_name) = (source(&[("queueURL", &url)]), source(&[("queueURL", &name)]));
    refused(&by_url, ReadErrorKind::NotFound, "does not exist").await;
    refused(&by_name, ReadErrorKind::NotFound, "does not exist").await;
    writer.create(&name).await;
    assert_eq!((value(&by_url).await, value(&by_name).await), (0.0, 0.0));
}

#[tokio::test]
async fn keda_sees_a_queue_go_from_zero_to_work_and_back() {
    let patience = Duration::from_secs(20);
    let (server, writer) = (Process::start(&[]), Writer::new());
    let url = writer.create(&unique("keda")).await;
    let more = [("queueURL", url.as_str()), ("pollingInterval", "300ms"), ("idlePollingInterval", "300ms")];
    let pairs = pairs(&more);
    let metadata: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut keda = Keda::new(server.channel(), "orders", &metadata);
    let mut stream = keda.stream().await.unwrap();
    let poll = keda.poll().await.unwrap();
    assert_eq!((seen_by_keda(&poll.value), poll.active, poll.spec.target_size), (0.0, false, 5));
    writer.send(&url, 0).await;
    assert!(timeout(patience, stream.next()).await.unwrap().unwrap().unwrap().result);
    assert_eq!(seen_by_keda(&keda.poll().await.unwrap().value), 1.0);
    let handle = writer.receive(&url).await;
    writer.done(&url, &handle).await;
    let deadline = Instant::now() + patience;
    while keda.poll().await.unwrap().active {
        assert!(Instant::now() < deadline, "still active");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(server.page("/metrics").contains(r#"plimsoll_broker_requests_total{backend="sqs"}"#));
}
