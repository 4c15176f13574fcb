//! What reading and waiting costs a cluster: requests and connections, counted.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::backend::kafka::client::{Client, Query, Requests};

use super::fixtures::{Cluster, query, read, unique};

const GROUPS: usize = 100;
const TOPICS: usize = 10;
const PARTITIONS: i32 = 12;
/// The posts of one broker.
const MOST_POSTS: u64 = 8;

/// A trigger for each of 100 groups on each of 10 topics.
async fn thousand_triggers(cluster: &Cluster) -> Vec<Query> {
    let prefix = unique("cost");
    let topics: Vec<String> = (0..TOPICS).map(|i| format!("{prefix}-{i}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    cluster.create_many(&names, PARTITIONS, 1).await;
    let groups = (0..GROUPS).map(|i| format!("{prefix}-{i}"));
    groups.flat_map(|group| topics.iter().map(move |topic| query(&group, &[topic]))).collect()
}

async fn read_all(client: &Client, queries: &[Query]) {
    let reads = queries.iter().map(|query| read(client, query));
    for offsets in join_all(reads).await {
        assert_eq!(offsets.len(), usize::try_from(PARTITIONS).unwrap());
    }
}

fn since(client: &Client, before: Requests) -> Requests {
    let now = client.requests();
    Requests {
        connections: now.connections - before.connections,
        api_versions: now.api_versions - before.api_versions,
        sasl: now.sasl - before.sasl,
        metadata: now.metadata - before.metadata,
        find_coordinator: now.find_coordinator - before.find_coordinator,
        offset_fetch: now.offset_fetch - before.offset_fetch,
        list_offsets: now.list_offsets - before.list_offsets,
        share_groups: now.share_groups - before.share_groups,
        fetch: now.fetch - before.fetch,
    }
}

async fn check_costs(variable: &str, brokers: u64) {
    let cluster = Cluster::at(variable).await;
    let queries = thousand_triggers(&cluster).await;
    let client = cluster.client();
    read_all(&client, &queries).await;
    let mut rounds: Vec<Requests> = Vec::new();
    // Where the machine is busy with something else in the middle of a round, that becomes two: the best one counts.
    let few = |rounds: &[Requests]| rounds.iter().any(|round| round.of_reads() <= 2 * brokers + 2);
    while !few(&rounds) {
        assert!(rounds.len() < 30, "{variable}: {rounds:?}");
        let before = client.requests();
        read_all(&client, &queries).await;
        let round = since(&client, before);
        assert_eq!(round.connections, 0, "{variable}: {round:?}");
        rounds.push(round);
    }
    assert!(client.requests().connections <= brokers, "{variable}: {:?}", client.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_triggers_cost_two_requests_per_broker() {
    check_costs("PLIMSOLL_TEST_KAFKA", 1).await;
    check_costs("PLIMSOLL_TEST_KAFKA_3", 3).await;
}

/// What waiting costs in five seconds.
async fn five_idle_seconds(client: &Client) -> Requests {
    // Everything is armed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = client.requests();
    tokio::time::sleep(Duration::from_secs(5)).await;
    since(client, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_triggers_on_few_partitions_cost_two_fetches_a_second_per_broker_and_one_more_connection() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA_3").await;
    let queries = thousand_triggers(&cluster).await;
    let client = Arc::new(cluster.client());
    let seen = join_all(queries.iter().map(|query| read(&client, query))).await;
    let waiting = join_all(seen.iter().map(|seen| client.wake(queries[0].isolation, seen)));
    let idle = tokio::select! {
        _ = waiting => panic!("woken for nothing"),
        idle = five_idle_seconds(&client) => idle,
    };
    // Two a second for three brokers, and the one that is under way at the start.
    assert!((3..=33).contains(&idle.fetch), "{idle:?}");
    assert_eq!((idle.of_reads(), idle.connections), (0, 0), "{idle:?}");
    assert!(client.requests().connections <= 6, "{:?}", client.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_partitions_of_one_broker_are_listened_to_over_eight_connections() {
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
    let topic = unique("many");
    cluster.create(&topic, 1_000).await;
    let client = cluster.client();
    let query = query("group", &[&topic]);
    let seen = read(&client, &query).await;
    let one_by_one = || join_all(seen.iter().map(|one| client.wake(query.isolation, std::slice::from_ref(one))));
    let idle = tokio::select! {
        _ = one_by_one() => panic!("woken for nothing"),
        idle = five_idle_seconds(&client) => idle,
    };
    // Two a second for each, and the one that is under way at the start.
    assert!((MOST_POSTS..=11 * MOST_POSTS).contains(&idle.fetch), "{idle:?}");
    assert_eq!((idle.of_reads(), idle.connections), (0, 0), "{idle:?}");
    assert_eq!(client.requests().connections, 1 + MOST_POSTS, "{:?}", client.requests());
    // Who looks and comes back finds its place: nothing is sent but what was parked anyway.
    let again = tokio::select! {
        _ = one_by_one() => panic!("woken for nothing"),
        again = five_idle_seconds(&client) => again,
    };
    assert_eq!((again.of_reads(), again.connections), (0, 0), "{again:?}");
    cluster.delete(&topic).await;
}
