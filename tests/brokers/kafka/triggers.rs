//! From a trigger's metadata to its reading, on a real cluster.

use std::{sync::Arc, time::Duration};

use plimsoll::{
    backend::{Registry, Source},
    error::{ReadError, ReadErrorKind},
    metadata::{Metadata, Reader},
    reading::Reading,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord, Producer},
};

use super::fixtures::{Cluster, address, unique};
use plimsoll::net::Reach;

fn source(scaler_type: &str, keys: &[(&str, &str)]) -> Arc<dyn Source> {
    source_of(&Registry::standard(), scaler_type, keys)
}

fn source_of(registry: &Registry, scaler_type: &str, keys: &[(&str, &str)]) -> Arc<dyn Source> {
    let servers = address("PLIMSOLL_TEST_KAFKA");
    let metadata: Metadata = [("bootstrapServers", servers.as_str())].into_iter().chain(keys.iter().copied()).collect();
    let backend = registry.find(scaler_type).expect("a backend of ours");
    backend.parse(scaler_type, &mut Reader::new(&metadata), &Reach::open()).expect("a legal trigger")
}

async fn measure(scaler_type: &str, keys: &[(&str, &str)]) -> Result<Reading, ReadError> {
    source(scaler_type, keys).read().await
}

#[track_caller]
fn check(what: &str, reading: Result<Reading, ReadError>, value: f64, active: bool) {
    let reading = reading.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(reading, Reading { value, active }, "{what}");
}

#[tokio::test]
async fn a_trigger_counts_as_its_metadata_says() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("count"), unique("count"));
    cluster.create(&topic, 3).await;
    cluster.produce(&topic, 0, 15).await;
    cluster.produce(&topic, 2, 25).await;
    cluster.commit(&group, &[(&topic, 0, 10)]).await;

    // Partition 0 is 5 behind, 1 is empty and without a commit, 2 has 25 records and no commit.
    for (what, keys, value, active) in [
        ("latest", vec![], 7.0, true),
        ("earliest, capped nowhere", vec![("offsetResetPolicy", "earliest")], 30.0, true),
        ("earliest, capped", vec![("offsetResetPolicy", "earliest"), ("lagThreshold", "6")], 18.0, true),
        ("no commit is zero", vec![("scaleToZeroOnInvalidOffset", "true")], 5.0, true),
        ("one partition", vec![("partitionLimitation", "1-2"), ("scaleToZeroOnInvalidOffset", "true")], 0.0, false),
        ("lagging ones", vec![("limitToPartitionsWithLag", "true"), ("lagThreshold", "2")], 6.0, true),
        ("even", vec![("ensureEvenDistributionOfPartitions", "true"), ("lagThreshold", "3")], 9.0, true),
        ("below activation", vec![("activationLagThreshold", "7")], 7.0, false),
    ] {
        let keys: Vec<_> = [("consumerGroup", group.as_str()), ("topic", &topic)].into_iter().chain(keys).collect();
        for scaler_type in ["kafka", "apache-kafka"] {
            check(what, measure(scaler_type, &keys).await, value, active);
        }
    }
}

#[tokio::test]
async fn without_a_topic_only_those_with_commits_count() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (one, two, group) = (unique("all"), unique("all"), unique("all"));
    cluster.create_many(&[&one, &two], 2, 1).await;
    cluster.produce(&one, 0, 4).await;
    cluster.produce(&two, 0, 9).await;
    for scaler_type in ["kafka", "apache-kafka"] {
        let source = source(scaler_type, &[("consumerGroup", &group)]);
        assert_eq!(source.metric().name, format!("kafka-{group}-topics"));
    }
    let measure = async || measure("apache-kafka", &[("consumerGroup", &group)]).await;
    check("never committed", measure().await, 0.0, false);
    cluster.commit(&group, &[(&one, 0, 1)]).await;
    check("3 behind, and a partition without a commit", measure().await, 4.0, true);
    cluster.commit(&group, &[(&two, 0, 9), (&two, 1, 0)]).await;
    check("the other topic too, caught up", measure().await, 4.0, true);
}

#[tokio::test]
async fn a_list_of_topics_is_a_sum_and_a_missing_one_an_error() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (one, two, group) = (unique("list"), unique("list"), unique("list"));
    cluster.create_many(&[&one, &two], 1, 1).await;
    cluster.produce(&one, 0, 4).await;
    cluster.produce(&two, 0, 5).await;
    cluster.commit(&group, &[(&one, 0, 0), (&two, 0, 3)]).await;
    let measure =
        async |topics: String| measure("apache-kafka", &[("consumerGroup", &group), ("topic", &topics)]).await;
    check("both", measure(format!("{one}, {two}")).await, 6.0, true);
    let missing = unique("missing");
    let error = measure(format!("{one},{missing}")).await.expect_err("KEDA would take it for 0");
    assert_eq!(error.kind, ReadErrorKind::NotFound);
    assert!(error.to_string().contains(&missing), "{error}");
}

#[tokio::test]
async fn a_limitation_that_matches_nothing_is_an_error() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("limit");
    cluster.create(&topic, 2).await;
    for scaler_type in ["kafka", "apache-kafka"] {
        let keys = [("consumerGroup", "nobody"), ("topic", &topic), ("partitionLimitation", "2-9")];
        let error = measure(scaler_type, &keys).await.expect_err("partitions 0 and 1 only");
        assert_eq!(error.kind, ReadErrorKind::NotFound);
        assert!(error.to_string().contains("`partitionLimitation` matches no partition"), "{error}");
    }
}

#[tokio::test]
async fn deleted_records_are_no_work() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, old, new) = (unique("deleted"), unique("deleted"), unique("deleted"));
    cluster.create(&topic, 1).await;
    cluster.produce(&topic, 0, 20).await;
    cluster.commit(&old, &[(&topic, 0, 5)]).await;
    delete_before(&topic, 17).await;
    for group in [&old, &new] {
        let keys = [("consumerGroup", group.as_str()), ("topic", &topic), ("offsetResetPolicy", "earliest")];
        check(group, measure("kafka", &keys).await, 3.0, true);
    }
    delete_before(&topic, 20).await;
    for group in [&old, &new] {
        let keys = [("consumerGroup", group.as_str()), ("topic", &topic), ("offsetResetPolicy", "earliest")];
        check(group, measure("kafka", &keys).await, 0.0, false);
    }
}

#[tokio::test]
async fn records_of_an_open_transaction_count_only_if_uncommitted_ones_do() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("transaction"), unique("transaction"));
    cluster.create(&topic, 1).await;
    cluster.commit(&group, &[(&topic, 0, 0)]).await;
    let measure = async |level| {
        let keys = [("consumerGroup", group.as_str()), ("topic", &topic), ("isolationLevel", level)];
        measure("kafka", &keys).await
    };
    let producer = transactional();
    producer.begin_transaction().unwrap();
    for _ in 0..3 {
        let record = FutureRecord::<(), str>::to(&topic).partition(0).payload("record");
        producer.send(record, Duration::from_secs(20)).await.unwrap();
    }
    check("open, committed ones only", measure("read_committed").await, 0.0, false);
    check("open, all", measure("read_uncommitted").await, 3.0, true);
    tokio::task::spawn_blocking(move || producer.commit_transaction(Duration::from_secs(20)).unwrap()).await.unwrap();
    // The coordinator writes the marker after it has answered, and the marker takes an offset of its own.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while measure("read_committed").await.unwrap().value < 4.0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    check("done", measure("read_committed").await, 4.0, true);
}

#[tokio::test]
async fn login_and_tls_come_from_the_metadata() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("secure"), unique("secure"));
    cluster.create(&topic, 1).await;
    cluster.produce(&topic, 0, 6).await;
    cluster.commit(&group, &[(&topic, 0, 4)]).await;
    let servers = address("PLIMSOLL_TEST_KAFKA_SASL_SSL");
    let ca = std::fs::read_to_string(format!("{}/ca.pem", address("PLIMSOLL_TEST_TLS_DIR"))).unwrap();
    let keys = [
        ("bootstrapServers", servers.as_str()),
        ("consumerGroup", &group),
        ("topic", &topic),
        ("tls", "enable"),
        ("sasl", "scram_sha512"),
        ("username", "user"),
        ("passwordFromEnv", "user-secret"),
    ];
    for trust in [("ca", ca.as_str()), ("skipTlsVerify", "true")] {
        let keys: Vec<_> = keys.into_iter().chain([trust]).collect();
        check(trust.0, measure("kafka", &keys).await, 2.0, true);
    }
    // KEDA's own key says nothing about the broker's certificate.
    let keys: Vec<_> = keys.into_iter().chain([("unsafeSsl", "true")]).collect();
    let error = measure("kafka", &keys).await.expect_err("nobody vouches for the certificate");
    assert!(error.to_string().contains("certificate of an unknown issuer"), "{error}");
}

#[tokio::test]
async fn the_first_record_wakes_an_idle_trigger() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("wake"), unique("wake"));
    cluster.create(&topic, 2).await;
    cluster.commit(&group, &[(&topic, 0, 0), (&topic, 1, 0)]).await;
    let source = source("kafka", &[("consumerGroup", &group), ("topic", &topic), ("partitionLimitation", "1")]);
    check("idle", source.read().await, 0.0, false);
    cluster.produce(&topic, 0, 1).await;
    let early = tokio::time::timeout(Duration::from_secs(2), source.wake()).await;
    assert!(early.is_err(), "partition 0 does not count");
    let produce = async {
        cluster.produce(&topic, 1, 1).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = source.wake() => {}
        () = produce => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => panic!("nothing woke it"),
    }
    check("awake", source.read().await, 1.0, true);
}

#[tokio::test]
async fn requests_of_clients_that_are_gone_stay_counted() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("counted");
    cluster.create(&topic, 1).await;
    let registry = Registry::standard();
    let requests = || registry.requests().find(|(name, _)| *name == "kafka").map(|(_, requests)| requests);
    assert_eq!(requests(), Some(0));
    let mut before = 0;
    for _ in 0..2 {
        let source = source_of(&registry, "kafka", &[("consumerGroup", "nobody"), ("topic", &topic)]);
        source.read().await.unwrap();
        drop(source);
        let now = requests().unwrap();
        // Versions, metadata, the coordinator, commits, ends.
        assert!(now >= before + 5, "{before} {now}");
        before = now;
    }
}

async fn delete_before(topic: &str, offset: i64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address("PLIMSOLL_TEST_KAFKA"));
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted.elements()[0].offset(), Offset::Offset(offset));
}

fn transactional() -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address("PLIMSOLL_TEST_KAFKA")).set("transactional.id", unique("transaction"));
    let producer: FutureProducer = config.create().unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer
}
