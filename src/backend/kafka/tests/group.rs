//! The backend as the sampler sees it, without a broker.

use std::{sync::Arc, time::Duration};

use super::super::Kafka;
use crate::net::Reach;
use crate::{
    backend::{Backend, Source},
    error::ReadErrorKind,
    metadata::{Metadata, Reader},
    reading::Metric,
};

fn source(kafka: &Kafka, scaler_type: &str, more: &[(&str, &str)]) -> Arc<dyn Source> {
    let mut pairs = vec![("bootstrapServers", "127.0.0.1:1"), ("consumerGroup", "billing")];
    pairs.extend_from_slice(more);
    let metadata: Metadata = pairs.into_iter().collect();
    kafka.parse(scaler_type, &mut Reader::new(&metadata), &Reach::open()).expect("a legal trigger")
}

#[test]
fn triggers_of_one_cluster_and_login_share_a_client() {
    let kafka = Kafka::default();
    let login = [("sasl", "plaintext"), ("username", "u"), ("password", "p")];
    let other = [("sasl", "plaintext"), ("username", "u"), ("password", "q")];
    let sources = [
        source(&kafka, "kafka", &login),
        source(&kafka, "apache-kafka", &[&login[..], &[("topic", "orders")]].concat()),
        source(&kafka, "kafka", &other),
    ];
    assert_eq!(kafka.clients.len(), 2);
    assert_eq!(sources[0].connection(), sources[1].connection());
    assert_ne!(sources[0].connection(), sources[2].connection());
    assert_eq!(sources[2].connection().label(), "kafka://127.0.0.1:1");
    drop(sources);
    assert!(kafka.clients.is_empty());
}

#[test]
fn a_source_says_what_it_reads_and_under_which_name() {
    let kafka = Kafka::default();
    for (scaler_type, topic, text, name) in [
        ("kafka", "orders.eu", "group `billing` on topic `orders.eu`", "kafka-orders-eu"),
        ("kafka", "a,b", "group `billing` on topic `a,b`", "kafka-a,b"),
        ("apache-kafka", "a,b", "group `billing` on topics `a`, `b`", "kafka-a,b"),
        ("kafka", "", "group `billing` on all its topics", "kafka-billing-topics"),
    ] {
        let source = source(&kafka, scaler_type, &[("topic", topic), ("lagThreshold", "7")]);
        assert_eq!(source.describe(), text);
        assert_eq!(*source.metric(), Metric { name: name.to_owned(), target: 7.0 });
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_an_error_and_wakes_nobody() {
    let source = source(&Kafka::default(), "kafka", &[("topic", "orders")]);
    let error = source.read().await.expect_err("nobody listens on port 1");
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Unreachable, true), "{error}");
    let wake = tokio::time::timeout(Duration::from_millis(20), source.wake()).await;
    assert!(wake.is_err(), "there is nothing to wake for");
}
