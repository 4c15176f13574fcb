//! Who else speaks Kafka's protocol, each in its own versions and with its own gaps; and faults on demand.

use std::{process::Stdio, sync::Arc, time::Duration};

use plimsoll::{
    backend::kafka::client::{Client, Isolation, Query, Topics},
    error::ReadErrorKind,
};
use rdkafka::{
    mocking::{MockCluster, MockCoordinator},
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tokio::{
    process::{Child, Command},
    time::{Instant, timeout},
};

use super::fixtures::{Cluster, brief, brokers_dir, plain, query, read, unique};

/// Far more than a wake takes, on the busiest machine too.
const SOON: Duration = Duration::from_secs(20);

/// librdkafka's mock cluster with a topic of two partitions, five records in each, one of them read.
async fn mocked() -> (MockCluster<'static, DefaultProducerContext>, Cluster, Query) {
    let mock = MockCluster::new(3).unwrap();
    let (topic, group) = (unique("mock"), unique("mock"));
    mock.create_topic(&topic, 2, 3).unwrap();
    let cluster = Cluster::new(mock.bootstrap_servers());
    for partition in 0..2 {
        mock.partition_leader(&topic, partition, Some(1)).unwrap();
        cluster.produce(&topic, partition, 5).await;
    }
    mock.coordinator(MockCoordinator::Group(group.clone()), 1).unwrap();
    cluster.commit(&group, &[(&topic, 0, 1), (&topic, 1, 1)]).await;
    let query = query(&group, &[&topic]);
    (mock, cluster, query)
}

fn topic(query: &Query) -> &str {
    match &query.topics {
        Topics::Named(names) => &names[0],
        Topics::All => panic!("named"),
    }
}

const RIGHT: [(i32, Option<i64>, Option<i64>); 2] = [(0, Some(1), Some(5)), (1, Some(1), Some(5))];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mock_cluster_with_its_old_versions_is_read_and_wakes() {
    let (_mock, cluster, query) = mocked().await;
    // It does not end a Fetch when a record comes, so a wake takes as long as the Fetch.
    let client = cluster.client().with_fetch_wait(Duration::from_millis(50));
    let seen = read(&client, &query).await;
    assert_eq!(brief(&seen), RIGHT);
    let quiet = timeout(Duration::from_millis(500), client.wake(Isolation::ReadUncommitted, &seen)).await;
    assert!(quiet.is_err());
    cluster.produce(topic(&query), 1, 1).await;
    timeout(SOON, client.wake(Isolation::ReadUncommitted, &seen)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_of_leader_and_coordinator_are_followed_inside_the_read() {
    let (mock, cluster, query) = mocked().await;
    let client = cluster.client();
    for broker in [1, 2, 3, 1] {
        mock.partition_leader(topic(&query), 0, Some(broker)).unwrap();
        mock.coordinator(MockCoordinator::Group(query.group.to_string()), broker).unwrap();
        assert_eq!(brief(&read(&client, &query).await), RIGHT, "broker {broker}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_a_cluster_on_the_move_are_healed_inside_the_read() {
    use RDKafkaRespErr::*;
    let (mock, cluster, query) = mocked().await;
    let client = cluster.client();
    for (request, error) in [
        (RDKafkaApiKey::ListOffsets, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (RDKafkaApiKey::ListOffsets, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE),
        (RDKafkaApiKey::ListOffsets, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH),
        (RDKafkaApiKey::ListOffsets, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE),
        (RDKafkaApiKey::OffsetFetch, RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
        (RDKafkaApiKey::OffsetFetch, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
        (RDKafkaApiKey::OffsetFetch, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
    ] {
        assert_eq!(brief(&read(&client, &query).await), RIGHT);
        mock.request_errors(request, &[error, error]);
        assert_eq!(brief(&read(&client, &query).await), RIGHT, "{error:?}");
        mock.clear_request_errors(request);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_lasts_is_reported_by_its_name() {
    use RDKafkaRespErr::*;
    let (mock, cluster, query) = mocked().await;
    let client = cluster.client();
    read(&client, &query).await;
    for (request, error, kind, text) in [
        (RDKafkaApiKey::OffsetFetch, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ReadErrorKind::Unreachable, "NOT_COORDINATOR"),
        (RDKafkaApiKey::OffsetFetch, RD_KAFKA_RESP_ERR_UNKNOWN, ReadErrorKind::BadReply, "UNKNOWN_SERVER_ERROR"),
    ] {
        mock.request_errors(request, &[error; 100]);
        let begun = Instant::now();
        let found = client.read(Arc::new(query.clone())).await.unwrap_err();
        assert_eq!(found.kind, kind, "{found}");
        assert!(found.to_string().contains(text) && found.to_string().contains(&*query.group), "{found}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        mock.clear_request_errors(request);
        assert_eq!(brief(&read(&client, &query).await), RIGHT);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_is_an_error_until_its_partitions_move() {
    let (mock, cluster, query) = mocked().await;
    let client = cluster.client();
    read(&client, &query).await;
    mock.broker_down(1).unwrap();
    let error = client.read(Arc::new(query.clone())).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Unreachable, false), "{error}");
    for partition in 0..2 {
        mock.partition_leader(topic(&query), partition, Some(2)).unwrap();
    }
    mock.coordinator(MockCoordinator::Group(query.group.to_string()), 3).unwrap();
    assert_eq!(brief(&read(&client, &query).await), RIGHT);
    mock.broker_up(1).unwrap();
    assert_eq!(brief(&read(&client, &query).await), RIGHT);
}

/// A broker of another make.
struct Tansu {
    _process: Child,
    address: String,
}

impl Tansu {
    async fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/brokers/kafka/tansu");
        let printed = Command::new(script).env("BROKERS_DIR", brokers_dir()).output().await.unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let binary = String::from_utf8(printed.stdout).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let url = format!("tcp://{address}");
        let process = Command::new(binary.trim())
            .args(["broker", "--listener-url", &url, "--advertised-listener-url", &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = tokio::net::TcpStream::connect(&address).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { _process: process, address }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tansu_is_read_and_wakes() {
    let tansu = Tansu::start().await;
    let cluster = Cluster::new(&tansu.address);
    let (topic, group) = (unique("tansu"), unique("tansu"));
    cluster.create(&topic, 2).await;
    cluster.produce(&topic, 0, 4).await;
    cluster.commit(&group, &[(&topic, 0, 1)]).await;
    let client = Client::new(plain(&tansu.address));
    let seen = read(&client, &query(&group, &[&topic])).await;
    // It counts the records of a batch in its own way, so the other client says what is right.
    let expected = [(0, Some(1), Some(cluster.end(&topic, 0))), (1, None, Some(0))];
    assert_eq!(brief(&seen), expected);
    let all = Query { topics: Topics::All, ..query(&group, &[]) };
    assert_eq!(brief(&read(&client, &all).await), expected);
    // Its Fetch knows of more records than its ListOffsets: woken for nothing, yes, but not in circles.
    let mut wakes = 0;
    let circling = async {
        loop {
            client.wake(Isolation::ReadUncommitted, &seen[..1]).await;
            wakes += 1;
        }
    };
    timeout(Duration::from_secs(3), circling).await.unwrap_err();
    assert!(wakes <= 6, "{wakes}");
    let quiet = timeout(Duration::from_secs(1), client.wake(Isolation::ReadUncommitted, &seen[1..])).await;
    assert!(quiet.is_err());
    cluster.produce(&topic, 1, 1).await;
    timeout(SOON, client.wake(Isolation::ReadUncommitted, &seen[1..])).await.unwrap();
}
