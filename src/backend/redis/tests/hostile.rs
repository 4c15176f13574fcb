//! Servers that mean harm, or are no Redis at all: whatever they answer, at whatever stage, costs a clear error of their
//! own triggers and no memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::fake::{Fake, Say, decent, list_at, say, source};
use crate::{
    backend::{Backend, Source, redis::Redis},
    error::{ReadError, ReadErrorKind},
    limits,
    metadata::{Metadata, Reader},
    net::{Reach, ReplyBytes, Rules, TwoAddresses},
    task::sabotage::panic_in,
};

async fn fails(source: &Arc<dyn Source>) -> ReadError {
    let read = timeout(Duration::from_secs(8), source.read()).await.expect("in time");
    read.expect_err("an error")
}

/// Memory of this process in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

/// More would be waiting for each other's endless replies.
const AT_ONCE: usize = 48;

/// A command, and a trigger that has it sent.
type Stage = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

fn attacks() -> Vec<(&'static str, Say)> {
    let endless = |head: &str, more: &str| Say::Endless(head.into(), more.repeat(64).into_bytes());
    let kilobyte = "x".repeat(1024);
    vec![
        ("a text without end", endless("$2000000000\r\n", &kilobyte)),
        ("a text that is claimed and not sent", say("$2000000000\r\n")),
        ("a status without end", endless("+", &kilobyte)),
        ("an error without end", endless("-ERR ", &kilobyte)),
        ("a number without end", endless(":", "1")),
        ("a head without end", endless("$", "1")),
        ("a list that is claimed", say("*2147483647\r\n")),
        ("a list as long as can be", say("*9223372036854775807\r\n")),
        ("a list without end", endless("*10000\r\n", "*10000\r\n:1\r\n")),
        ("a map that is claimed", say("%2147483647\r\n")),
        ("a set that is claimed", say("~2147483647\r\n")),
        ("an attribute that is claimed", say("|9223372036854775807\r\n")),
        ("lists in lists", endless("", "*1\r\n")),
        ("a list of lists of texts", endless("*10000\r\n", "*2\r\n$1024\r\n")),
        ("a bad verbatim text", say("=-1\r\n")),
        ("a bad error text", say("!-1\r\n")),
        ("another protocol", say("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("no text", Say::Bytes(vec![0xff; 64])),
        ("replies without end", endless("+OK\r\n", "+OK\r\n")),
        ("news without end", endless("", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n")),
        ("news of everything without end", endless("", ">2\r\n$10\r\ninvalidate\r\n_\r\n")),
        ("hanging up", Say::Bye(vec![])),
        ("half a reply", Say::Bye(b"*2\r\n$3\r\nab".to_vec())),
    ]
}

/// For every command that we send, every attack in answer to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_to_any_command_costs_memory_or_an_unclear_error() {
    let list = &[("listName", "q")];
    let lag = &[("stream", "s"), ("consumerGroup", "g"), ("lagCount", "5")];
    let stages: [Stage; 13] = [
        ("HELLO", "redis", list),
        ("AUTH", "redis", &[("password", "PW"), ("listName", "q")]),
        ("CLIENT", "redis", list),
        ("SELECT", "redis", &[("databaseIndex", "1"), ("listName", "q")]),
        ("PING", "redis", list),
        ("LLEN", "redis", list),
        ("TYPE", "redis", list),
        ("XLEN", "redis-streams", &[("stream", "s")]),
        ("XPENDING", "redis-streams", &[("stream", "s"), ("consumerGroup", "g")]),
        ("XINFO", "redis-streams", lag),
        ("INFO", "redis-streams", lag),
        ("CLUSTER", "redis-cluster", list),
        ("SENTINEL", "redis-sentinel", &[("sentinelMaster", "m"), ("listName", "q")]),
    ];
    let before = resident();
    let all = stages.into_iter().flat_map(|(stage, scaler_type, pairs)| {
        attacks().into_iter().map(move |(what, attack)| async move {
            let fake = Fake::new(move |words| match (stage, words[0].as_str()) {
                (stage, word) if word == stage => attack.clone(),
                ("AUTH", "HELLO") => say("-ERR unknown command `HELLO`\r\n"),
                ("TYPE", "LLEN") => say("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
                _ => decent(words),
            })
            .await;
            let source = source(scaler_type, &[&[("address", fake.address.as_str())], pairs].concat(), &Reach::open());
            let read = timeout(Duration::from_secs(8), source.read()).await;
            let read = read.unwrap_or_else(|_| panic!("{what} to {stage}: no answer in time"));
            // Without news, or without a sentinel's `CLIENT`, a list can still be counted, and that is right.
            if let Err(error) = &read {
                let text = error.to_string();
                assert!(text.contains(&fake.address) && text.contains(": "), "{what} to {stage}: {text}");
                assert!(
                    text.len() < 400 && !text.contains("xxxx") && !text.contains("PW"),
                    "{what} to {stage}: {text}"
                );
                assert_ne!(error.kind, ReadErrorKind::Internal, "{what} to {stage}: {text}");
            } else {
                assert_eq!(read.map(|reading| reading.value), Ok(0.0), "{what} to {stage}");
            }
            drop(source);
            let sent = fake.sent.load(Ordering::Relaxed);
            // What lies in the kernel's buffers, for each of a few connections.
            let most = 8 * (limits::RESP_REPLY as u64 + (8 << 20));
            assert!(sent < most, "{what} to {stage}: {sent} bytes taken");
        })
    });
    let () = futures::stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
}

#[tokio::test]
async fn what_crosses_a_bound_says_which() {
    for (attack, words) in [
        ("*10001\r\n", "a list of more than 10000 entries"),
        (&*"*1\r\n".repeat(9), "lists nested deeper than 8"),
        (&*format!("+{}", "x".repeat(5000)), "a line of more than 4 KiB"),
        ("GARBAGE\r\n", "does not speak Redis's protocol"),
        (":0\r\n:0\r\n", "answers what was not asked"),
    ] {
        let attack = attack.to_owned();
        let fake = Fake::new(move |words| if words[0] == "LLEN" { say(&attack) } else { decent(words) }).await;
        let list = list_at(&fake);
        // What was asked is answered before what was not.
        let mut error = list.read().await.err();
        while error.is_none() {
            error = list.read().await.err();
        }
        let text = error.expect("an error").to_string();
        assert!(text.contains(words) && text.contains(&fake.address), "{text}");
    }
    assert!(limits::Limit::Reply.count() >= 5);
}

#[tokio::test]
async fn entries_too_fat_to_be_kept_are_counted() {
    let entry = format!("*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$3000000\r\n{}\r\n", "x".repeat(3_000_000));
    let entries = format!("*3\r\n{}", entry.repeat(3));
    let group = "*8\r\n+name\r\n+g\r\n+entries-read\r\n_\r\n+last-delivered-id\r\n+0-1\r\n+lag\r\n_\r\n";
    let stream = "*6\r\n+length\r\n:9\r\n+entries-added\r\n:9\r\n+last-generated-id\r\n+9-1\r\n";
    let fake = Fake::new(move |words| match words[0].as_str() {
        "XRANGE" => say(&entries),
        "XINFO" if words[1] == "GROUPS" => say(&format!("*1\r\n{group}")),
        "XINFO" => say(stream),
        "XLEN" => say(":9\r\n"),
        _ => decent(words),
    })
    .await;
    let pairs = [("address", &*fake.address), ("stream", "s"), ("consumerGroup", "g"), ("lagCount", "5")];
    let lag = source("redis-streams", &pairs, &Reach::open());
    assert_eq!(lag.read().await.map(|reading| reading.value), Ok(3.0));
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_reply_too_many_costs_the_others_nothing() {
    let fake = Fake::new(|words| match (words[0].as_str(), words.get(1).map(String::as_str)) {
        ("LLEN", Some("bad")) => say("*10001\r\n"),
        ("LLEN", Some("wrong")) => say("-WRONGTYPE Operation against a key\r\n"),
        ("TYPE", _) => say("+string\r\n"),
        ("LLEN", _) => say(":7\r\n"),
        _ => decent(words),
    })
    .await;
    let redis = Redis::default();
    let keys: Vec<String> = (0..40).map(|n| format!("good-{n}")).chain(["bad".into(), "wrong".into()]).collect();
    let sources: Vec<Arc<dyn Source>> = keys
        .iter()
        .map(|key| {
            let metadata: Metadata = [("address", &*fake.address), ("listName", key)].into_iter().collect();
            redis.parse("redis", &mut Reader::new(&metadata), &Reach::open()).expect("legal")
        })
        .collect();
    for _ in 0..3 {
        let looks = futures::future::join_all(sources.iter().map(|source| source.read())).await;
        for (key, look) in keys.iter().zip(looks) {
            match key.as_str() {
                "bad" | "wrong" => assert!(!look.expect_err(key).whole_connection),
                _ => assert_eq!(look.map(|reading| reading.value), Ok(7.0), "{key}"),
            }
        }
    }
}

/// A whole core, before: now the connection is left, and its keys are looked at by the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_news_ends_and_the_keys_are_still_looked_at() {
    let floods = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&floods);
    let fake = Fake::new(move |words| match words[0].as_str() {
        "CLIENT" => {
            counted.fetch_add(1, Ordering::Relaxed);
            let news = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n".repeat(100);
            Say::Endless(b"+OK\r\n".to_vec(), news.into_bytes())
        }
        "LLEN" => say(":4\r\n"),
        _ => decent(words),
    })
    .await;
    let list = list_at(&fake);
    let until = Instant::now() + Duration::from_secs(10);
    while list.read().await.map(|reading| reading.value) != Ok(4.0) {
        assert!(Instant::now() < until, "never looked at");
        sleep(Duration::from_millis(20)).await;
    }
    let (sent, connections) = (fake.sent.load(Ordering::Relaxed), fake.connections.load(Ordering::Relaxed));
    for _ in 0..20 {
        assert_eq!(list.read().await.map(|reading| reading.value), Ok(4.0));
        list.wake().await;
    }
    assert_eq!(fake.connections.load(Ordering::Relaxed), connections);
    assert!(fake.sent.load(Ordering::Relaxed) - sent < 10_000, "it is quiet now");
    assert_eq!(floods.load(Ordering::Relaxed), 1, "once");
}

#[tokio::test]
async fn what_was_held_is_given_back() {
    let fake = Fake::new(|words| if words[0] == "LLEN" { say(":4\r\n") } else { decent(words) }).await;
    let list = list_at(&fake);
    for _ in 0..50 {
        assert_eq!(list.read().await.map(|reading| reading.value), Ok(4.0));
    }
    drop(list);
    let until = Instant::now() + Duration::from_secs(5);
    // Other tests of this process may hold some.
    while ReplyBytes::held() > limits::RESP_TOGETHER {
        assert!(Instant::now() < until, "{} bytes are held", ReplyBytes::held());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_key_that_is_sent_on_for_ever_ends_soon() {
    let map = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n";
    let fake = Fake::listening(|port| {
        move |words| match words[0].as_str() {
            "CLUSTER" => say(&format!("{map}:{port}\r\n")),
            "LLEN" => say(&format!("-MOVED 1 127.0.0.1:{port}\r\n")),
            _ => decent(words),
        }
    })
    .await;
    let cluster = source("redis-cluster", &[("address", &*fake.address), ("listName", "q")], &Reach::open());
    let error = fails(&cluster).await;
    assert!(error.to_string().contains("from node to node") && !error.whole_connection, "{error}");
    assert_eq!(fake.how_often("LLEN"), 5);
}

#[tokio::test]
async fn a_place_that_others_name_is_held_against_the_policy() {
    let closed = Reach::new(Rules { loopback: true, ..Rules::default() });
    let slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n+169.254.169.254\r\n:80\r\n";
    for (scaler_type, asked, answer, words) in [
        ("redis-cluster", "CLUSTER", slots, "the redis cluster names a node at `169.254.169.254:80`"),
        (
            "redis-cluster",
            "LLEN",
            "-MOVED 1 169.254.169.254:80\r\n",
            "the redis cluster names a node at `169.254.169.254:80`",
        ),
        (
            "redis-cluster",
            "LLEN",
            "-ASK 1 169.254.169.254:80\r\n",
            "the redis cluster names a node at `169.254.169.254:80`",
        ),
        (
            "redis-sentinel",
            "SENTINEL",
            "*2\r\n+169.254.169.254\r\n+80\r\n",
            "the sentinels name a master at `169.254.169.254:80`",
        ),
    ] {
        let own = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n";
        let fake = Fake::listening(|port| {
            move |said| match said[0].as_str() {
                word if word == asked => say(answer),
                "CLUSTER" => say(&format!("{own}:{port}\r\n")),
                _ => decent(said),
            }
        })
        .await;
        let pairs = [("address", &*fake.address), ("sentinelMaster", "m"), ("listName", "q")];
        let error = fails(&source(scaler_type, &pairs, &closed)).await;
        assert_eq!(error.kind, ReadErrorKind::Denied, "{asked}: {error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("may not be reached"), "{asked}: {text}");
    }
}

/// Alone, a cluster of itself and a sentinel that names itself as `host`.
async fn of_every_kind(host: fn(u16) -> String) -> (Fake, u16) {
    let fake = Fake::listening(|port| {
        move |words| match words[0].as_str() {
            "LLEN" => say(":4\r\n"),
            "CLUSTER" => say(&format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:{port}\r\n")),
            "SENTINEL" => say(&format!("*2\r\n+{}\r\n+{port}\r\n", host(port))),
            _ => decent(words),
        }
    })
    .await;
    let port = fake.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    (fake, port)
}

#[tokio::test]
async fn a_name_whose_first_address_swallows_all_is_read_at_the_second() {
    let (_fake, port) = of_every_kind(TwoAddresses::name_of).await;
    let two = TwoAddresses::of(port);
    let address = format!("{}:{port}", two.name());
    for scaler_type in ["redis", "redis-cluster", "redis-sentinel"] {
        let pairs = [("address", &*address), ("sentinelMaster", "m"), ("listName", "q")];
        let read = timeout(Duration::from_secs(4), source(scaler_type, &pairs, &Reach::open()).read()).await;
        assert_eq!(read.expect("in time").map(|reading| reading.value), Ok(4.0), "{scaler_type}");
    }
}

#[tokio::test]
async fn a_panic_of_any_task_is_counted_and_the_next_look_is_right() {
    for (scaler_type, tasks) in [
        ("redis", &["redis link", "redis sweep", "batch"][..]),
        ("redis-cluster", &["redis link", "redis sweep", "batch"]),
        ("redis-sentinel", &["redis sentinel", "redis link", "redis sweep", "batch"]),
    ] {
        let (fake, _) = of_every_kind(|_| "127.0.0.1".to_owned()).await;
        let pairs = [("address", &*fake.address), ("sentinelMaster", "m"), ("listName", "q")];
        let list = source(scaler_type, &pairs, &Reach::open());
        for broken in tasks {
            assert_eq!(list.read().await.map(|reading| reading.value), Ok(4.0), "{scaler_type}");
            panic_in(broken).await;
            let read = timeout(Duration::from_secs(8), list.read()).await.expect("in time");
            assert_eq!(read.map(|reading| reading.value), Ok(4.0), "{scaler_type} without its {broken}");
        }
    }
}
