//! The wake: from a publish to `true` on an open stream, with many idle queues beside it.

use std::{collections::HashSet, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use plimsoll::{
    backend::Registry,
    clock::Clock,
    object::ObjectRef,
    sampler::{Sampler, Settings},
    telemetry::Metrics,
    watch::activations,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    fixtures::{Broker, PATIENCE, Vhost, amqp, registry, shared, source_of, trigger, unique, variable},
    proxy::{Counts, Proxy},
};

type Activations = Pin<Box<dyn Stream<Item = ()> + Send>>;

fn sampler() -> Sampler {
    let registry: Registry = registry();
    let metrics = Arc::new(Metrics::new(registry.scaler_types()));
    Sampler::new(registry, Settings::default(), Clock::system(), metrics)
}

fn open(sampler: &Sampler, pairs: &[(&str, &str)]) -> Activations {
    let object = ObjectRef { namespace: "shop", name: "orders" };
    let subscription = sampler.subscribe(object, &trigger(pairs)).unwrap();
    Box::pin(activations(subscription, CancellationToken::new(), None))
}

/// Publishes to some of `count` idle queues, one after the other, and says how long `true` took.
async fn latencies(broker: &Broker, host: &str, count: usize, trials: usize) -> Vec<Duration> {
    let names = broker.declare_many("wake", count).await;
    let sampler = sampler();
    // The clock shall not help: a sample lives long.
    let mut streams: Vec<Activations> = names
        .iter()
        .map(|name| open(&sampler, &[("host", host), ("queueName", name), ("pollingInterval", "60")]))
        .collect();
    // All have been looked at once, and wait.
    let first =
        futures::future::join_all(streams.iter_mut().map(|stream| timeout(Duration::from_secs(5), stream.next())));
    assert!(first.await.iter().all(Result::is_err), "nothing is active yet");
    let mut took = Vec::new();
    for trial in 0..trials {
        let n = trial * count / trials;
        // Not in step with the looks.
        sleep(Duration::from_millis(7 * (trial as u64 % 11))).await;
        let began = Instant::now();
        broker.publish(&names[n], 1).await;
        let woken = timeout(PATIENCE, streams[n].next()).await;
        assert_eq!(woken, Ok(Some(())), "queue {n} of {count}");
        took.push(began.elapsed());
    }
    drop(streams);
    broker.delete(&names).await;
    took.sort_unstable();
    took
}

async fn show(broker: &Broker, host: &str, count: usize, trials: usize) {
    let took = latencies(broker, host, count, trials).await;
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    let scheme = host.split(':').next().unwrap();
    println!("wake by {scheme}, {count} idle queues, {trials} trials: p50 {middle:?}, max {last:?}");
}

#[tokio::test]
async fn a_publish_wakes_one_of_a_hundred_idle_queues() {
    let _broker_runs = shared().await;
    show(&Broker::new().await, &amqp(), 100, 60).await;
}

#[tokio::test]
async fn a_publish_wakes_one_of_a_thousand_idle_queues() {
    let _broker_runs = shared().await;
    show(&Broker::new().await, &amqp(), 1000, 40).await;
}

#[tokio::test]
async fn a_publish_wakes_one_of_a_hundred_idle_queues_over_http() {
    let _broker_runs = shared().await;
    let vhost = Vhost::new().await;
    show(&vhost.broker().await, &vhost.http(), 100, 5).await;
    vhost.delete().await;
}

#[tokio::test]
async fn all_idle_queues_of_a_connection_are_looked_at_in_one_burst_within_the_budget() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let names = broker.declare_many("idle", 400).await;
    let proxy = Proxy::before(variable("RABBITMQ")).await;
    let host = format!("amqp://watcher:watcher-secret@{}", proxy.address);
    let registry = registry();
    let pairs = |name| [("host", host.as_str()), ("queueName", name), ("idleDeclaresPerSecond", "800")];
    let sources: Vec<_> = names.iter().map(|name| source_of(&registry, &pairs(name))).collect();
    futures::future::join_all(sources.iter().map(|source| source.read())).await;
    proxy.take();
    let waiting = futures::future::join_all(sources.iter().map(|source| source.wake()));
    let began = Instant::now();
    assert!(timeout(Duration::from_millis(2750), waiting).await.is_err(), "nothing is active");
    // 400 queues, 800 a second: every half second, on a busy machine less often.
    let most = began.elapsed().as_millis() as usize / 500 + 1;
    // Whoever was in the middle of a look has ended it.
    sleep(Duration::from_millis(700)).await;
    let Counts { declares, bursts, waits } = proxy.take();
    println!("idle: {declares} declares in {bursts} bursts in 2.75 s");
    assert!((1..=most).contains(&bursts) && declares == 400 * bursts, "{declares} in {bursts}");
    assert!(waits < 40 * bursts, "{waits} waits in {bursts}");
    sleep(Duration::from_millis(700)).await;
    assert_eq!(proxy.take(), Counts::default(), "nobody waits, nobody looks");
    assert_eq!(proxy.connections(), 1);
    broker.delete(&names).await;
}

#[tokio::test]
async fn a_queue_that_is_not_active_by_its_own_threshold_does_not_wake() {
    let _broker_runs = shared().await;
    let vhost = Vhost::new().await;
    let broker = vhost.broker().await;
    let queue = unique("threshold");
    broker.declare(&queue).await;
    for host in [vhost.amqp(), vhost.http()] {
        let registry = registry();
        let more = [("mode", "QueueLength"), ("value", "10"), ("activationValue", "1")];
        let mut pairs = vec![("host", host.as_str()), ("queueName", queue.as_str())];
        pairs.extend(more);
        let source = source_of(&registry, &pairs);
        assert!(!source.read().await.unwrap().active);
        broker.publish(&queue, 1).await;
        assert!(timeout(Duration::from_millis(2500), source.wake()).await.is_err(), "{host}");
        let (woken, ()) = tokio::join!(timeout(PATIENCE, source.wake()), broker.publish(&queue, 1));
        assert!(woken.is_ok() && source.read().await.unwrap().active, "{host}");
        broker.take_and_acknowledge(&queue, 2).await;
    }
    vhost.delete().await;
}

#[tokio::test]
async fn queues_are_woken_each_by_its_own_messages() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let names = broker.declare_many("own", 10).await;
    let sampler = sampler();
    let host = amqp();
    let mut streams: Vec<_> =
        names.iter().map(|name| open(&sampler, &[("host", &host), ("queueName", name)])).collect();
    let some: HashSet<usize> = [1, 4, 7].into();
    for n in &some {
        broker.publish(&names[*n], 1).await;
    }
    for n in &some {
        assert_eq!(timeout(PATIENCE, streams[*n].next()).await, Ok(Some(())));
    }
    let others = streams.iter_mut().enumerate().filter(|(n, _)| !some.contains(n));
    let others = others.map(|(_, stream)| timeout(Duration::from_secs(1), stream.next()));
    assert!(futures::future::join_all(others).await.iter().all(Result::is_err));
    broker.delete(&names).await;
}
