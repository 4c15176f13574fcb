//! What a read says is what is in the cluster.

use plimsoll::{
    backend::kafka::client::{Commit, Topics},
    error::ReadErrorKind,
};

use super::fixtures::{Cluster, address, brief, query, read, unique};

#[tokio::test]
async fn a_read_gives_commit_and_end_of_every_partition() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD", "PLIMSOLL_TEST_KAFKA_3"] {
        let cluster = Cluster::at(variable).await;
        let (topic, group) = (unique("read"), unique("read"));
        cluster.create(&topic, 3).await;
        cluster.produce(&topic, 0, 5).await;
        cluster.produce(&topic, 2, 2).await;
        cluster.commit(&group, &[(&topic, 0, 3), (&topic, 1, 0)]).await;
        let offsets = read(&cluster.client(), &query(&group, &[&topic])).await;
        assert_eq!(brief(&offsets), [(0, Some(3), Some(5)), (1, Some(0), Some(0)), (2, None, Some(2))], "{variable}");
    }
}

#[tokio::test]
async fn a_group_that_nobody_has_heard_of_has_no_commits() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("fresh");
    cluster.create(&topic, 2).await;
    let client = cluster.client();
    let offsets = read(&client, &query(&unique("nobody"), &[&topic])).await;
    assert_eq!(brief(&offsets), [(0, None, Some(0)), (1, None, Some(0))]);
    let all = plimsoll::backend::kafka::client::Query { topics: Topics::All, ..query(&unique("nobody"), &[]) };
    assert_eq!(*read(&client, &all).await, []);
}

#[tokio::test]
async fn without_topics_a_group_is_read_on_those_it_has_committed_on() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD", "PLIMSOLL_TEST_KAFKA_3"] {
        let cluster = Cluster::at(variable).await;
        let (a, b, other, group) = (unique("a"), unique("b"), unique("other"), unique("all"));
        cluster.create_many(&[&a, &b, &other], 2, 1).await;
        cluster.produce(&a, 1, 4).await;
        cluster.commit(&group, &[(&a, 1, 1), (&b, 0, 0)]).await;
        let all = plimsoll::backend::kafka::client::Query { topics: Topics::All, ..query(&group, &[]) };
        let offsets = read(&cluster.client(), &all).await;
        let found: Vec<_> = offsets.iter().map(|o| (&*o.topic, o.partition, o.committed, o.end)).collect();
        assert_eq!(
            found,
            [
                (&*a, 0, Commit::None, Some(0)),
                (&*a, 1, Commit::Offset(1), Some(4)),
                (&*b, 0, Commit::Offset(0), Some(0)),
                (&*b, 1, Commit::None, Some(0)),
            ],
            "{variable}"
        );
    }
}

#[tokio::test]
async fn an_unknown_topic_is_an_error_that_names_it() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD"] {
        let cluster = Cluster::at(variable).await;
        let topic = unique("nowhere");
        let client = cluster.client();
        for _ in 0..2 {
            let error = client.read(query("group", &[&topic]).into()).await.unwrap_err();
            assert_eq!(error.kind, ReadErrorKind::NotFound);
            assert!(!error.whole_connection);
            assert!(error.to_string().contains(&topic), "{error}");
        }
    }
}
