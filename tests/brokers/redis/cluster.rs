//! Redis Cluster: keys are asked for where they live, also while they move and when their node fails.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::{backend::Source, error::ReadErrorKind};
use tokio::time::Instant;

use super::{
    fixtures::{Pairs, Plimsoll, Writer, eventually, fails, source, unique, until_active, value, variable},
    server::{SOON, Server},
};

/// A replica is promoted after the node timeout and a vote; then the map is fetched again.
const FAILOVER: Duration = Duration::from_secs(30);
/// The sweep rings after at most this long.
const SWEEP: Duration = Duration::from_secs(36);

/// Three masters, and a replica for the first of them.
struct Group {
    nodes: Vec<Server>,
}

impl Group {
    async fn start() -> Self {
        let lines = ["cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no"];
        let nodes = join_all((0..4).map(|_| Server::start(&lines))).await;
        let mut writers = join_all(nodes.iter().map(Server::writer)).await;
        for (n, slots) in ["0 5460", "5461 10922", "10923 16383"].into_iter().enumerate() {
            writers[n].does(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
            writers[n].does(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1)).await;
        }
        for node in &nodes[1..] {
            writers[0].does(&format!("CLUSTER MEET 127.0.0.1 {}", node.port())).await;
        }
        for writer in &writers {
            all_of(writer, "cluster_known_nodes:4").await;
        }
        let first: String = writers[0].run("CLUSTER MYID").await;
        eventually(SOON, true, || {
            let (mut replica, first) = (writers[3].clone(), first.clone());
            async move { replica.try_run::<String>(&format!("CLUSTER REPLICATE {first}")).await.is_ok() }
        })
        .await;
        for writer in &writers {
            all_of(writer, "cluster_state:ok").await;
        }
        eventually(SOON, true, || {
            let mut replica = writers[3].clone();
            async move { replica.run::<String>("INFO replication").await.contains("master_link_status:up") }
        })
        .await;
        Self { nodes }
    }

    fn seeds(&self) -> String {
        self.nodes.iter().map(Server::address).collect::<Vec<_>>().join(",")
    }

    fn list(&self, key: &str) -> Arc<dyn Source> {
        source("redis-cluster", &[&[("addresses", &self.seeds()), ("listName", key)]])
    }

    /// A key that lives at master number `node`.
    async fn key_at(&self, node: usize) -> String {
        let mut writer = self.nodes[node].writer().await;
        for n in 0.. {
            let key = format!("key-{n}");
            if writer.try_run::<i64>(&format!("LLEN {key}")).await.is_ok() {
                return key;
            }
        }
        unreachable!()
    }
}

async fn all_of(writer: &Writer, line: &str) {
    eventually(SOON, true, || {
        let mut writer = writer.clone();
        async move { writer.run::<String>("CLUSTER INFO").await.contains(line) }
    })
    .await;
}

/// Moves `slot` from master `from` to master `to`, with the keys in it.
async fn move_slot(group: &Group, slot: u64, from: usize, to: usize) {
    begin_move(group, slot, from, to).await;
    let mut source = group.nodes[from].writer().await;
    let keys: Vec<String> = source.run(&format!("CLUSTER GETKEYSINSLOT {slot} 100")).await;
    for key in keys {
        source.does(&format!("MIGRATE 127.0.0.1 {} {key} 0 1000", group.nodes[to].port())).await;
    }
    let new: String = group.nodes[to].writer().await.run("CLUSTER MYID").await;
    for node in [to, from] {
        group.nodes[node].writer().await.does(&format!("CLUSTER SETSLOT {slot} NODE {new}")).await;
    }
}

async fn begin_move(group: &Group, slot: u64, from: usize, to: usize) {
    let (mut old, mut new) = (group.nodes[from].writer().await, group.nodes[to].writer().await);
    let (old_id, new_id): (String, String) = (old.run("CLUSTER MYID").await, new.run("CLUSTER MYID").await);
    new.does(&format!("CLUSTER SETSLOT {slot} IMPORTING {old_id}")).await;
    old.does(&format!("CLUSTER SETSLOT {slot} MIGRATING {new_id}")).await;
}

async fn slot_of(group: &Group, key: &str) -> u64 {
    group.nodes[0].writer().await.run(&format!("CLUSTER KEYSLOT {key}")).await
}

#[tokio::test]
async fn keys_of_all_nodes_are_read_over_one_connection_each_and_wake() {
    let group = Group::start().await;
    let (plimsoll, seeds) = (Plimsoll::new(), group.seeds());
    let keys: Vec<String> = (0..300).map(|n| format!("spread-{n}")).collect();
    let lists: Vec<_> = keys
        .iter()
        .map(|key| plimsoll.source("redis-cluster", &[&[("addresses", &seeds), ("listName", key)]]))
        .collect();
    assert_eq!(join_all(lists.iter().map(value)).await, vec![0.0; 300]);
    for node in 0..3 {
        let clients: String = group.nodes[node].writer().await.run("CLIENT LIST TYPE normal").await;
        assert_eq!(clients.matches(" flags=t ").count(), 1, "{clients}");
        let key = group.key_at(node).await;
        let list = plimsoll.source("redis-cluster", &[&[("addresses", &seeds), ("listName", &key)]]);
        assert_eq!(value(&list).await, 0.0);
        group.nodes[node].writer().await.does(&format!("RPUSH {key} a")).await;
        let start = Instant::now();
        until_active(&list, FAILOVER).await;
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_master_that_dies_is_replaced_and_the_others_are_not_disturbed() {
    let mut group = Group::start().await;
    let (dying, living) = (group.key_at(0).await, group.key_at(1).await);
    let plimsoll = Plimsoll::new();
    let make = |key: &str| plimsoll.source("redis-cluster", &[&[("addresses", &group.seeds()), ("listName", key)]]);
    let (lost, kept) = (make(&dying), make(&living));
    group.nodes[1].writer().await.does(&format!("RPUSH {living} a b")).await;
    assert_eq!((value(&lost).await, value(&kept).await), (0.0, 2.0));
    group.nodes[0].kill();
    let mut replica = group.nodes[3].writer().await;
    let following = async {
        eventually(FAILOVER, true, || {
            let mut replica = replica.clone();
            async move { replica.run::<String>("INFO replication").await.contains("role:master") }
        })
        .await;
        replica.does(&format!("RPUSH {dying} a")).await;
        until_active(&lost, FAILOVER).await
    };
    let undisturbed = async {
        loop {
            assert_eq!(value(&kept).await, 2.0);
            // Its own trouble, so that the others do not hold off with it.
            if let Err(error) = lost.read().await {
                assert!(!error.whole_connection, "{error}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::select! { seen = following => seen, () = undisturbed => unreachable!() };
    assert_eq!(seen.last(), Some(&1.0));
}

#[tokio::test]
async fn a_frozen_node_holds_up_nobody_elses_keys() {
    let group = Group::start().await;
    let (frozen, living) = (group.key_at(2).await, group.key_at(1).await);
    let plimsoll = Plimsoll::new();
    let make = |key: &str| plimsoll.source("redis-cluster", &[&[("addresses", &group.seeds()), ("listName", key)]]);
    let (lost, kept) = (make(&frozen), make(&living));
    assert_eq!((value(&lost).await, value(&kept).await), (0.0, 0.0));
    group.nodes[2].freeze();
    let start = Instant::now();
    let undisturbed = async {
        while start.elapsed() < Duration::from_secs(4) {
            let asked = Instant::now();
            assert_eq!(value(&kept).await, 0.0);
            assert!(asked.elapsed() < Duration::from_secs(1), "held up for {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let failing = async { lost.read().await.expect_err("frozen") };
    let (error, ()) = tokio::join!(failing, undisturbed);
    assert!(!error.whole_connection, "{error}");
    assert!(matches!(error.kind, ReadErrorKind::Timeout | ReadErrorKind::Unreachable), "{error}");
    group.nodes[2].thaw();
    group.nodes[2].writer().await.does(&format!("RPUSH {frozen} a")).await;
    until_active(&lost, FAILOVER).await;
}

#[tokio::test]
async fn a_key_is_followed_when_its_slot_moves() {
    let group = Group::start().await;
    let key = group.key_at(0).await;
    let (list, slot) = (group.list(&key), slot_of(&group, &key).await);
    group.nodes[0].writer().await.does(&format!("RPUSH {key} a b")).await;
    assert_eq!(value(&list).await, 2.0);
    move_slot(&group, slot, 0, 1).await;
    assert_eq!(value(&list).await, 2.0);
    group.nodes[1].writer().await.does(&format!("RPUSH {key} c")).await;
    until_active(&list, Duration::from_secs(3)).await;
    assert_eq!(value(&list).await, 3.0);
}

/// Nothing is pushed when the slot of a missing key moves, nor for what then happens at its new owner.
#[tokio::test]
async fn a_missing_key_whose_slot_moved_unheard_is_found_by_the_sweep() {
    let group = Group::start().await;
    let key = group.key_at(0).await;
    let (list, slot) = (group.list(&key), slot_of(&group, &key).await);
    assert_eq!(value(&list).await, 0.0);
    move_slot(&group, slot, 0, 2).await;
    group.nodes[2].writer().await.does(&format!("RPUSH {key} a")).await;
    until_active(&list, SWEEP).await;
}

#[tokio::test]
async fn a_slot_that_is_moving_is_asked_for_at_both_ends() {
    let group = Group::start().await;
    let key = group.key_at(0).await;
    let (list, slot) = (group.list(&key), slot_of(&group, &key).await);
    let streams: Vec<_> = [&[] as Pairs<'_>, &[("consumerGroup", "g"), ("lagCount", "1")]]
        .map(|mode| {
            source(
                "redis-cluster-streams",
                &[&[("addresses", &group.seeds()), ("stream", &format!("{{{key}}}s"))], mode],
            )
        })
        .into();
    begin_move(&group, slot, 0, 1).await;
    // Not at the old owner, so the new one must be asked, with `ASKING`.
    assert_eq!(value(&list).await, 0.0);
    assert_eq!(join_all(streams.iter().map(value)).await, [0.0, 0.0]);
    let mut new = group.nodes[1].writer().await;
    let mut pipeline = redis::Pipeline::new();
    pipeline.cmd("ASKING").ignore().cmd("RPUSH").arg(&key).arg("a").ignore();
    pipeline.cmd("ASKING").ignore().cmd("XADD").arg(format!("{{{key}}}s")).arg("*").arg("a").arg("b").ignore();
    new.pipeline(&pipeline).await;
    // The look through `ASKING` has armed the new owner, too.
    until_active(&list, Duration::from_secs(3)).await;
    assert_eq!(join_all(streams.iter().map(value)).await, [1.0, 1.0]);
}

#[tokio::test]
async fn one_good_seed_is_enough_and_none_is_told_so() {
    let good = variable("PLIMSOLL_TEST_REDIS_CLUSTER");
    let good = good.split(',').next().expect("an address");
    let gone = format!("127.0.0.1:{}", super::server::free_port());
    let key = unique("seed");
    let list = |addresses: &str| source("redis-cluster", &[&[("addresses", addresses), ("listName", &key)]]);
    assert_eq!(value(&list(&format!("{gone},,{good}"))).await, 0.0);
    let error = fails(&list(&gone), ReadErrorKind::Unreachable, &[&gone, "connection refused"]).await;
    assert!(error.whole_connection);
}

#[tokio::test]
async fn the_map_needs_its_right() {
    let lines = ["cluster-enabled yes", "user u on >secret ~* -@all +llen"];
    let server = Server::start(&lines).await;
    let login = [("username", "u"), ("password", "secret")];
    let list = source("redis-cluster", &[&[("address", &server.address()), ("listName", "q")], &login]);
    fails(&list, ReadErrorKind::Denied, &["+cluster|slots"]).await;
}
