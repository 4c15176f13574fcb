//! The cluster of three brokers: who may break it, and that the next test gets it whole.
//!
//! What a test did to it before must not show in the next one, so whoever gets the cluster waits until every broker
//! has all three, every partition is in sync and led by the broker that it was made for: Kafka itself moves leaders
//! back only every five minutes, in the middle of some test. Asked by Kafka's own admin requests, without our client.

use std::{collections::HashMap, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ElectLeadersRequest, FindCoordinatorRequest, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
        metadata_response::MetadataResponsePartition,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Instant, timeout},
};

use super::fixtures::{Cluster, address};

/// Held for reading by tests that need the cluster as it is, for writing by those that break it.
static CALM: RwLock<()> = RwLock::const_new(());
/// A broker that was frozen or restarted on a busy machine is back by then.
const RECOVERY: Duration = Duration::from_secs(180);
const BROKERS: usize = 3;
/// Of the requests below; Kafka 4 speaks them.
const METADATA: i16 = 12;
const FIND_COORDINATOR: i16 = 4;
const ELECT_LEADERS: i16 = 2;

/// The cluster, whole, for a test that leaves it so.
pub async fn calm() -> RwLockReadGuard<'static, ()> {
    let guard = CALM.read().await;
    whole().await;
    guard
}

/// The cluster, whole, for a test that breaks it: no other test uses it meanwhile.
pub async fn three_to_break() -> (Cluster, RwLockWriteGuard<'static, ()>) {
    let guard = CALM.write().await;
    whole().await;
    (Cluster::new(servers()), guard)
}

/// Waits until nothing shows of what was done to the cluster.
pub async fn whole() {
    let deadline = Instant::now() + RECOVERY;
    while let Err(why) = is_whole().await {
        assert!(Instant::now() < deadline, "the three brokers are not whole again: {why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The broker that coordinates each of `groups`.
pub async fn coordinators(groups: &[String]) -> Vec<i32> {
    let keys = groups.iter().map(|group| StrBytes::from_string(group.clone())).collect();
    let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
    let servers = servers();
    let deadline = Instant::now() + RECOVERY;
    // The topic of the commits is made when it is first asked for.
    loop {
        let answer = ask(servers.split(',').next().unwrap(), &request, FIND_COORDINATOR).await.unwrap();
        if answer.coordinators.iter().all(|found| found.error_code == 0) {
            let found: HashMap<_, _> =
                answer.coordinators.into_iter().map(|found| (found.key, found.node_id.0)).collect();
            return groups.iter().map(|group| found[group.as_bytes()]).collect();
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn servers() -> String {
    address("PLIMSOLL_TEST_KAFKA_3")
}

async fn is_whole() -> Result<(), String> {
    let servers = servers();
    for server in servers.split(',') {
        let everything = MetadataRequest::default().with_topics(None);
        let metadata = ask(server, &everything, METADATA).await.map_err(|error| format!("{server}: {error}"))?;
        let in_sync =
            |partition: &MetadataResponsePartition| partition.isr_nodes.len() == partition.replica_nodes.len();
        if metadata.brokers.len() != BROKERS {
            return Err(format!("{server} knows {} brokers", metadata.brokers.len()));
        }
        if let Some(lagging) = partition_where(&metadata, |partition| !in_sync(partition)) {
            return Err(format!("{server}: {lagging} is not in sync"));
        }
        if let Some(moved) = partition_where(&metadata, |p| p.replica_nodes.first() != Some(&p.leader_id)) {
            let elect = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(5_000);
            ask(server, &elect, ELECT_LEADERS).await.map_err(|error| format!("{server}: {error}"))?;
            return Err(format!("{server}: {moved} is not led by its first replica"));
        }
    }
    Ok(())
}

fn partition_where(metadata: &MetadataResponse, is: impl Fn(&MetadataResponsePartition) -> bool) -> Option<String> {
    metadata.topics.iter().find_map(|topic| {
        let partition = topic.partitions.iter().find(|partition| is(partition))?;
        Some(format!("partition {} of {:?}", partition.partition_index, topic.name))
    })
}

/// Asks one broker over a connection of its own.
pub async fn ask<R: Request>(server: &str, request: &R, version: i16) -> anyhow::Result<R::Response> {
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut body = BytesMut::new();
    header.encode(&mut body, R::header_version(version))?;
    request.encode(&mut body, version)?;
    let mut frame = BytesMut::new();
    frame.put_u32(body.len().try_into()?);
    frame.unsplit(body);
    let answer = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&frame).await?;
        let mut answer = vec![0; stream.read_u32().await?.try_into()?];
        stream.read_exact(&mut answer).await?;
        anyhow::Ok(Bytes::from(answer))
    };
    let mut answer = timeout(Duration::from_secs(10), answer).await??;
    ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
    R::Response::decode(&mut answer, version)
}
