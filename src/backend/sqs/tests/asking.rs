//! What goes over the wire, and how often.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    super::{Sqs, queue::next_look},
    Reply, StandIn, body, operation, refusal, source, visible,
};
use crate::{backend::Backend, error::ReadErrorKind, net::TwoAddresses, task::sabotage::panic_in};

#[tokio::test]
async fn a_thousand_triggers_on_ten_queues_cost_ten_requests_a_look() {
    let server = StandIn::new(|_| visible("7")).await;
    let sqs = Sqs::default();
    let sources: Vec<_> = (0..1000)
        .map(|n| {
            let (queue, activation) = (format!("http://h/1/queue-{}", n % 10), n.to_string());
            source(&sqs, &server, &[("queueURL", &queue), ("activationQueueLength", &activation)])
        })
        .collect();
    for look in 1..=3 {
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 7.0)));
        let active = readings.iter().filter(|reading| reading.as_ref().is_ok_and(|reading| reading.active)).count();
        assert_eq!(active, 7, "each has an activation of its own");
        assert_eq!((server.calls().len(), sqs.requests()), (look * 10, (look * 10) as u64));
    }
}

#[tokio::test]
async fn triggers_that_want_different_counts_of_a_queue_share_one_request_for_all_of_them() {
    let server = StandIn::new(|_| visible("7")).await;
    let sqs = Sqs::default();
    let all = source(&sqs, &server, &[("scaleOnDelayed", "true")]);
    let few = source(&sqs, &server, &[("scaleOnInFlight", "false")]);
    let (all, few) = tokio::join!(all.read(), few.read());
    assert_eq!((all.map(|all| all.value), few.map(|few| few.value)), (Ok(7.0), Ok(7.0)));
    let calls = server.calls();
    assert_eq!(calls.len(), 1);
    let names =
        ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
    assert_eq!(body(&calls[0])["AttributeNames"], serde_json::json!(names));
}

#[tokio::test]
async fn other_credentials_regions_and_queues_are_asked_by_themselves() {
    let server = StandIn::new(|_| visible("7")).await;
    let sqs = Sqs::default();
    let others = [
        source(&sqs, &server, &[]),
        source(&sqs, &server, &[("awsAccessKeyID", "AKIAOTHER")]),
        source(&sqs, &server, &[("awsRegion", "eu-west-2")]),
        source(&sqs, &server, &[("queueURL", "http://h/1/other")]),
    ];
    join_all(others.iter().map(|source| source.read())).await;
    let mut told: Vec<_> = server.calls().iter().map(|call| call.header("authorization").to_owned()).collect();
    told.sort();
    assert_eq!(told.len(), 4);
    assert!(told[3].contains("AKIATEST") && told[3].contains("/eu-west-2/sqs/aws4_request"), "{told:?}");
    assert!(told[0].contains("AKIAOTHER") && told[0].contains("/eu-west-1/sqs/aws4_request"), "{told:?}");
}

#[tokio::test]
async fn no_more_than_thirty_two_requests_are_under_way_at_a_time() {
    let answer = r#"{"Attributes":{"ApproximateNumberOfMessages":"7","ApproximateNumberOfMessagesNotVisible":"0"}}"#;
    let server = StandIn::new(|_| Reply::Slow(Duration::from_millis(200), answer.into())).await;
    let sqs = Sqs::default();
    let sources: Vec<_> =
        (0..100).map(|n| source(&sqs, &server, &[("queueURL", &format!("http://h/1/queue-{n}"))])).collect();
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    assert!(readings.iter().all(Result::is_ok), "{readings:?}");
    assert_eq!(server.calls().len(), 100);
    assert!(server.most_at_once() <= 32, "{}", server.most_at_once());
}

#[tokio::test]
async fn messages_are_never_received() {
    let server = StandIn::new(|call| match operation(call) {
        "GetQueueUrl" => Reply::new(200, r#"{"QueueUrl":"http://h/1/orders"}"#),
        _ if body(call)["QueueUrl"] == "orders" => refusal(400, "QueueDoesNotExist"),
        _ => visible("7"),
    })
    .await;
    let sqs = Sqs::default();
    let named = source(&sqs, &server, &[("queueURL", "orders")]);
    let full = source(&sqs, &server, &[]);
    for _ in 0..3 {
        assert!(named.read().await.is_ok() && full.read().await.is_ok());
    }
    let mut operations: BTreeMap<String, usize> = BTreeMap::new();
    for call in server.calls() {
        *operations.entry(operation(&call).to_owned()).or_default() += 1;
    }
    assert_eq!(operations, [("GetQueueAttributes".into(), 7), ("GetQueueUrl".into(), 1)].into());
}

#[tokio::test]
async fn a_bare_name_is_sent_as_it_is_and_its_url_is_asked_for_only_where_that_will_not_do() {
    let taken = StandIn::new(|_| visible("7")).await;
    let sqs = Sqs::default();
    assert!(source(&sqs, &taken, &[("queueURL", "orders")]).read().await.is_ok());
    let sent: Vec<_> = taken.calls().iter().map(|call| body(call)["QueueUrl"].clone()).collect();
    assert_eq!(sent, ["orders"]);

    let urls = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&urls);
    let refused = StandIn::new(move |call| {
        // The queue is deleted and made again: its URL changes.
        let url = format!("http://h/1/orders-{}", asked.load(Ordering::Relaxed));
        if operation(call) == "GetQueueUrl" {
            asked.fetch_add(1, Ordering::Relaxed);
            let url = format!("http://h/1/orders-{}", asked.load(Ordering::Relaxed));
            return Reply::new(200, format!(r#"{{"QueueUrl":"{url}"}}"#));
        }
        if body(call)["QueueUrl"] == *url { visible("7") } else { refusal(400, "InvalidAction") }
    })
    .await;
    let source = source(&sqs, &refused, &[("queueURL", "orders")]);
    assert!(source.read().await.is_ok() && source.read().await.is_ok());
    assert_eq!((urls.load(Ordering::Relaxed), refused.calls().len()), (1, 4), "the URL is remembered");
    urls.fetch_add(1, Ordering::Relaxed);
    assert!(source.read().await.is_ok());
    assert_eq!(urls.load(Ordering::Relaxed), 3, "and asked for again when it is no longer right");
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_says_what_to_grant() {
    let server = StandIn::new(|call| match operation(call) {
        "GetQueueUrl" => refusal(403, "AccessDenied"),
        _ => refusal(400, "QueueDoesNotExist"),
    })
    .await;
    let error = source(&Sqs::default(), &server, &[("queueURL", "orders")]).read().await.expect_err("denied");
    assert_eq!(error.kind, ReadErrorKind::Denied);
    assert!(error.to_string().ends_with("give the whole URL in `queueURL`, or grant `sqs:GetQueueUrl`"), "{error}");
}

#[test]
fn looks_at_an_idle_queue_fall_on_the_same_instants_just_after_a_refresh_would() {
    let (now, every) = (Instant::now(), Duration::from_secs(5));
    let first = next_look(now, every);
    assert!(first > now && first <= now + every);
    for part in [0.1, 0.5, 0.9] {
        let between = now + (first - now).mul_f64(part);
        let apart =
            next_look(between, every).duration_since(first).max(first.duration_since(next_look(between, every)));
        assert!(apart < Duration::from_micros(1), "{apart:?}");
    }
    let second = next_look(first + Duration::from_millis(1), every);
    assert!((second - first).abs_diff(every) < Duration::from_micros(1));
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_look_no_wake_comes() {
    let sqs = Sqs::default();
    let server = StandIn::new(|_| visible("7")).await;
    let source = source(&sqs, &server, &[("idlePollingInterval", "1s")]);
    let patience = Duration::from_secs(60);
    assert!(tokio::time::timeout(patience, source.wake()).await.is_err(), "nothing is known yet");
}

#[tokio::test]
async fn a_name_whose_first_address_swallows_all_is_read_at_the_second() {
    let server = StandIn::new(|_| visible("3")).await;
    let two = TwoAddresses::of(server.address.port());
    let url = format!("http://{}:{}", two.name(), server.address.port());
    let orders = source(&Sqs::default(), &server, &[("awsEndpoint", url.as_str())]);
    assert_eq!(orders.read().await.map(|reading| reading.value), Ok(3.0));
}

#[tokio::test]
async fn a_panic_of_what_gathers_questions_is_counted_and_the_next_look_is_right() {
    let server = StandIn::new(|_| visible("3")).await;
    let orders = source(&Sqs::default(), &server, &[]);
    assert_eq!(orders.read().await.map(|reading| reading.value), Ok(3.0));
    panic_in("batch").await;
    assert_eq!(orders.read().await.map(|reading| reading.value), Ok(3.0));
}

#[tokio::test]
async fn the_parts_of_a_count_are_the_attributes_and_say_which_count() {
    let server = StandIn::new(|_| visible("7")).await;
    let sqs = Sqs::default();
    let queue = source(&sqs, &server, &[("scaleOnInFlight", "false")]);
    assert!(queue.parts().is_none(), "nothing was read");
    let reading = queue.read().await.expect("it answers");
    let parts = queue.parts().expect("it was read");
    assert_eq!((parts.of, parts.rows.len()), (reading, 3));
    assert_eq!(parts.rows[0], ["ApproximateNumberOfMessages".into(), 7.0.into(), "counts".into()]);
    assert_eq!(parts.rows[1][1..], [0.0.into(), "does not count for this trigger".into()]);
}
