//! New records wake whoever waits for them, and nobody else.

use std::{sync::Arc, time::Duration};

use plimsoll::backend::kafka::client::{Client, Isolation, PartitionOffsets, Query};
use tokio::time::timeout;

use super::fixtures::{Cluster, address, query, read, unique};

/// A Fetch that is parked for so long is not what a wake in a test waits for.
const LONG: Duration = Duration::from_secs(20);
/// Far less than that; far more than a wake takes.
const SOON: Duration = Duration::from_secs(8);
/// Long enough to see that nothing happens.
const QUIET: Duration = Duration::from_millis(1500);

async fn wakes(client: &Client, isolation: Isolation, seen: &[PartitionOffsets]) -> bool {
    timeout(SOON, client.wake(isolation, seen)).await.is_ok()
}

async fn is_quiet(client: &Client, isolation: Isolation, seen: &[PartitionOffsets]) -> bool {
    timeout(QUIET, client.wake(isolation, seen)).await.is_err()
}

/// Waits in the background, until the Fetch is parked.
async fn parked(client: &Arc<Client>, query: &Query) -> tokio::task::JoinHandle<bool> {
    let seen = read(client, query).await;
    let before = client.requests().fetch;
    let (waiting, isolation) = (Arc::clone(client), query.isolation);
    #[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
    let waiter = tokio::spawn(async move { wakes(&waiting, isolation, &seen).await });
    while client.requests().fetch == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The request is on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    waiter
}

#[tokio::test]
async fn a_record_ends_a_parked_fetch_at_once_on_every_kafka() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD", "PLIMSOLL_TEST_KAFKA_3"] {
        let cluster = Cluster::at(variable).await;
        let (topic, group) = (unique("wake"), unique("wake"));
        cluster.create(&topic, 3).await;
        cluster.produce(&topic, 1, 2).await;
        let client = Arc::new(cluster.client().with_fetch_wait(LONG));
        let waiter = parked(&client, &query(&group, &[&topic])).await;
        cluster.produce(&topic, 1, 1).await;
        assert!(waiter.await.unwrap(), "{variable}");
    }
}

#[tokio::test]
async fn what_came_between_the_read_and_the_wait_wakes_too() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("between"), unique("between"));
    cluster.create(&topic, 1).await;
    let client = cluster.client().with_fetch_wait(LONG);
    let seen = read(&client, &query(&group, &[&topic])).await;
    cluster.produce(&topic, 0, 1).await;
    // Another trigger's look must not swallow it.
    read(&client, &query(&unique("other"), &[&topic])).await;
    assert!(wakes(&client, Isolation::ReadUncommitted, &seen).await);
    let seen = read(&client, &query(&group, &[&topic])).await;
    assert!(is_quiet(&client, Isolation::ReadUncommitted, &seen).await);
}

#[tokio::test]
async fn a_partition_that_joins_while_a_fetch_is_parked_is_looked_at() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (first, second) = (unique("first"), unique("second"));
    cluster.create_many(&[&first, &second], 1, 1).await;
    let client = Arc::new(cluster.client().with_fetch_wait(LONG));
    let _first = parked(&client, &query("group", &[&first])).await;
    let seen = read(&client, &query("group", &[&second])).await;
    let producing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.produce(&second, 0, 1).await;
    };
    let (woken, ()) = tokio::join!(wakes(&client, Isolation::ReadUncommitted, &seen), producing);
    assert!(woken);
}

#[tokio::test]
async fn a_wake_concerns_only_those_who_wait_for_that_partition() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA_3").await;
    let (busy, idle) = (unique("busy"), unique("idle"));
    cluster.create_many(&[&busy, &idle], 3, 1).await;
    let client = Arc::new(cluster.client());
    let waiter = parked(&client, &query("group", &[&busy])).await;
    let seen = read(&client, &query("group", &[&idle])).await;
    let producing = async {
        for partition in 0..3 {
            cluster.produce(&busy, partition, 5).await;
        }
    };
    let (quiet, ()) = tokio::join!(is_quiet(&client, Isolation::ReadUncommitted, &seen), producing);
    assert!(quiet);
    assert!(waiter.await.unwrap());
}

#[tokio::test]
async fn a_topic_made_anew_wakes_although_its_end_went_back() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("anew");
    cluster.create(&topic, 1).await;
    cluster.produce(&topic, 0, 5).await;
    let client = Arc::new(cluster.client());
    let waiter = parked(&client, &query("group", &[&topic])).await;
    cluster.delete(&topic).await;
    cluster.create(&topic, 1).await;
    assert!(waiter.await.unwrap());
    let seen = read(&client, &query("group", &[&topic])).await;
    assert_eq!(seen[0].end, Some(0));
    assert!(is_quiet(&client, Isolation::ReadUncommitted, &seen).await);
    cluster.produce(&topic, 0, 1).await;
    assert!(wakes(&client, Isolation::ReadUncommitted, &seen).await);
}
