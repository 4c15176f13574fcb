//! What a thousand queues cost the broker: counted on the wire.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::{
    fixtures::{Broker, PATIENCE, administer, registry, shared, source_of, unique, variable},
    proxy::{Counts, Proxy},
};

/// Asked one after the other there would be a thousand waits.
#[track_caller]
fn assert_one_burst(counts: Counts) {
    assert!((counts.declares, counts.bursts) == (1000, 1) && counts.waits < 100, "{counts:?}");
}

#[tokio::test]
async fn a_thousand_queues_are_one_connection_and_one_pipelined_burst() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let names = broker.declare_many("burst", 1000).await;
    let proxy = Proxy::before(variable("RABBITMQ")).await;
    let host = format!("amqp://watcher:watcher-secret@{}", proxy.address);
    let registry = registry();
    let sources: Vec<_> =
        names.iter().map(|name| source_of(&registry, &[("host", &host), ("queueName", name)])).collect();
    for look in 0..3 {
        let began = Instant::now();
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.iter().all(Result::is_ok));
        let took = began.elapsed();
        let counts = proxy.take();
        println!("look {look}: {counts:?}, {took:?}, {} connection", proxy.connections());
        assert_one_burst(counts);
        assert_eq!(proxy.connections(), 1);
    }
    let deadline = Instant::now() + PATIENCE;
    let port = u64::from(proxy.ports()[0]);
    let has_four_channels = |connection: &serde_json::Value| {
        connection["client_properties"]["connection_name"] == "plimsoll"
            && connection["peer_port"] == port
            && connection["channels"] == 4
    };
    // The broker's own word for it, some seconds old.
    while !administer(Method::GET, "connections", "").await.as_array().unwrap().iter().any(has_four_channels) {
        assert!(Instant::now() < deadline, "no connection with four channels");
        sleep(Duration::from_millis(200)).await;
    }

    // A new queue beside them, which is missing, is asked about once after them, and from then on on a second connection.
    let missing = source_of(&registry, &[("host", &host), ("queueName", &unique("gone"))]);
    let (gone, readings) = tokio::join!(missing.read(), join_all(sources.iter().map(|source| source.read())));
    assert!(gone.is_err() && readings.iter().all(Result::is_ok));
    let counts = proxy.take();
    assert_eq!((counts.declares, proxy.connections()), (1001, 1), "no healthy queue was asked twice: {counts:?}");
    let deadline = Instant::now() + PATIENCE;
    while proxy.connections() == 1 {
        assert!(Instant::now() < deadline, "never asked again");
        assert!(missing.read().await.is_err());
        sleep(Duration::from_millis(100)).await;
    }
    proxy.take();
    for _ in 0..2 {
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.iter().all(Result::is_ok) && missing.read().await.is_err());
        assert_one_burst(proxy.take());
        assert_eq!(proxy.connections(), 2);
    }
    broker.delete(&names).await;
}
