//! Groups that are no classic consumer groups.

use std::time::Duration;

use kafka_protocol::{
    messages::{ShareGroupHeartbeatRequest, TopicName},
    protocol::StrBytes,
};
use plimsoll::error::ReadErrorKind;

use super::{
    fixtures::{Cluster, address, brief, query, read, unique},
    three::ask,
};

const SHARE_GROUP_HEARTBEAT: i16 = 1;

/// Joins `group` as a share group with one member, which makes it.
async fn join_share_group(server: &str, group: &str, topic: &str) {
    let member = StrBytes::from_string(uuid::Uuid::from_u128(rand::random()).to_string());
    let join = ShareGroupHeartbeatRequest::default()
        .with_group_id(StrBytes::from_string(group.to_owned()).into())
        .with_member_id(member)
        .with_member_epoch(0)
        .with_subscribed_topic_names(Some(vec![TopicName(StrBytes::from_string(topic.to_owned()))]));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask(server, &join, SHARE_GROUP_HEARTBEAT).await.unwrap();
        if answer.error_code == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_share_group_is_an_error_that_says_so_and_harms_no_other_group() {
    let server = address("PLIMSOLL_TEST_KAFKA");
    let cluster = Cluster::new(&server);
    let (topic, share, idle, consumer) = (unique("shared"), unique("share"), unique("idle"), unique("consumer"));
    cluster.create(&topic, 2).await;
    cluster.produce(&topic, 0, 5).await;
    cluster.commit(&consumer, &[(&topic, 0, 2)]).await;
    join_share_group(&server, &share, &topic).await;
    let client = cluster.client();
    let (share, idle, consumer) = (query(&share, &[&topic]), query(&idle, &[&topic]), query(&consumer, &[&topic]));
    for _ in 0..2 {
        let looks =
            async { tokio::join!(client.read(share.clone().into()), read(&client, &idle), read(&client, &consumer)) };
        let (refused, nothing, some) = looks.await;
        let error = refused.unwrap_err();
        assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::NotFound, false), "{error}");
        assert!(
            error.to_string().contains("is a share group") && error.to_string().contains("`consumerGroup`"),
            "{error}"
        );
        assert_eq!(brief(&nothing), [(0, None, Some(5)), (1, None, Some(0))]);
        assert_eq!(brief(&some), [(0, Some(2), Some(5)), (1, None, Some(0))]);
    }
    assert_eq!(client.requests().share_groups, 1, "what is known is not asked again");
}
