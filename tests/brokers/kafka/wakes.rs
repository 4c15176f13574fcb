//! New records wake whoever waits for them, and nobody else.

use std::{sync::Arc, time::Duration};

use plimsoll::backend::kafka::client::{Client, Isolation, PartitionOffsets, Query};
use tokio::time::timeout;

use super::{
    fixtures::{Cluster, login_as, query, read, restart, unique},
    three::{three_to_break, whole},
};

/// A Fetch that is parked for so long is not what a wake in a test waits for.
const LONG: Duration = Duration::from_secs(60);
/// Far less than that; far more than a wake takes.
const SOON: Duration = Duration::from_secs(20);
/// Long enough to see that nothing happens.
const QUIET: Duration = Duration::from_millis(1500);

async fn wakes(client: &Client, isolation: Isolation, seen: &[PartitionOffsets]) -> bool {
    timeout(SOON, client.wake(isolation, seen)).await.is_ok()
}

/// Waits in the background, until the Fetch is parked, and then for as long as the test likes.
async fn parked_for(
    client: &Arc<Client>,
    isolation: Isolation,
    seen: Arc<[PartitionOffsets]>,
    span: Duration,
) -> tokio::task::JoinHandle<bool> {
    let before = client.requests().fetch;
    let waiting = Arc::clone(client);
    #[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
    let waiter = tokio::spawn(async move { timeout(span, waiting.wake(isolation, &seen)).await.is_ok() });
    while client.requests().fetch == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The request is on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    waiter
}

async fn is_quiet(client: &Client, isolation: Isolation, seen: &[PartitionOffsets]) -> bool {
    timeout(QUIET, client.wake(isolation, seen)).await.is_err()
}

/// The same, from what a read tells.
async fn parked(client: &Arc<Client>, query: &Query) -> tokio::task::JoinHandle<bool> {
    parked_for(client, query.isolation, read(client, query).await, SOON).await
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
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
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
async fn what_stays_as_it_is_is_fetched_ever_more_rarely_and_wakes_at_once_all_the_same() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
    let (topic, group) = (unique("rare"), unique("rare"));
    cluster.create(&topic, 3).await;
    let client = Arc::new(cluster.client());
    let query = query(&group, &[&topic]);
    let waiter = parked(&client, &query).await;
    // Parked for 0.5 s, 1 s, 2 s, 4 s: the fourth is under way.
    let parked_often = async {
        while client.requests().fetch < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, parked_often).await.expect("it goes on listening");
    let begin = tokio::time::Instant::now();
    cluster.produce(&topic, 1, 1).await;
    assert!(waiter.await.unwrap());
    assert!(begin.elapsed() < Duration::from_secs(2), "the record ends a long wait: {:?}", begin.elapsed());
    // What is armed while a long Fetch is parked is looked at until it joins.
    let other = unique("rare-too");
    cluster.create(&other, 1).await;
    let joining = super::fixtures::query(&group, &[&other]);
    let seen = read(&client, &joining).await;
    let begin = tokio::time::Instant::now();
    let (woken, ()) = tokio::join!(wakes(&client, joining.isolation, &seen), cluster.produce(&other, 0, 1));
    assert!(woken && begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_partition_that_joins_while_a_fetch_is_parked_is_looked_at() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
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
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
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

#[tokio::test]
async fn committed_records_wake_at_the_commit_and_an_abort_wakes_too() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD"] {
        let cluster = Cluster::at(variable).await;
        let topic = unique("committed");
        cluster.create(&topic, 1).await;
        let client = Arc::new(cluster.client().with_fetch_wait(LONG));
        let query = Query { isolation: Isolation::ReadCommitted, ..query("group", &[&topic]) };
        let mut end = 0;
        for commits in [true, false] {
            let transaction = cluster.begin(&topic).await;
            let seen = read(&client, &query).await;
            assert_eq!(seen[0].end, Some(end), "{variable}");
            let mut waiter = parked_for(&client, query.isolation, seen, LONG).await;
            // The record is there, but not to be read.
            assert!(timeout(QUIET, &mut waiter).await.is_err(), "{variable}");
            transaction.end(commits).await;
            // The last stable offset moves on either way, past the marker: a look tells that there is nothing after an abort.
            assert!(waiter.await.unwrap(), "{variable}, commits: {commits}");
            end += 2;
            assert_eq!(read(&client, &query).await[0].end, Some(end), "{variable}");
        }
    }
}

#[tokio::test]
async fn who_may_describe_but_not_read_is_woken_by_looking() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
    let topic = format!("described-{}", unique("wake"));
    let group = format!("described-{}", unique("wake"));
    cluster.create(&topic, 1).await;
    let client = Client::new(login_as("describer"));
    let seen = read(&client, &query(&group, &[&topic])).await;
    assert!(is_quiet(&client, Isolation::ReadUncommitted, &seen).await);
    let fetches = client.requests().fetch;
    let producing = async {
        tokio::time::sleep(QUIET).await;
        cluster.produce(&topic, 0, 1).await;
    };
    let (woken, ()) = tokio::join!(wakes(&client, Isolation::ReadUncommitted, &seen), producing);
    assert!(woken);
    // What is refused is not asked for again and again.
    assert!(client.requests().fetch <= fetches + 2, "{:?}", client.requests());
}

#[tokio::test]
async fn a_wake_is_not_lost_when_the_leader_moves() {
    let (cluster, _guard) = three_to_break().await;
    let topic = unique("moves");
    cluster.create_replicated(&topic, 1, 3).await;
    let client = Arc::new(cluster.client());
    let query = query("group", &[&topic]);
    for round in 0..3 {
        // A broker may take its time to leave.
        let seen = read(&client, &query).await;
        let waiter = parked_for(&client, query.isolation, seen, Duration::from_secs(120)).await;
        let leader = cluster.leaders(&topic)[0];
        let node = format!("kafka-3-{leader}");
        let restarting = restart(&node);
        tokio::pin!(restarting);
        // Written to whoever leads now, as soon as the former leader is gone.
        let producing = async {
            while cluster.leaders(&topic) == [leader] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            cluster.produce(&topic, 0, 1).await;
        };
        tokio::select! {
            () = producing => {}
            () = &mut restarting => panic!("{node} led all the time"),
        }
        let woken = timeout(SOON, waiter).await;
        restarting.await;
        whole().await;
        assert!(matches!(woken, Ok(Ok(true))), "round {round}: {woken:?}");
    }
}
