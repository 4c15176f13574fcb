//! Servers that do not behave: gone, silent, starting, overloaded. Never a wrong value, never a lost wake, and
//! nothing to restart on our side.

use std::time::Duration;

use plimsoll::error::ReadErrorKind::{BadReply, NotFound, Throttled, Timeout, Unreachable};
use tokio::{net::TcpListener, time::Instant};

use super::{
    fixtures::{eventually, fails, list_at, sleeps, source, until_active, value, wakes},
    relay::Relay,
    server::{SOON, Server, free_port},
};

/// A lost connection is back after this long at most: the longest pause, and the time to connect.
const BACK: Duration = Duration::from_secs(8);

#[tokio::test]
async fn what_cannot_be_reached_says_why_at_once() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let start = Instant::now();
    fails(&list_at(&nobody, "q"), Unreachable, &[&nobody, "connection refused"]).await;
    fails(&list_at("no-such-host.invalid:6379", "q"), Unreachable, &["no-such-host.invalid", "DNS"]).await;
    fails(&list_at("justhost", "q"), Unreachable, &["`justhost`", "has no port"]).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn silence_is_a_timeout_with_a_hint() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    fails(&list_at(&address, "q"), Timeout, &[&address, "does not answer", "`tls: enable`"]).await;
}

#[tokio::test]
async fn what_is_no_redis_is_told_so() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let answering = async {
        loop {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut socket, _) = server.accept().await.unwrap();
            let _half_a_hello = socket.read(&mut [0; 1024]).await;
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.ok();
        }
    };
    let (list, words) = (list_at(&address, "q"), [address.as_str(), "does not speak Redis's protocol"]);
    tokio::select! {
        _ = fails(&list, BadReply, &words) => {}
        () = answering => {}
    }
}

#[tokio::test]
async fn a_broken_connection_is_healed_inside_the_read() {
    let server = Server::start(&[]).await;
    let (list, mut writer) = (list_at(&server.address(), "q"), server.writer().await);
    writer.does("RPUSH q a b").await;
    for _ in 0..3 {
        assert_eq!(value(&list).await, 2.0);
        writer.does("CLIENT KILL TYPE normal SKIPME yes").await;
        assert_eq!(value(&list).await, 2.0);
    }
}

#[tokio::test]
async fn a_read_whose_connection_breaks_before_the_answer_is_healed() {
    let server = Server::start(&[]).await;
    let relay = Relay::to(&server.address()).await;
    let list = list_at(relay.address(), "q");
    server.writer().await.does("RPUSH q a b").await;
    assert_eq!(value(&list).await, 2.0);
    server.freeze();
    let before = relay.bytes();
    let cutting = async {
        // Whether the length itself is asked for, or by a PING whether it has changed: that depends on whether it is tracked yet.
        eventually(BACK, true, async || relay.bytes() > before).await;
        relay.cut();
        server.thaw();
    };
    let (seen, ()) = tokio::join!(value(&list), cutting);
    assert_eq!(seen, 2.0);
}

#[tokio::test]
async fn a_change_while_the_line_is_cut_wakes_when_it_is_back() {
    let server = Server::start(&[]).await;
    let relay = Relay::to(&server.address()).await;
    let (list, mut writer) = (list_at(relay.address(), "q"), server.writer().await);
    for round in 1..=5 {
        assert_eq!(value(&list).await, 0.0);
        relay.cut();
        writer.does("RPUSH q a").await;
        let seen = until_active(&list, BACK).await;
        assert_eq!(seen.last(), Some(&1.0), "round {round}");
        writer.does("DEL q").await;
        eventually(BACK, 0.0, async || value(&list).await).await;
    }
}

#[tokio::test]
async fn a_restart_is_an_error_then_the_truth_and_a_wake() {
    let mut server = Server::start(&[]).await;
    let list = list_at(&server.address(), "q");
    assert_eq!(value(&list).await, 0.0);
    server.kill();
    eventually(BACK, Some(Unreachable), async || list.read().await.err().map(|error| error.kind)).await;
    fails(&list, Unreachable, &["connection refused"]).await;
    sleeps(&list, Duration::from_millis(500)).await;
    server.start_again().await;
    server.writer().await.does("RPUSH q a").await;
    until_active(&list, BACK).await;
}

#[tokio::test]
async fn a_frozen_server_is_an_error_soon_and_a_wake_when_it_thaws() {
    let server = Server::start(&[]).await;
    let list = list_at(&server.address(), "q");
    assert_eq!(value(&list).await, 0.0);
    let mut writer = server.writer().await;
    server.freeze();
    let start = Instant::now();
    let error = fails(&list, Timeout, &["has not answered for"]).await;
    assert!(error.whole_connection && start.elapsed() < Duration::from_secs(5), "{error} after {:?}", start.elapsed());
    // Told at once from now on, and not after a wait of its own.
    let start = Instant::now();
    fails(&list, Timeout, &[]).await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    let pushing = writer.does("RPUSH q a");
    server.thaw();
    pushing.await;
    until_active(&list, BACK).await;
}

#[tokio::test]
async fn a_loading_server_is_no_empty_server() {
    let lines = ["loading-process-events-interval-bytes 1024", "enable-debug-command local"];
    let mut server = Server::start(&lines).await;
    let mut writer = server.writer().await;
    writer.does("DEBUG POPULATE 20000").await;
    writer.does("RPUSH q a b c").await;
    writer.does("SAVE").await;
    let config = server.directory().join("redis.conf");
    let text = std::fs::read_to_string(&config).unwrap();
    // Two seconds of loading, in which it accepts connections and refuses commands.
    std::fs::write(config, format!("{text}\nkey-load-delay 100\n")).unwrap();
    let list = list_at(&server.address(), "q");
    assert_eq!(value(&list).await, 3.0);
    server.kill();
    server.start_again_unseen();
    let mut texts = Vec::new();
    let seen = async {
        loop {
            match list.read().await {
                Ok(reading) => return reading.value,
                Err(error) => texts.push(error.to_string()),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(tokio::time::timeout(SOON, seen).await, Ok(3.0));
    assert!(texts.iter().any(|text| text.contains("loading its data")), "{texts:?}");
}

#[tokio::test]
async fn a_server_held_up_by_a_script_is_an_error_until_it_is_free() {
    let server = Server::start(&["busy-reply-threshold 100"]).await;
    let list = list_at(&server.address(), "q");
    assert_eq!(value(&list).await, 0.0);
    let (mut holder, mut writer) = (server.writer().await, server.writer().await);
    let holding = async { holder.try_run::<redis::Value>("EVAL while(true)do(function()end)()end 0").await.ok() };
    let watching = async {
        eventually(BACK, true, async || list.read().await.is_err_and(|error| error.to_string().contains("script")))
            .await;
        writer.does("SCRIPT KILL").await;
        eventually(BACK, Some(0.0), async || list.read().await.ok().map(|reading| reading.value)).await;
        writer.does("RPUSH q a").await;
        until_active(&list, BACK).await;
    };
    tokio::join!(holding, watching);
}

#[tokio::test]
async fn a_replica_cut_off_from_its_master_is_not_believed() {
    let master = format!("replicaof 127.0.0.1 {}", free_port());
    let server = Server::start(&["replica-serve-stale-data no", &master]).await;
    let list = list_at(&server.address(), "q");
    fails(&list, Unreachable, &["cut off from its master"]).await;
    let mut writer = server.writer().await;
    writer.does("REPLICAOF NO ONE").await;
    writer.does("RPUSH q a").await;
    until_active(&list, BACK).await;
}

#[tokio::test]
async fn a_full_server_is_told_so_and_tried_again() {
    let server = Server::start(&[]).await;
    let mut writer = server.writer().await;
    writer.does("CONFIG SET maxclients 1").await;
    let list = list_at(&server.address(), "q");
    fails(&list, Throttled, &["maxclients"]).await;
    writer.does("RPUSH q a").await;
    writer.does("CONFIG SET maxclients 10").await;
    until_active(&list, BACK).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_is_not_taken_for_a_lone_server_nor_the_other_way_round() {
    let cluster = super::fixtures::variable("PLIMSOLL_TEST_REDIS_CLUSTER");
    let first = cluster.split(',').next().expect("an address");
    // Of three masters one has the key.
    let sources: Vec<_> = (0..9).map(|n| list_at(first, &format!("plimsoll-test-spread-{n}"))).collect();
    let mut told = 0;
    for list in &sources {
        if let Err(error) = list.read().await {
            assert_eq!(error.kind, BadReply);
            assert!(error.to_string().contains("`scalerType: redis-cluster`"), "{error}");
            told += 1;
        }
    }
    assert!(told > 0);
    let alone = super::fixtures::variable("PLIMSOLL_TEST_REDIS");
    let list = source("redis-cluster", &[&[("address", &alone), ("listName", "q")]]);
    fails(&list, BadReply, &["not part of a cluster", "`scalerType: redis`"]).await;
    let list = source("redis-sentinel", &[&[("address", &alone), ("listName", "q"), ("sentinelMaster", "m")]]);
    fails(&list, BadReply, &["does not answer as a sentinel"]).await;
    let list = source("redis-sentinel", &[&[("address", &alone), ("listName", "q")]]);
    fails(&list, NotFound, &["set `sentinelMaster`"]).await;
}

#[tokio::test]
async fn a_demand_during_an_outage_does_not_knock_in_a_loop() {
    let (list, server) = {
        let server = Server::start(&[]).await;
        let relay = Relay::to(&server.address()).await;
        let list = list_at(relay.address(), "q");
        assert_eq!(value(&list).await, 0.0);
        (list, (server, relay))
    };
    let (mut server, relay) = server;
    server.kill();
    let before = relay.connections();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        list.read().await.ok();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // 20 ms doubling to 2 s, halved by jitter at most.
    let knocks = relay.connections() - before;
    assert!((3..=24).contains(&knocks), "{knocks} attempts in 3 s");
    wakes_not(&list).await;
}

async fn wakes_not(list: &std::sync::Arc<dyn plimsoll::backend::Source>) {
    let woken = tokio::time::timeout(Duration::from_millis(300), wakes(list, BACK)).await;
    assert!(woken.is_err(), "nothing to look at yet");
}
