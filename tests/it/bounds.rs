//! What a hostile or careless caller may send and hold: it is told what to do, and the others do not notice.

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use plimsoll::{
    metadata::{Metadata, Reader},
    object::ObjectRef,
    sampler::{Allowance, Room, Settings},
};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::{
    emulator::Keda,
    grpc::Pipe,
    scripted::{Bench, WALL, trigger},
};

const SECOND: Duration = Duration::from_secs(1);

fn object(namespace: &str) -> ObjectRef<&str> {
    ObjectRef { namespace, name: "orders" }
}

fn bench(triggers: (usize, usize), connections: (usize, usize)) -> Bench {
    let room = |(in_all, per_namespace)| Room { in_all, per_namespace };
    let allowance = Allowance { triggers: room(triggers), connections: room(connections) };
    Bench::with(Settings { allowance, ..Settings::default() }, SystemTime::UNIX_EPOCH + WALL)
}

async fn ask(bench: &Bench, namespace: &str, pairs: &[(&str, &str)]) -> Result<f64, String> {
    let asked = bench.sampler.sample(object(namespace), &trigger(pairs)).await;
    asked.map(|(_, sample)| sample.reading.value).map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_has_its_triggers_gets_no_more_and_the_others_do() {
    let bench = bench((5, 3), (5, 5));
    for queue in ["a", "b", "c"] {
        ask(&bench, "greedy", &[("queue", queue)]).await.unwrap();
    }
    let parses = || bench.world.parses.load(std::sync::atomic::Ordering::Relaxed);
    let before = parses();
    let refusal = ask(&bench, "greedy", &[("queue", "d")]).await.unwrap_err();
    assert!(refusal.contains("the namespace has its 3 triggers: raise `--max-triggers-per-namespace`"), "{refusal}");
    assert_eq!(parses(), before, "it is refused before its metadata is read");
    // What it has goes on, and so does what it shares with others.
    ask(&bench, "greedy", &[("queue", "a")]).await.unwrap();
    ask(&bench, "shop", &[("queue", "d")]).await.unwrap();
    ask(&bench, "greedy", &[("queue", "d")]).await.unwrap();
    ask(&bench, "shop", &[("queue", "e")]).await.unwrap();
    let refusal = ask(&bench, "shop", &[("queue", "f")]).await.unwrap_err();
    assert!(refusal.contains("the server has its 5 triggers: raise `--max-triggers`"), "{refusal}");
    // What nobody asks for makes room.
    sleep(601 * SECOND).await;
    ask(&bench, "greedy", &[("queue", "d")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted_once_however_many_triggers_use_them() {
    let bench = bench((100, 100), (3, 2));
    for (queue, host) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "one")] {
        ask(&bench, "greedy", &[("queue", queue), ("host", host)]).await.unwrap();
    }
    assert_eq!(bench.sampler.connections(), 2);
    let refusal = ask(&bench, "greedy", &[("queue", "e"), ("host", "three")]).await.unwrap_err();
    assert!(refusal.contains("its 2 connections: raise `--max-connections-per-namespace`"), "{refusal}");
    ask(&bench, "greedy", &[("queue", "e"), ("host", "two")]).await.unwrap();
    ask(&bench, "shop", &[("queue", "f"), ("host", "three")]).await.unwrap();
    let refusal = ask(&bench, "shop", &[("queue", "g"), ("host", "four")]).await.unwrap_err();
    assert!(refusal.contains("the server has its 3 connections: raise `--max-connections`"), "{refusal}");
    sleep(601 * SECOND).await;
    assert_eq!(bench.sampler.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_all_metadata_are_bounded() {
    let bench = bench((20_000, 20_000), (20_000, 20_000));
    let filler = "x".repeat(60 << 10);
    let mut held = 0;
    let refusal = loop {
        let queue = format!("q{held}");
        let pairs = [("queue", queue.as_str()), ("a", &filler), ("b", &filler), ("c", &filler), ("d", &filler)];
        match ask(&bench, "greedy", &pairs).await {
            Ok(_) => held += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!((200..=400).contains(&held), "{held}");
    assert!(refusal.contains("shorten long values"), "{refusal}");
    ask(&bench, "shop", &[("queue", "a")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn too_many_is_resource_exhausted_and_the_hpa_is_there_all_the_same() {
    let room = |in_all| Room { in_all, per_namespace: in_all };
    let allowance = Allowance { triggers: room(1), connections: room(1) };
    let pipe = Pipe::over(Settings { allowance, ..Settings::default() }).await;
    let channel = pipe.channel().await;
    let mut first = Keda::new(channel.clone(), "first", &[("scalerType", "scripted"), ("queue", "a")]);
    first.poll().await.unwrap();
    let mut second = Keda::new(channel, "second", &[("scalerType", "scripted"), ("queue", "b")]);
    assert_eq!(second.spec().await.unwrap().metric_name, "scripted-b");
    assert_eq!(second.poll().await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(second.active().await.unwrap_err().code(), Code::ResourceExhausted);
    // Its stream ends with OK before long, so that KEDA tries again.
    let mut stream = second.stream().await.unwrap();
    assert!(timeout(40 * SECOND, stream.next()).await.is_err());
    assert!(timeout(60 * SECOND, stream.next()).await.unwrap().is_none());
    first.poll().await.unwrap();
    let states: Vec<_> = pipe.sampler.triggers().iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["idle", "refused"]);
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_by_the_triggers_that_there_may_be_and_nobody_is_shut_out() {
    let room = |in_all| Room { in_all, per_namespace: in_all };
    let allowance = Allowance { triggers: room(100), connections: room(100) };
    let pipe = Pipe::over(Settings { allowance, ..Settings::default() }).await;
    // As many as are let in on a connection of its own, of one trigger or of one that is refused.
    let park = async |metadata: &[(&str, &str)]| {
        let mut keda = Keda::new(pipe.channel().await, "orders", metadata);
        let mut streams = Vec::new();
        loop {
            match keda.stream().await {
                Ok(stream) => streams.push(stream),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    assert!(status.message().contains("`--max-triggers`"), "{status}");
                    return (keda, streams);
                }
            }
        }
    };
    let (mut greedy, streams) = park(&[("scalerType", "scripted"), ("queue", "a")]).await;
    assert_eq!(streams.len(), 200);
    assert_eq!(greedy.spec_stream().await, (Vec::new(), Code::ResourceExhausted));
    greedy.poll().await.unwrap();
    let (_wrong, others) = park(&[("scalerType", "typo")]).await;
    assert_eq!(others.len(), 200);
    let third = park(&[("scalerType", "scripted"), ("queue", "a")]).await;
    assert_eq!(third.1.len(), 64 + 300 - 2 * (200 - 64));
    let fourth = park(&[("scalerType", "scripted"), ("queue", "a")]).await;
    assert_eq!(fourth.1.len(), 64, "whatever the others do");
    drop((streams, others, third, fourth));
    let (_, again) = park(&[("scalerType", "scripted"), ("queue", "a")]).await;
    assert_eq!(again.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_anything_that_is_meant_is_named_and_not_read() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    let base = [("scalerType", "scripted"), ("queue", "a")];
    let many: Vec<(String, String)> = (0..63).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    let (long_key, long_value) = ("k".repeat(257), "v".repeat((64 << 10) + 1));
    for (pairs, says) in [
        (many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(), "has 65 keys, 64 are read at most"),
        (vec![(long_key.as_str(), "v")], "a key has 256 bytes at most"),
        (vec![("evil\nERROR forged", "v")], "`evil ERROR forged` is no key"),
        (vec![("\u{1b}[2J", "v")], "is no key"),
        (vec![("ca", long_value.as_str())], "`ca` has 65537 bytes, a value has 65536 at most"),
    ] {
        let metadata = [&base[..], &pairs].concat();
        let mut keda = Keda::new(channel.clone(), "orders", &metadata);
        assert_eq!(keda.spec().await.unwrap().metric_name, "plimsoll-scripted");
        let status = keda.poll().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
        assert!(status.message().len() < 300 && !status.message().contains(['\n', '\u{1b}']), "{status}");
    }
    let just = ["k".repeat(256), "v".repeat(64 << 10)];
    let mut metadata = base.to_vec();
    metadata.push((&just[0], &just[1]));
    Keda::new(channel, "orders", &metadata).poll().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn names_that_kubernetes_would_not_give_are_refused_by_every_call() {
    let pipe = Pipe::new().await;
    let long = "n".repeat(254);
    for name in ["a\nb", "\u{1b}[31m", "a b", "naïve", long.as_str()] {
        let mut keda = Keda::new(pipe.channel().await, name, &[("scalerType", "scripted"), ("queue", "a")]);
        for status in [keda.spec().await.unwrap_err(), keda.active().await.unwrap_err()] {
            assert_eq!(status.code(), Code::InvalidArgument, "{name:?}");
            assert!(status.message().starts_with("`namespace` and `name` must be names"), "{status}");
        }
    }
    assert!(pipe.sampler.triggers().is_empty());
}

/// 240 KB of keys that nobody knows: they cost neither time nor a log.
#[test]
fn unknown_keys_are_compared_and_named_up_to_a_bound() {
    let metadata: Metadata = (0..2000).map(|n| (format!("lagTreshold{n:0>110}"), "v")).collect();
    let mut keys = Reader::new(&metadata);
    for key in ["lagThreshold", "topic", "consumerGroup", "bootstrapServers", "activationLagThreshold"] {
        keys.text(key);
    }
    let warnings = keys.unknown_keys();
    assert_eq!(warnings.len(), 9, "{warnings:?}");
    assert_eq!(warnings[8], "1992 more keys are not of this scaler and are ignored");
    assert!(warnings.iter().all(|warning| warning.len() < 300));
}
