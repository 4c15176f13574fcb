//! What wakes an idle key, how fast, and what does not.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::backend::Source;
use tokio::time::{Instant, sleep, timeout};

use super::{
    fixtures::{Plimsoll, Writer, eventually, list_at, sleeps, source, unique, value, variable, wakes},
    server::Server,
};

/// No push takes longer, even on a machine that is busy with other tests.
const PUSH: Duration = Duration::from_secs(3);
/// The sweep rings after at most this long.
const SWEEP: Duration = Duration::from_secs(36);

#[tokio::test]
async fn whatever_fills_a_missing_key_wakes() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    for (write, expected) in [
        ("LPUSH KEY a", 1.0),
        ("RPUSH KEY a b", 2.0),
        ("SADD KEY a", 1.0),
        ("ZADD KEY 1 a", 1.0),
        ("HSET KEY a 1", 1.0),
        ("RENAME OTHER KEY", 2.0),
        ("COPY OTHER KEY", 2.0),
        ("RPOPLPUSH OTHER KEY", 1.0),
        ("EVAL return(redis.call('LPUSH',KEYS[1],'x')) 1 KEY", 1.0),
    ] {
        let (key, other) = (unique("wake"), unique("other"));
        writer.does(&format!("RPUSH {other} a b")).await;
        let list = list_at(&address, &key);
        assert_eq!(value(&list).await, 0.0);
        writer
            .does(&write.replace("KEYS[1]", "#").replace("KEY", &key).replace('#', "KEYS[1]").replace("OTHER", &other))
            .await;
        wakes(&list, PUSH).await;
        assert_eq!(value(&list).await, expected, "{write}");
        writer.does(&format!("DEL {key} {other}")).await;
    }
}

#[tokio::test]
async fn a_stream_wakes_when_an_entry_is_added_whatever_is_measured() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    let (key, lagging) = (unique("stream"), unique("stream"));
    let length = source("redis-streams", &[&[("address", &address), ("stream", &key)]]);
    let lag = source(
        "redis-streams",
        &[&[("address", &address), ("stream", &lagging), ("consumerGroup", "g"), ("lagCount", "1")]],
    );
    writer.does(&format!("XGROUP CREATE {lagging} g $ MKSTREAM")).await;
    for (source, key) in [(&length, &key), (&lag, &lagging)] {
        assert_eq!(value(source).await, 0.0);
        writer.does(&format!("XADD {key} * a b")).await;
        wakes(source, PUSH).await;
        assert_eq!(value(source).await, 1.0);
        writer.does(&format!("DEL {key}")).await;
    }
}

#[tokio::test]
async fn entries_that_consumers_take_are_looked_for_by_the_clock() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let (key, mut writer) = (unique("pending"), Writer::new(&address).await);
    writer.does(&format!("XGROUP CREATE {key} g $ MKSTREAM")).await;
    let metadata: [(&str, &str); 3] = [("address", &address), ("stream", &key), ("consumerGroup", "g")];
    let pending = source("redis-streams", &[&metadata, &[("idlePollingInterval", "50ms")]]);
    assert_eq!(value(&pending).await, 0.0);
    writer.does(&format!("XADD {key} * a b")).await;
    writer.does(&format!("XREADGROUP GROUP g me STREAMS {key} >")).await;
    super::fixtures::until_active(&pending, PUSH).await;
    writer.does(&format!("DEL {key}")).await;
}

#[tokio::test]
async fn nothing_wakes_a_key_that_nobody_touches() {
    let server = Server::start(&[]).await;
    let list = list_at(&server.address(), "quiet");
    let mut writer = server.writer().await;
    assert_eq!(value(&list).await, 0.0);
    writer.does("RPUSH other a").await;
    sleeps(&list, Duration::from_secs(2)).await;
    assert_eq!(writer.calls("llen").await, 1);
}

#[tokio::test]
async fn a_thousand_idle_keys_cost_nothing_but_the_beat() {
    let server = Server::start(&[]).await;
    let mut writer = server.writer().await;
    let plimsoll = Plimsoll::new();
    let address = server.address();
    let sources: Vec<_> = (0..1_000)
        .map(|n| plimsoll.source("redis", &[&[("address", &address), ("listName", &format!("idle-{n}"))]]))
        .collect();
    join_all(sources.iter().map(value)).await;
    let pings = writer.calls("ping").await;
    let start = Instant::now();
    let woken =
        timeout(Duration::from_secs(4), futures::future::select_all(sources.iter().map(|source| source.wake()))).await;
    assert!(woken.is_err(), "woken for no reason");
    assert_eq!(writer.calls("llen").await, 1_000);
    let beats = writer.calls("ping").await - pings;
    assert!(beats <= 1 + start.elapsed().as_secs(), "{beats} beats");
}

#[tokio::test]
async fn a_change_between_look_and_wait_is_not_lost() {
    let server = Server::start(&[]).await;
    let (list, mut writer) = (list_at(&server.address(), "race"), server.writer().await);
    assert_eq!(value(&list).await, 0.0);
    writer.does("RPUSH race a").await;
    sleep(Duration::from_millis(100)).await;
    wakes(&list, PUSH).await;
    assert_eq!(value(&list).await, 1.0);
    sleeps(&list, Duration::from_millis(300)).await;
}

#[tokio::test]
async fn two_triggers_of_one_key_wake_both() {
    let server = Server::start(&[]).await;
    let (plimsoll, address) = (Plimsoll::new(), server.address());
    let with =
        |length| plimsoll.source("redis", &[&[("address", &address), ("listName", "shared"), ("listLength", length)]]);
    let (one, other) = (with("1"), with("2"));
    value(&one).await;
    value(&other).await;
    server.writer().await.does("RPUSH shared a").await;
    wakes(&one, PUSH).await;
    assert_eq!(value(&one).await, 1.0);
    wakes(&other, PUSH).await;
}

#[tokio::test]
async fn a_hand_over_to_a_waiting_consumer_wakes_once_and_leaves_the_key_armed() {
    let server = Server::start(&[]).await;
    let (list, mut writer, mut consumer) =
        (list_at(&server.address(), "q"), server.writer().await, server.writer().await);
    assert_eq!(value(&list).await, 0.0);
    let taking = async { consumer.run::<Vec<String>>("BLPOP q 5").await };
    let giving = async {
        eventually(PUSH, true, || {
            let mut writer = writer.clone();
            async move { writer.run::<String>("CLIENT LIST").await.contains("cmd=blpop") }
        })
        .await;
        writer.does("LPUSH q a").await;
    };
    tokio::join!(taking, giving);
    wakes(&list, PUSH).await;
    assert_eq!(value(&list).await, 0.0);
    writer.does("LPUSH q a").await;
    wakes(&list, PUSH).await;
    assert_eq!(value(&list).await, 1.0);
}

#[tokio::test]
async fn a_flush_wakes_everything() {
    let server = Server::start(&[]).await;
    let (plimsoll, address) = (Plimsoll::new(), server.address());
    let mut writer = server.writer().await;
    writer.does("RPUSH a 1").await;
    let sources: Vec<_> =
        ["a", "b"].map(|key| plimsoll.source("redis", &[&[("address", &address), ("listName", key)]])).into();
    join_all(sources.iter().map(value)).await;
    writer.does("FLUSHALL").await;
    join_all(sources.iter().map(|source| wakes(source, PUSH))).await;
    assert_eq!(join_all(sources.iter().map(value)).await, [0.0, 0.0]);
}

#[tokio::test]
async fn a_swapped_database_is_found_by_the_sweep() {
    let server = Server::start(&[]).await;
    let (list, mut writer) = (list_at(&server.address(), "swapped"), server.writer().await);
    let mut elsewhere = server.writer().await;
    elsewhere.does("SELECT 1").await;
    elsewhere.does("RPUSH swapped a").await;
    assert_eq!(value(&list).await, 0.0);
    // The write above came before the look, so nothing is pushed; the swap itself never is.
    writer.does("SWAPDB 0 1").await;
    wakes(&list, SWEEP).await;
    assert_eq!(value(&list).await, 1.0);
}

#[tokio::test]
async fn the_same_name_in_another_database_is_a_false_alarm_and_no_more() {
    let server = Server::start(&[]).await;
    let (list, mut elsewhere) = (list_at(&server.address(), "both"), server.writer().await);
    elsewhere.does("SELECT 1").await;
    assert_eq!(value(&list).await, 0.0);
    elsewhere.does("RPUSH both a").await;
    wakes(&list, PUSH).await;
    assert_eq!(value(&list).await, 0.0);
    server.writer().await.does("RPUSH both a").await;
    wakes(&list, PUSH).await;
    assert_eq!(value(&list).await, 1.0);
}

#[tokio::test]
async fn a_tracking_table_that_is_too_small_loses_no_change() {
    let server = Server::start(&["tracking-table-max-keys 10"]).await;
    let (plimsoll, address) = (Plimsoll::new(), server.address());
    let sources: Vec<_> = (0..50)
        .map(|n| plimsoll.source("redis", &[&[("address", &address), ("listName", &format!("many-{n}"))]]))
        .collect();
    join_all(sources.iter().map(value)).await;
    let mut writer = server.writer().await;
    for (n, source) in sources.iter().enumerate() {
        writer.does(&format!("RPUSH many-{n} a")).await;
        super::fixtures::until_active(source, PUSH).await;
    }
}

/// A key that changes all the time without becoming active must not keep us busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_key_below_its_activation_is_looked_at_ten_times_a_second_at_most() {
    let server = Server::start(&[]).await;
    let address = server.address();
    let list = source("redis", &[&[("address", &address), ("listName", "busy"), ("activationListLength", "1000000")]]);
    value(&list).await;
    let mut writer = server.writer().await;
    let hammering = async {
        let mut pipeline = redis::Pipeline::new();
        (0..20).for_each(|_| {
            pipeline.cmd("LPUSH").arg("busy").arg("x").ignore();
        });
        loop {
            writer.pipeline(&pipeline).await;
        }
    };
    let watching = async {
        let (start, mut looks) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(2) {
            list.wake().await;
            value(&list).await;
            looks += 1;
        }
        looks
    };
    let looks = tokio::select! { looks = watching => looks, () = hammering => unreachable!() };
    assert!((5..=22).contains(&looks), "{looks} looks in 2 s");
    let length: u64 = server.writer().await.run("LLEN busy").await;
    assert!(length > 1_000, "{length} is not busy");
}

/// Measured and shown, not judged: the machine is shared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_among_a_thousand_idle_keys_is_a_matter_of_microseconds() {
    let server = Server::start(&[]).await;
    let (plimsoll, address) = (Plimsoll::new(), server.address());
    let sources: Vec<Arc<dyn Source>> = (0..1_000)
        .map(|n| plimsoll.source("redis", &[&[("address", &address), ("listName", &format!("k-{n}"))]]))
        .collect();
    join_all(sources.iter().map(value)).await;
    let mut writer = server.writer().await;
    let mut woken = Vec::new();
    for n in 0..500 {
        let source = &sources[(n * 7) % 1_000];
        let mut pushing = writer.clone();
        let key = format!("k-{}", (n * 7) % 1_000);
        let watching = async {
            source.wake().await;
            let seen = value(source).await;
            assert_eq!(seen, 1.0);
            Instant::now()
        };
        let pushed = async {
            let start = Instant::now();
            pushing.does(&format!("LPUSH {key} x")).await;
            start
        };
        let (start, seen) = tokio::join!(pushed, watching);
        woken.push(seen - start);
        writer.does(&format!("DEL {key}")).await;
        value(source).await;
    }
    woken.sort();
    let at = |part: usize| woken[woken.len() * part / 100];
    show(&format!(
        "LPUSH → verified value, 1,000 armed: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(90),
        at(99),
        woken[499]
    ));
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn show(line: &str) {
    println!("{line}");
}
