//! What is counted, on every kind of key, in every mode, over one node, a cluster and Sentinel.

use std::time::Duration;

use futures::future::join_all;
use plimsoll::error::ReadErrorKind;

use super::{
    fixtures::{Pairs, Plimsoll, Writer, fails, source, unique, value, variable},
    relay::Relay,
    server::Server,
};

/// A way to run Redis: the suffix of the types, how to reach it, and where to write a given key.
struct Way {
    suffix: &'static str,
    reach: Vec<(&'static str, String)>,
}

impl Way {
    fn all() -> [Self; 3] {
        let sentinels = vec![
            ("addresses", variable("PLIMSOLL_TEST_REDIS_SENTINELS")),
            ("sentinelMaster", variable("PLIMSOLL_TEST_REDIS_SENTINEL_MASTER")),
        ];
        [
            Self { suffix: "", reach: vec![("address", variable("PLIMSOLL_TEST_REDIS"))] },
            Self { suffix: "-cluster", reach: vec![("addresses", variable("PLIMSOLL_TEST_REDIS_CLUSTER"))] },
            Self { suffix: "-sentinel", reach: sentinels },
        ]
    }

    fn reach(&self) -> Vec<(&str, &str)> {
        self.reach.iter().map(|(key, value)| (*key, value.as_str())).collect()
    }

    fn list(&self, key: &str) -> std::sync::Arc<dyn plimsoll::backend::Source> {
        source(&format!("redis{}", self.suffix), &[&self.reach(), &[("listName", key)]])
    }

    fn stream(&self, key: &str, more: Pairs<'_>) -> std::sync::Arc<dyn plimsoll::backend::Source> {
        source(&format!("redis{}-streams", self.suffix), &[&self.reach(), &[("stream", key)], more])
    }

    /// A writer at the node that takes writes of `key`.
    async fn writer(&self, key: &str) -> Writer {
        let first = self.reach[0].1.split(',').next().expect("an address").to_owned();
        let mut writer = Writer::new(&first).await;
        match self.suffix {
            "-cluster" => match writer.try_run::<redis::Value>(&format!("LLEN {key}")).await {
                Err(error) if error.code() == Some("MOVED") => {
                    let detail = error.detail().expect("an address").to_owned();
                    Writer::new(detail.split(' ').nth(1).expect("an address")).await
                }
                _ => writer,
            },
            "-sentinel" => {
                let master: Vec<String> =
                    writer.run(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {}", self.reach[1].1)).await;
                Writer::new(&master.join(":")).await
            }
            _ => writer,
        }
    }
}

#[tokio::test]
async fn every_type_with_a_length_is_counted_everywhere() {
    for way in Way::all() {
        for (write, expected) in [
            ("RPUSH KEY a b c", 3.0),
            ("SADD KEY a b", 2.0),
            ("ZADD KEY 1 a 2 b 3 c 4 d", 4.0),
            ("HSET KEY a 1 b 2 c 3 d 4 e 5", 5.0),
        ] {
            let key = unique("length");
            let (source, mut writer) = (way.list(&key), way.writer(&key).await);
            assert_eq!(value(&source).await, 0.0, "{} missing", way.suffix);
            writer.does(&write.replace("KEY", &key)).await;
            assert_eq!(value(&source).await, expected, "{} {write}", way.suffix);
            writer.does(&format!("DEL {key}")).await;
            assert_eq!(value(&source).await, 0.0, "{} deleted", way.suffix);
            // It may come back as something else.
            writer.does(&format!("RPUSH {key} again")).await;
            assert_eq!(value(&source).await, 1.0, "{} again", way.suffix);
            writer.does(&format!("DEL {key}")).await;
        }
        let key = unique("string");
        way.writer(&key).await.does(&format!("SETEX {key} 60 x")).await;
        fails(&way.list(&key), ReadErrorKind::BadReply, &[&key, "is a string"]).await;
    }
}

#[tokio::test]
async fn a_stream_is_measured_by_length_by_pending_entries_or_by_lag_everywhere() {
    for way in Way::all() {
        let key = unique("stream");
        let length = way.stream(&key, &[]);
        let pending = way.stream(&key, &[("consumerGroup", "g")]);
        let lag = way.stream(&key, &[("consumerGroup", "g"), ("lagCount", "5")]);
        let mut writer = way.writer(&key).await;

        assert_eq!((value(&length).await, value(&lag).await), (0.0, 0.0), "{}", way.suffix);
        fails(&pending, ReadErrorKind::NotFound, &[&key, "`g`", "XGROUP CREATE"]).await;
        for _ in 0..7 {
            writer.does(&format!("XADD {key} * a b")).await;
        }
        assert_eq!((value(&length).await, value(&lag).await), (7.0, 7.0), "{} without a group", way.suffix);
        fails(&pending, ReadErrorKind::NotFound, &["consumer group `g`"]).await;

        writer.does(&format!("XGROUP CREATE {key} g 0")).await;
        assert_eq!((value(&pending).await, value(&lag).await), (0.0, 7.0), "{} with a group", way.suffix);
        writer.does(&format!("XREADGROUP GROUP g me COUNT 3 STREAMS {key} >")).await;
        assert_eq!((value(&pending).await, value(&lag).await), (3.0, 4.0), "{} three taken", way.suffix);
        writer.does(&format!("DEL {key}")).await;
    }
}

#[tokio::test]
async fn a_lag_that_redis_does_not_know_is_counted() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    let lag_of = |key: &str| {
        let group = [("consumerGroup", "g"), ("lagCount", "5")];
        source("redis-streams", &[&[("address", &address), ("stream", key)], &group])
    };

    // A group made in the middle: how much came before is not known to Redis, what follows can be counted.
    let key = unique("lag-middle");
    for n in 1..=9 {
        writer.does(&format!("XADD {key} {n}-1 a b")).await;
    }
    writer.does(&format!("XGROUP CREATE {key} g 5-1")).await;
    assert_eq!(redis_lag(&mut writer, &key).await, None);
    assert_eq!(value(&lag_of(&key)).await, 4.0);
    writer.does(&format!("DEL {key}")).await;

    // Entries deleted ahead of the group: Redis knows how many were read, so what is left is at most the rest.
    let key = unique("lag-deleted");
    for n in 1..=9 {
        writer.does(&format!("XADD {key} {n}-1 a b")).await;
    }
    writer.does(&format!("XGROUP CREATE {key} g 0")).await;
    writer.does(&format!("XREADGROUP GROUP g me COUNT 2 STREAMS {key} >")).await;
    writer.does(&format!("XDEL {key} 5-1 6-1")).await;
    assert_eq!(redis_lag(&mut writer, &key).await, None);
    assert_eq!(value(&lag_of(&key)).await, 7.0);
    writer.does(&format!("XTRIM {key} MAXLEN 1")).await;
    assert_eq!(value(&lag_of(&key)).await, 1.0, "never more than there is");
    writer.does(&format!("DEL {key}")).await;
}

#[tokio::test]
async fn a_group_at_the_end_of_its_stream_lags_behind_nothing() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    let key = unique("lag-end");
    let group = [("consumerGroup", "g"), ("lagCount", "5")];
    let lag = source("redis-streams", &[&[("address", &address), ("stream", &key)], &group]);
    let read_all = |key: &str| format!("XREADGROUP GROUP g me COUNT 10000 STREAMS {key} >");
    let append = async |writer: &mut Writer, ids: std::ops::RangeInclusive<u32>, more: &str| {
        for n in ids {
            writer.does(&format!("XADD {key} {more}{n}-1 a b")).await;
        }
    };

    // Trimmed past its group while nobody consumes, then read to the end.
    writer.does(&format!("XGROUP CREATE {key} g 0 MKSTREAM")).await;
    append(&mut writer, 1..=1, "").await;
    writer.does(&read_all(&key)).await;
    append(&mut writer, 2..=300, "MAXLEN 100 ").await;
    assert_eq!(value(&lag).await, 100.0);
    writer.does(&read_all(&key)).await;
    assert!(redis_lag(&mut writer, &key).await.is_some_and(|lag| lag > 100), "Redis counts wrongly here");
    assert_eq!(value(&lag).await, 0.0);
    append(&mut writer, 301..=302, "").await;
    assert_ne!(value(&lag).await, 0.0);
    writer.does(&read_all(&key)).await;
    assert_eq!(value(&lag).await, 0.0);

    // What was left was deleted.
    append(&mut writer, 303..=304, "").await;
    writer.does(&format!("XDEL {key} 303-1 304-1")).await;
    assert_eq!(value(&lag).await, 0.0);
    // The stream's own books were set ahead.
    writer.does(&format!("XSETID {key} 400-1 ENTRIESADDED 5000 MAXDELETEDID 304-1")).await;
    assert_eq!(value(&lag).await, 0.0);
    // So were the group's: what comes is counted all the same.
    append(&mut writer, 401..=403, "").await;
    writer.does(&format!("XGROUP SETID {key} g 401-1 ENTRIESREAD 5003")).await;
    assert_eq!(value(&lag).await, 2.0);
    writer.does(&format!("XGROUP SETID {key} g $")).await;
    assert_eq!(value(&lag).await, 0.0);
    // Everything goes.
    writer.does(&format!("XTRIM {key} MAXLEN 0")).await;
    writer.does(&format!("XGROUP SETID {key} g 0")).await;
    assert_eq!(value(&lag).await, 0.0);
    writer.does(&format!("DEL {key}")).await;
}

/// What Redis itself says, so that the cases above are what they claim to be.
async fn redis_lag(writer: &mut Writer, key: &str) -> Option<i64> {
    let groups: Vec<Vec<redis::Value>> = writer.run(&format!("XINFO GROUPS {key}")).await;
    let at = groups[0].iter().position(|v| *v == redis::Value::BulkString("lag".into())).expect("a lag");
    match groups[0][at + 1] {
        redis::Value::Int(lag) => Some(lag),
        _ => None,
    }
}

#[tokio::test]
async fn a_database_is_entered() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let (key, mut writer) = (unique("database"), Writer::new(&address).await);
    let in_database =
        |number| source("redis", &[&[("address", &address), ("listName", &key), ("databaseIndex", number)]]);
    writer.does("SELECT 3").await;
    writer.does(&format!("RPUSH {key} a b")).await;
    assert_eq!((value(&in_database("3")).await, value(&in_database("0")).await), (2.0, 0.0));
    fails(&in_database("999"), ReadErrorKind::NotFound, &["no database 999", "databaseIndex"]).await;
    writer.does(&format!("DEL {key}")).await;
}

#[tokio::test]
async fn active_is_above_the_activation() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let (key, mut writer) = (unique("activation"), Writer::new(&address).await);
    let list = source("redis", &[&[("address", &address), ("listName", &key), ("activationListLength", "2")]]);
    writer.does(&format!("RPUSH {key} a b")).await;
    assert!(!list.read().await.expect("a reading").active);
    writer.does(&format!("RPUSH {key} c")).await;
    assert!(list.read().await.expect("a reading").active);
    writer.does(&format!("DEL {key}")).await;
}

#[tokio::test]
async fn a_thousand_lists_are_one_connection_and_two_round_trips_at_most() {
    let server = Server::start(&[]).await;
    let mut writer = server.writer().await;
    writer.does("RPUSH list-7 a b c").await;
    writer.does("SADD list-8 a b").await;
    let relay = Relay::to(&server.address()).await;
    let plimsoll = Plimsoll::new();
    let sources: Vec<_> = (0..1_000)
        .map(|n| plimsoll.source("redis", &[&[("address", relay.address()), ("listName", &format!("list-{n}"))]]))
        .collect();
    value(&sources[0]).await;
    let before = relay.round_trips();
    let values = join_all(sources.iter().map(value)).await;
    let trips = relay.round_trips() - before;
    assert_eq!((values[7], values[8], values.iter().sum::<f64>()), (3.0, 2.0, 5.0));
    // The set is found out in a second one; a PING may come in between.
    assert!(trips <= 3, "{trips} round trips");
    let before = relay.round_trips();
    join_all(sources.iter().map(value)).await;
    let trips = relay.round_trips() - before;
    assert!(trips <= 2, "{trips} round trips");
    assert_eq!(relay.connections(), 1);
    let first = sources[0].connection();
    assert!(sources.iter().all(|source| source.connection() == first));
}

#[tokio::test]
async fn odd_keys_beside_healthy_ones_harm_nobody() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    let (plimsoll, healthy, text) = (Plimsoll::new(), unique("healthy"), unique("text"));
    writer.does(&format!("RPUSH {healthy} a b c")).await;
    writer.does(&format!("SET {text} a")).await;
    let long = "long".repeat(75_000);
    let odd = [&*text, &long, "nul\0and\r\nmore", "\u{1b}[31mred", "{", "{}", "$1000000"];
    let source = |key: &str| plimsoll.source("redis", &[&[("address", &address), ("listName", key)]]);
    let sources: Vec<_> = odd.iter().copied().chain([&*healthy; 5]).map(source).collect();
    for _ in 0..3 {
        let looks = join_all(sources.iter().map(|source| source.read())).await;
        for (key, look) in odd.iter().copied().chain([&*healthy; 5]).zip(looks) {
            match key {
                key if key == text => assert!(look.is_err_and(|error| !error.whole_connection)),
                key if key == healthy => assert_eq!(look.map(|reading| reading.value), Ok(3.0)),
                _ => assert_eq!(look.map(|reading| reading.value), Ok(0.0)),
            }
        }
    }
    for key in [healthy, text] {
        writer.does(&format!("DEL {key}")).await;
    }
}

#[tokio::test]
async fn the_last_source_to_go_closes_the_connection() {
    let server = Server::start(&[]).await;
    let relay = Relay::to(&server.address()).await;
    let plimsoll = Plimsoll::new();
    let make = |key| plimsoll.source("redis", &[&[("address", relay.address()), ("listName", key)]]);
    let (one, other) = (make("a"), make("b"));
    value(&one).await;
    value(&other).await;
    drop(one);
    assert_eq!((value(&other).await, relay.open_now()), (0.0, 1));
    drop(other);
    super::fixtures::eventually(Duration::from_secs(5), 0, async || relay.open_now()).await;
}
