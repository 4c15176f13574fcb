//! When an idle queue is looked at, and what all the looks cost.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::future::join_all;
use plimsoll::{
    backend::Registry,
    clock::Clock,
    metadata::Metadata,
    object::ObjectRef,
    sampler::{Sampler, Settings, Subscription},
    telemetry::Metrics,
};
use tokio::time::{sleep, timeout};

use super::fixtures::{Writer, pairs, unique};

const PATIENCE: Duration = Duration::from_secs(20);
const SHOP: ObjectRef<&str> = ObjectRef { namespace: "shop", name: "orders" };

fn sampler() -> Sampler {
    let registry = Registry::standard();
    let metrics = Arc::new(Metrics::new(registry.scaler_types()));
    Sampler::new(registry, Settings::default(), Clock::system(), metrics)
}

fn metadata(more: &[(&str, &str)]) -> Metadata {
    pairs(more).into_iter().collect()
}

fn requests(sampler: &Sampler) -> u64 {
    sampler.observed().broker_requests.into_iter().find(|(backend, _)| *backend == "sqs").unwrap().1
}

async fn until(subscription: &mut Subscription, right: impl Fn(&plimsoll::sampler::State) -> bool) {
    timeout(PATIENCE, async {
        while !right(&subscription.state()) {
            assert!(subscription.changed().await);
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn an_idle_queue_is_looked_at_by_its_own_clock() {
    let (writer, sampler) = (Writer::new(), sampler());
    let url = writer.create(&unique("idle")).await;
    let trigger = metadata(&[("queueURL", &url), ("pollingInterval", "1h"), ("idlePollingInterval", "300ms")]);
    let mut subscription = sampler.subscribe(SHOP, &trigger).unwrap();
    until(&mut subscription, |state| state.looks == 1).await;
    writer.send(&url, 0).await;
    until(&mut subscription, |state| state.rises == 1).await;
    sampler.close();
}

/// Halfway between two ticks of `interval` of the wall clock.
async fn between_ticks(interval: Duration) {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let into = Duration::from_nanos(u64::try_from(since_epoch.as_nanos() % interval.as_nanos()).unwrap());
    sleep(interval + interval / 2 - into).await;
}

#[tokio::test]
async fn a_thousand_idle_triggers_on_ten_queues_cost_ten_requests_an_interval() {
    let interval = Duration::from_secs(4);
    let (writer, sampler) = (Writer::new(), sampler());
    let urls = join_all((0..10).map(|_| async { writer.create(&unique("many")).await })).await;
    let mut subscriptions: Vec<_> = (0..1000)
        .map(|n: usize| {
            let activation = n.to_string();
            let trigger = metadata(&[
                ("queueURL", &urls[n % 10]),
                ("activationQueueLength", &activation),
                ("pollingInterval", "4s"),
                ("idlePollingInterval", "4s"),
            ]);
            sampler.subscribe(SHOP, &trigger).unwrap()
        })
        .collect();
    for subscription in &mut subscriptions {
        until(subscription, |state| state.sample.is_some()).await;
    }
    between_ticks(interval).await;
    let before = requests(&sampler);
    let looks =
        |subscriptions: &mut Vec<Subscription>| -> u64 { subscriptions.iter_mut().map(|s| s.state().looks).sum() };
    let looks_before = looks(&mut subscriptions);
    sleep(interval * 2).await;
    assert_eq!(looks(&mut subscriptions) - looks_before, 2000, "each trigger was looked at twice");
    assert_eq!(requests(&sampler) - before, 20);
    sampler.close();
}
