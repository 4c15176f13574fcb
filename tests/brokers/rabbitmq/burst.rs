//! What a thousand queues cost the broker: counted on the wire.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::{
    fixtures::{Broker, administer, registry, shared, source_of, unique, variable},
    proxy::Proxy,
};

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
        let (declares, bursts) = proxy.take();
        println!("look {look}: {declares} declares in {bursts} burst, {took:?}, {} connection", proxy.connections());
        assert_eq!((declares, bursts, proxy.connections()), (1000, 1, 1));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let has_four_channels = |connection: &serde_json::Value| {
        connection["client_properties"]["connection_name"] == "plimsoll" && connection["channels"] == 4
    };
    // The broker's own word for it, some seconds old.
    while !administer(Method::GET, "connections").await.as_array().unwrap().iter().any(has_four_channels) {
        assert!(Instant::now() < deadline, "no connection with four channels");
        sleep(Duration::from_millis(200)).await;
    }

    // A missing queue beside them costs a second connection, and the thousand still one burst.
    let missing = source_of(&registry, &[("host", &host), ("queueName", &unique("gone"))]);
    let (gone, readings) = tokio::join!(missing.read(), join_all(sources.iter().map(|source| source.read())));
    assert!(gone.is_err() && readings.iter().all(Result::is_ok));
    let (declares, _) = proxy.take();
    assert!(declares <= 1000 + 1 + 250 + 8, "{declares}: the rest of one channel's share, asked again");
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    assert!(readings.iter().all(Result::is_ok));
    assert_eq!((proxy.take(), proxy.connections()), ((1000, 1), 2));
    broker.delete(&names).await;
}
