//! KEDA's call script against the whole server over an in-memory pipe.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use plimsoll::grpc::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::{
    emulator::{Keda, seen_by_keda},
    grpc::Pipe,
    scripted::{Act, missing, timed},
};

const SECOND: Duration = Duration::from_secs(1);

fn metadata(queue: &str) -> Vec<(&str, &str)> {
    vec![("scalerType", "scripted"), ("scalerAddress", "plimsoll:6000"), ("queue", queue)]
}

#[tokio::test(start_paused = true)]
async fn a_new_scaled_object_is_reconciled_polled_and_pushed() {
    let pipe = Pipe::new().await;
    let queue = pipe.world.queue("a");
    queue.set(Act::Value(25.0));
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("a"));
    // The reconciler, up to four times.
    for _ in 0..4 {
        let spec = keda.spec().await.unwrap();
        assert_eq!((spec.metric_name.as_str(), spec.target_size, spec.target_size_float), ("scripted-a", 10, 10.0));
    }
    assert!(queue.reads().is_empty(), "a spec costs no read");
    // Then the stream and the first poll at once.
    let mut pushing = keda.clone();
    let (stream, poll) = tokio::join!(pushing.stream(), keda.poll());
    let poll = poll.unwrap();
    assert!(poll.active);
    assert_eq!(
        (poll.value.metric_name.as_str(), poll.value.metric_value, poll.value.metric_value_float),
        ("scripted-a", 25, 25.0)
    );
    assert!(stream.unwrap().next().await.unwrap().unwrap().result);
    assert_eq!(queue.reads().len(), 1, "all of it from one read");
}

#[tokio::test(start_paused = true)]
async fn a_target_is_told_once_within_minutes_and_never_again() {
    let pipe = Pipe::new().await;
    let long = "q".repeat(300);
    let objects: Vec<_> = ["a", "b", "c", "d", "e", "f"].into_iter().map(metadata).collect();
    let channel = pipe.channel().await;
    let told = join_all(objects.iter().map(|metadata| async {
        let mut keda = Keda::new(channel.clone(), "orders", metadata);
        let spec = keda.spec().await.unwrap();
        let ((specs, end), took) = timed(keda.spec_stream()).await;
        assert_eq!((specs, end), (vec![spec], Code::Unimplemented));
        assert!(took <= 300 * SECOND, "{took:?}");
        took
    }))
    .await;
    // KEDA opens those of all objects at once, and each costs it a reconcile.
    let spread = *told.iter().max().unwrap() - *told.iter().min().unwrap();
    assert!(spread > 10 * SECOND, "{told:?}");
    // What is wrong has a metric all the same; of what has none nothing is told, and the stream does not come back.
    let mut keda = Keda::new(channel.clone(), "orders", &[("scalerType", "typo")]);
    assert_eq!(keda.spec_stream().await, (vec![keda.spec().await.unwrap()], Code::Unimplemented));
    let mut keda = Keda::new(channel.clone(), "no name", &metadata("a"));
    assert_eq!(keda.spec().await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(keda.spec_stream().await, (Vec::new(), Code::Unimplemented));
    let mut keda = Keda::new(channel.clone(), "orders", &metadata(&long));
    assert_eq!(keda.spec_stream().await, (Vec::new(), Code::Unimplemented));
    // A server that ends says OK: another one is asked then.
    let mut keda = Keda::new(channel, "orders", &metadata("a"));
    let ending = async {
        sleep(SECOND / 100).await;
        pipe.drain.end_streams();
    };
    let (told, ()) = tokio::join!(keda.spec_stream(), ending);
    assert_eq!(told, (Vec::new(), Code::Ok));
    assert!(pipe.world.queue("a").reads().is_empty(), "a target costs no read");
}

#[tokio::test(start_paused = true)]
async fn polls_and_the_hpa_are_answered_from_memory_for_an_hour() {
    let pipe = Pipe::new().await;
    let queue = pipe.world.queue("a");
    queue.set(Act::Slow(SECOND, 25.0));
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("a"));
    let mut hpa = keda.clone();
    keda.poll().await.unwrap();
    let polls = async {
        for _ in 0..120 {
            sleep(30 * SECOND).await;
            let (poll, took) = timed(keda.poll()).await;
            assert!(poll.unwrap().active);
            assert_eq!(took, Duration::ZERO);
        }
    };
    let syncs = async {
        for _ in 0..240 {
            sleep(15 * SECOND).await;
            let (value, took) = timed(hpa.hpa()).await;
            assert_eq!((value.unwrap().metric_value, took), (25, Duration::ZERO));
        }
    };
    tokio::join!(polls, syncs);
    let reads = queue.reads().len();
    assert!((700..=722).contains(&reads), "one read per 5 s and no more: {reads}");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_asked_again_at_once_and_stays_the_same_text() {
    let pipe = Pipe::new().await;
    let queue = pipe.world.queue("a");
    queue.set(missing());
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("a"));
    let mut texts = Vec::new();
    for _ in 0..3 {
        let status = keda.poll().await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        texts.push(status.message().to_owned());
        sleep(30 * SECOND).await;
    }
    texts.dedup();
    assert_eq!(texts, ["queue is not there: create it"]);
    assert!(keda.spec().await.is_ok(), "the spec never fails for a broker's sake");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cancelled_and_reopened_with_changed_metadata_even_overlapping() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    let mut before = Keda::new(channel.clone(), "orders", &metadata("a"));
    let mut after = Keda::new(channel, "orders", &metadata("b"));
    let old = before.stream().await.unwrap();
    let mut new = after.stream().await.unwrap();
    drop(old);
    pipe.world.queue("b").set(Act::Value(1.0));
    pipe.world.queue("b").signal();
    assert!(timeout(SECOND, new.next()).await.unwrap().unwrap().unwrap().result);
    let streams: Vec<_> = pipe.sampler.triggers().iter().map(|view| view.streams).collect();
    assert_eq!(streams.iter().sum::<usize>(), 1, "the cancelled one is gone: {streams:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_scaled_objects_tick_in_phase_beside_two_thousand_parked_streams() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    let names: Vec<String> = (0..1000).map(|n| format!("q{n}")).collect();
    let mut kedas: Vec<Keda> = names.iter().map(|name| Keda::new(channel.clone(), name, &metadata(name))).collect();
    let mut streams = Vec::new();
    for keda in &mut kedas {
        streams.push(keda.stream().await.unwrap());
        streams.push(keda.stream().await.unwrap());
    }
    for _ in 0..3 {
        sleep(30 * SECOND).await;
        let polls = join_all(kedas.iter_mut().map(Keda::poll)).await;
        assert!(polls.into_iter().all(|poll| poll.is_ok_and(|poll| !poll.active)));
    }
    pipe.world.queue("q500").set(Act::Value(1.0));
    pipe.world.queue("q500").signal();
    let woken = timeout(SECOND, streams[1000].next()).await.unwrap().unwrap().unwrap();
    assert!(woken.result);
    assert!(timeout(SECOND, streams[1002].next()).await.is_err(), "its neighbour hears nothing");
}

#[tokio::test(start_paused = true)]
async fn a_drained_server_ends_streams_with_ok_and_answers_what_is_in_flight() {
    let pipe = Pipe::new().await;
    pipe.world.queue("slow").set(Act::Slow(2 * SECOND, 4.0));
    let channel = pipe.channel().await;
    let mut stream = Keda::new(channel.clone(), "orders", &metadata("a")).stream().await.unwrap();
    let mut slow = Keda::new(channel, "slow", &metadata("slow"));
    let in_flight = tokio::task::LocalSet::new();
    let ended = in_flight
        .run_until(async {
            let call = tokio::task::spawn_local(async move { slow.value("scripted-slow", None).await });
            sleep(SECOND).await;
            pipe.drain.end_streams();
            pipe.stop.cancel();
            let end = stream.next().await;
            assert!(end.is_none(), "a clean end, so that KEDA comes back after 2 s: {end:?}");
            call.await.unwrap()
        })
        .await;
    assert_eq!(ended.unwrap().metric_value, 4);
    pipe.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_ok_at_its_age_and_is_reopened() {
    let pipe = Pipe::new().await;
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("a"));
    let start = Instant::now();
    for _ in 0..3 {
        let mut stream = keda.stream().await.unwrap();
        assert!(stream.next().await.is_none());
        sleep(2 * SECOND).await;
    }
    assert!(start.elapsed() >= 3 * 900 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn metric_names_are_compared_without_case_and_echoed_as_asked() {
    let pipe = Pipe::new().await;
    pipe.world.queue("Orders").set(Act::Value(3.0));
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("Orders"));
    for name in ["scripted-Orders", "scripted-orders", "SCRIPTED-ORDERS"] {
        let value = keda.value(name, None).await.unwrap();
        assert_eq!((value.metric_name.as_str(), value.metric_value), (name, 3));
    }
    let status = keda.value("scripted-other", None).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("its metric is `scripted-Orders`"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn two_triggers_of_one_scaled_object_are_told_apart_by_their_metadata() {
    let pipe = Pipe::new().await;
    pipe.world.queue("a").set(Act::Value(1.0));
    pipe.world.queue("b").set(Act::Value(2.0));
    let channel = pipe.channel().await;
    let mut one = Keda::new(channel.clone(), "orders", &metadata("a"));
    let mut two = Keda::new(channel, "orders", &metadata("b"));
    for _ in 0..3 {
        let (first, second) = tokio::join!(one.poll(), two.poll());
        assert_eq!((first.unwrap().value.metric_value, second.unwrap().value.metric_value), (1, 2));
        sleep(30 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn values_reach_every_keda_version_with_their_sign_and_size() {
    let pipe = Pipe::new().await;
    let queue = pipe.world.queue("a");
    let mut keda = Keda::new(pipe.channel().await, "orders", &metadata("a"));
    for (read, float, int) in
        [(0.0, 0.0, 0), (0.25, 0.25, 1), (7.0, 7.0, 7), (-3.0, 0.0, 0), (1e300, 9e15, 9_000_000_000_000_000)]
    {
        queue.set(Act::Value(read));
        sleep(30 * SECOND).await;
        let value = keda.poll().await.unwrap().value;
        assert_eq!((value.metric_value_float, value.metric_value), (float, int), "{read}");
        assert_eq!(seen_by_keda(&value), float);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_kedas_arithmetic_would_overflow_is_cut() {
    let pipe = Pipe::new().await;
    let metadata = [&metadata("a")[..], &[("threshold", "9223372036854775807")]].concat();
    let spec = Keda::new(pipe.channel().await, "orders", &metadata).spec().await.unwrap();
    assert_eq!((spec.target_size, spec.target_size_float), (9_000_000_000_000_000, 9e15));
}

/// `GetMetricsResponse` as KEDA up to 2.16 knows it: integers only.
#[derive(Clone, PartialEq, prost::Message)]
struct OldValues {
    #[prost(message, repeated, tag = "1")]
    values: Vec<OldValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OldValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    value: i64,
}

#[tokio::test(start_paused = true)]
async fn an_old_keda_that_knows_integers_only_is_served() {
    let pipe = Pipe::new().await;
    pipe.world.queue("a").set(Act::Value(22.222));
    let scaler_metadata = metadata("a").iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let object = ScaledObjectRef { name: "orders".to_owned(), namespace: "shop".to_owned(), scaler_metadata };
    let request = GetMetricsRequest { scaled_object_ref: Some(object), metric_name: "scripted-a".to_owned() };
    let mut client = tonic::client::Grpc::new(pipe.channel().await);
    client.ready().await.unwrap();
    let path = "/externalscaler.ExternalScaler/GetMetrics".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<GetMetricsRequest, OldValues>::default();
    let answer = client.unary(tonic::Request::new(request), path, codec).await.unwrap().into_inner();
    assert_eq!(answer.values, [OldValue { name: "scripted-a".to_owned(), value: 23 }]);
}
