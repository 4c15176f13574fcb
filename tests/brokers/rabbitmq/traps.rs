//! Where a client of RabbitMQ falls over: missing queues, lost connections, a frozen broker, a restart.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use futures::future::join_all;
use plimsoll::error::ReadErrorKind::{Denied, NotFound, Timeout};
use reqwest::Method;
use tokio::time::Instant;

use super::{
    fixtures::{
        Broker, PATIENCE, Vhost, administer, alone, amqp, http, read, registry, shared, source, source_of, unique,
        variable,
    },
    proxy::Proxy,
};

#[tokio::test]
async fn a_missing_queue_is_its_own_failure_and_nobody_elses() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let there = broker.declare_many("there", 50).await;
    for name in &there {
        broker.publish(name, 1).await;
    }
    let registry = registry();
    let host = amqp();
    // One missing between every five.
    let names: Vec<(String, bool)> = there
        .iter()
        .enumerate()
        .flat_map(|(n, name)| {
            let missing = (n % 5 == 0).then(|| (unique("gone"), false));
            missing.into_iter().chain([(name.clone(), true)])
        })
        .collect();
    let sources: Vec<_> =
        names.iter().map(|(name, _)| source_of(&registry, &[("host", &host), ("queueName", name)])).collect();
    for _ in 0..2 {
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        for ((name, there), reading) in names.iter().zip(readings) {
            if *there {
                assert_eq!(reading.unwrap().value, 1.0);
                continue;
            }
            let error = reading.unwrap_err();
            assert_eq!((error.kind, error.whole_connection), (NotFound, false));
            let text =
                format!("queue `{name}` does not exist on vhost `/`: create it, or correct `queueName` in the trigger");
            assert_eq!(error.to_string(), text);
        }
    }
    broker.delete(&there).await;
}

#[tokio::test]
async fn a_queue_that_goes_and_comes_back_is_told_so() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("coming");
    let source = source(&[("host", &amqp()), ("queueName", &queue)]);
    assert_eq!(source.read().await.unwrap_err().kind, NotFound);
    broker.declare(&queue).await;
    broker.publish(&queue, 2).await;
    let deadline = Instant::now() + PATIENCE;
    let reading = loop {
        match source.read().await {
            Ok(reading) => break reading,
            Err(error) => assert_eq!(error.kind, NotFound),
        }
        assert!(Instant::now() < deadline, "not found again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(reading.value, 2.0);
    broker.delete(&[queue]).await;
    assert_eq!(source.read().await.unwrap_err().kind, NotFound);
}

/// Each refusal costs a channel, and a connection has 2,047.
#[tokio::test]
async fn more_missing_queues_than_a_connection_has_channels_do_no_harm() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let there = broker.declare_many("beside", 20).await;
    let proxy = Proxy::before(variable("RABBITMQ")).await;
    let registry = registry();
    let host = format!("amqp://watcher:watcher-secret@{}", proxy.address);
    let source = |name: &String| source_of(&registry, &[("host", &host), ("queueName", name)]);
    let there_sources: Vec<_> = there.iter().map(source).collect();
    assert!(join_all(there_sources.iter().map(|source| source.read())).await.iter().all(Result::is_ok));
    let began = Instant::now();
    for _ in 0..6 {
        let mut missing: Vec<_> = (0..500).map(|_| source(&unique("missing"))).collect();
        // Each is told in the end, however many looks that takes, and nobody else is harmed.
        while !missing.is_empty() {
            let (gone, here) = tokio::join!(
                join_all(missing.iter().map(|source| source.read())),
                join_all(there_sources.iter().map(|source| source.read()))
            );
            assert!(here.iter().all(Result::is_ok), "{here:?}");
            let mut told = gone.into_iter().map(|reading| {
                let error = reading.unwrap_err();
                assert!(!error.whole_connection, "{error}");
                error.kind == NotFound
            });
            missing.retain(|_| !told.next().unwrap());
            assert!(began.elapsed() < 2 * PATIENCE, "{} are not told", missing.len());
        }
    }
    let (refusals, connections) = (proxy.refusals(), proxy.connections());
    println!("3,000 missing queues: {} refusals, {:?}, {connections} connections", refusals.len(), began.elapsed());
    assert!(refusals.len() >= 3000);
    // Numbers of channels are used again.
    assert_eq!(connections, 2);
    broker.delete(&there).await;
}

/// Each question costs the broker a channel.
#[tokio::test]
async fn what_is_known_to_be_missing_is_not_asked_about_again_for_some_seconds() {
    let _broker_runs = shared().await;
    let proxy = Proxy::before(variable("RABBITMQ")).await;
    let registry = registry();
    let host = format!("amqp://watcher:watcher-secret@{}", proxy.address);
    let names: Vec<String> = (0..40).map(|_| unique("missing")).collect();
    let sources: Vec<_> =
        names.iter().map(|name| source_of(&registry, &[("host", &host), ("queueName", name)])).collect();
    let of = |name: &String| -> Vec<Instant> {
        let all = proxy.refusals();
        all.iter().filter(|(words, _)| words.contains(name.as_str())).map(|(_, at)| *at).collect()
    };
    let deadline = Instant::now() + PATIENCE;
    while !names.iter().all(|name| of(name).len() >= 2) {
        assert!(Instant::now() < deadline, "never asked again");
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.into_iter().all(|reading| reading.is_err_and(|error| !error.whole_connection)));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for name in &names {
        let at = of(name);
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(4500)), "{name}: {at:?}");
    }
}

#[tokio::test]
async fn a_queue_that_is_exclusive_to_another_connection_says_so() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let (exclusive, other) = (unique("exclusive"), unique("other"));
    let options = lapin::options::QueueDeclareOptions::exclusive();
    broker.channel.queue_declare(exclusive.as_str().into(), options, Default::default()).await.unwrap();
    broker.declare(&other).await;
    let registry = registry();
    let host = amqp();
    let sources = [&exclusive, &other].map(|name| source_of(&registry, &[("host", &host), ("queueName", name)]));
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    let error = readings[0].as_ref().unwrap_err();
    assert_eq!(error.kind, Denied);
    assert!(error.to_string().starts_with(&format!("queue `{exclusive}` on vhost `/` is exclusive")), "{error}");
    assert_eq!(readings[1].as_ref().unwrap().value, 0.0);
    assert_eq!(read(&[("host", &http()), ("queueName", &exclusive)]).await.unwrap().value, 0.0);
    broker.delete(&[other]).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_replaced_within_the_look() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("lost");
    broker.declare(&queue).await;
    let proxy = Proxy::before(variable("RABBITMQ")).await;
    let host = format!("amqp://watcher:watcher-secret@{}", proxy.address);
    let source = source(&[("host", &host), ("queueName", &queue)]);
    for connections in 1..=3 {
        assert_eq!(source.read().await.unwrap().value, 0.0);
        assert_eq!(proxy.connections(), connections);
        close_connection(proxy.ports()[connections - 1]).await;
    }
    assert_eq!(source.read().await.unwrap().value, 0.0);
    broker.delete(&[queue]).await;
}

/// As an administrator does; the API knows of a connection some seconds after it was made.
async fn close_connection(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = administer(Method::GET, "connections", "").await;
        if let Some(ours) = list.as_array().unwrap().iter().find(|connection| connection["peer_port"] == port) {
            let name = ours["name"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
            administer(Method::DELETE, &format!("connections/{name}"), "").await;
            return;
        }
        assert!(Instant::now() < deadline, "the broker does not list the connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_frozen_broker_is_a_timeout_and_is_back_when_it_thaws() {
    let _broker_is_ours = alone().await;
    let broker = Broker::new().await;
    let queue = unique("frozen");
    broker.declare(&queue).await;
    broker.publish(&queue, 1).await;
    drop(broker);
    let known = source(&[("host", &amqp()), ("queueName", &queue)]);
    assert_eq!(known.read().await.unwrap().value, 1.0);
    let pid = std::fs::read_to_string(format!("{}/pid", variable("RABBITMQ_DIR"))).unwrap();
    let signal = |name: &str| assert!(Command::new("kill").args([name, pid.trim()]).status().unwrap().success());
    signal("-STOP");
    let mut outcomes = Vec::new();
    for host in [amqp(), amqp(), http()] {
        // Over the connection that was there, over a new one, over HTTP.
        let began = Instant::now();
        let timeout = if host.starts_with("http") { ("timeout", "3s") } else { ("timeout", "") };
        let fresh = source(&[("host", &host), ("queueName", &queue), timeout]);
        let (old, new) = tokio::join!(known.read(), fresh.read());
        outcomes.push((old, new, began.elapsed()));
    }
    signal("-CONT");
    for (old, new, took) in outcomes {
        for error in [old.unwrap_err(), new.unwrap_err()] {
            assert_eq!(error.kind, Timeout, "{error}");
            assert!(error.whole_connection);
            println!("{took:?}: {error}");
        }
        assert!(took < PATIENCE / 2, "{took:?}");
    }
    let deadline = Instant::now() + PATIENCE;
    while known.read().await.ok().map(|reading| reading.value) != Some(1.0) {
        assert!(Instant::now() < deadline, "does not come back");
    }
    Broker::new().await.delete(&[queue]).await;
}

#[tokio::test]
async fn through_a_restart_there_is_no_wrong_value_and_then_the_right_one() {
    let _broker_is_ours = alone().await;
    let vhost = Vhost::new().await;
    let broker = vhost.broker().await;
    let queue = unique("restart");
    broker.declare(&queue).await;
    broker.publish(&queue, 3).await;
    drop(broker);
    let dir = variable("RABBITMQ_DIR");
    let (amqp, http) = (vhost.amqp(), vhost.http());
    let sources = [&amqp, &http].map(|host| {
        let timeout = if host.starts_with("http") { ("timeout", "3s") } else { ("timeout", "") };
        source(&[("host", host), ("queueName", &queue), timeout])
    });
    for source in &sources {
        assert_eq!(source.read().await.unwrap().value, 3.0);
    }
    let mut restart = tokio::process::Command::new("tests/brokers/restart")
        .arg("rabbitmq")
        .env("BROKERS_DIR", Path::new(&dir).parent().unwrap())
        .spawn()
        .unwrap();
    // Judged afterwards: a panic now would leave the others without their broker.
    let (mut values, mut errors) = (Vec::new(), BTreeSet::new());
    while restart.try_wait().unwrap().is_none() {
        for source in &sources {
            match source.read().await {
                Ok(reading) => values.push(reading.value),
                Err(error) => {
                    errors.insert(format!("{}: {error}", error.kind));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(restart.wait().await.unwrap().success());
    println!("during the restart: {} times right; {errors:#?}", values.len());
    assert!(values.iter().all(|value| *value == 3.0), "{values:?}");
    assert!(!errors.is_empty() && !errors.iter().any(|error| error.starts_with("internal")), "{errors:#?}");
    let deadline = Instant::now() + PATIENCE;
    for source in &sources {
        while source.read().await.ok().map(|reading| reading.value) != Some(3.0) {
            assert!(Instant::now() < deadline, "does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    vhost.delete().await;
}
