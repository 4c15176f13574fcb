//! KEDA's call script against the real binary on real brokers: from zero to work and back, in front and behind a drain.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use redis::AsyncCommands;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Streaming};

use plimsoll::grpc::externalscaler::IsActiveResponse;

use crate::{
    emulator::{Keda, seen_by_keda},
    kafka::fixtures::{Cluster, address, unique},
    process::Process,
};

/// Far longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn pushed(stream: &mut Streaming<IsActiveResponse>) -> bool {
    timeout(PATIENCE, stream.next()).await.expect("a push").expect("an open stream").expect("no error").result
}

/// Polls until KEDA would see `value`, and the activity that goes with it: a refresh may fall between the two calls.
async fn seen(keda: &mut Keda, value: f64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let poll = keda.poll().await.expect("a healthy broker");
        if (seen_by_keda(&poll.value) - value).abs() < f64::EPSILON && poll.active == (value > 0.0) {
            return;
        }
        assert!(Instant::now() < deadline, "still {poll:?} and not {value}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_redis_list_goes_from_zero_to_work_and_back() {
    let (server, list, redis) = (Process::start(&[]), unique("list"), address("PLIMSOLL_TEST_REDIS"));
    let metadata = [
        ("scalerType", "redis"),
        ("address", &redis),
        ("listName", &list),
        ("pollingInterval", "200ms"),
        ("listLength", "10"),
    ];
    let mut keda = Keda::new(server.channel(), "orders", &metadata);
    for _ in 0..3 {
        let spec = keda.spec().await.unwrap();
        assert_eq!((spec.metric_name, spec.target_size), (format!("redis-{list}"), 10));
    }
    let hasty = Process::start(&["--stream-age", "1s"]);
    let told = Keda::new(hasty.channel(), "orders", &metadata).spec_stream().await;
    assert_eq!(told, (vec![keda.spec().await.unwrap()], Code::Unimplemented));
    let mut stream = keda.stream().await.unwrap();
    seen(&mut keda, 0.0).await;
    let mut writer =
        redis::Client::open(format!("redis://{redis}")).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = writer.lpush(&list, vec!["work"; 25]).await.unwrap();
    assert!(pushed(&mut stream).await);
    seen(&mut keda, 25.0).await;
    assert_eq!(keda.hpa().await.unwrap().metric_value, 25);
    let upper = format!("REDIS-{}", list.to_uppercase());
    assert_eq!(keda.value(&upper, None).await.unwrap().metric_name, upper);
    let () = writer.del(&list).await.unwrap();
    seen(&mut keda, 0.0).await;
}

#[tokio::test]
async fn a_kafka_group_goes_from_zero_to_work_and_back() {
    let (server, topic, servers) = (Process::start(&[]), unique("keda"), address("PLIMSOLL_TEST_KAFKA"));
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA").await;
    cluster.create(&topic, 3).await;
    cluster.commit(&topic, &[(&topic, 0, 0), (&topic, 1, 0), (&topic, 2, 0)]).await;
    let metadata = [
        ("scalerType", "kafka"),
        ("bootstrapServersFromEnv", servers.as_str()),
        ("consumerGroup", &topic),
        ("topic", &topic),
        ("lagThreshold", "5"),
        ("pollingInterval", "200ms"),
    ];
    let mut keda = Keda::new(server.channel(), "orders", &metadata);
    let spec = keda.spec().await.unwrap();
    assert_eq!((spec.metric_name, spec.target_size), (format!("kafka-{topic}"), 5));
    let mut stream = keda.stream().await.unwrap();
    seen(&mut keda, 0.0).await;
    cluster.produce(&topic, 1, 12).await;
    assert!(pushed(&mut stream).await);
    seen(&mut keda, 12.0).await;
    cluster.commit(&topic, &[(&topic, 1, 12)]).await;
    seen(&mut keda, 0.0).await;
}

#[tokio::test]
async fn a_thousand_scaled_objects_tick_in_phase_beside_two_thousand_parked_streams() {
    let (server, run, redis) = (Process::start(&[]), unique("many"), address("PLIMSOLL_TEST_REDIS"));
    let channel = server.channel();
    let lists: Vec<String> = (0..1000).map(|n| format!("{run}-{n}")).collect();
    let mut kedas: Vec<Keda> = lists
        .iter()
        .map(|list| {
            Keda::new(channel.clone(), list, &[("scalerType", "redis"), ("address", &redis), ("listName", list)])
        })
        .collect();
    let mut streams = Vec::new();
    for keda in &mut kedas {
        streams.push(keda.stream().await.unwrap());
        streams.push(keda.stream().await.unwrap());
    }
    for _ in 0..3 {
        let polls = join_all(kedas.iter_mut().map(Keda::poll)).await;
        assert!(polls.into_iter().all(|poll| poll.is_ok_and(|poll| !poll.active)));
    }
    let mut writer =
        redis::Client::open(format!("redis://{redis}")).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = writer.lpush(&lists[500], "work").await.unwrap();
    assert!(pushed(&mut streams[1000]).await && pushed(&mut streams[1001]).await);
    let () = writer.del(&lists[500]).await.unwrap();
}

#[tokio::test]
async fn a_drain_ends_streams_with_ok_and_another_replica_takes_over() {
    let redis = address("PLIMSOLL_TEST_REDIS");
    let list = unique("drain");
    let metadata = [("scalerType", "redis"), ("address", redis.as_str()), ("listName", &list)];
    let mut first = Process::start(&["--endpoint-delay", "1s"]);
    let mut keda = Keda::new(first.channel(), "orders", &metadata);
    let mut stream = keda.stream().await.unwrap();
    keda.poll().await.unwrap();
    assert_eq!(first.page("/readyz"), "ok\n");
    first.terminate();
    // Not ready any more, and still serving until the endpoints have changed.
    let deadline = Instant::now() + PATIENCE;
    while first.page("/readyz") == "ok\n" {
        assert!(Instant::now() < deadline, "{}", first.log());
    }
    assert_eq!(first.page("/livez"), "ok\n");
    keda.poll().await.expect("it serves on");
    let end = timeout(PATIENCE, stream.next()).await.expect("an end");
    assert!(end.is_none(), "the stream ends with OK: {end:?}");
    assert!(first.ended(PATIENCE).success(), "{}", first.log());
    let second = Process::start(&[]);
    let mut keda = Keda::new(second.channel(), "orders", &metadata);
    keda.stream().await.expect("reopened");
    keda.poll().await.expect("answered");
}

#[tokio::test]
async fn every_error_names_the_place_and_the_cure_and_no_secret() {
    let server = Process::start(&[]);
    let redis = address("PLIMSOLL_TEST_REDIS");
    let wrong = [
        ("scalerType", "redis"),
        ("address", redis.as_str()),
        ("listName", "l"),
        ("username", "reader"),
        ("password", "s3cret"),
    ];
    let nobody = [("scalerType", "redis"), ("address", "127.0.0.1:1"), ("listName", "l"), ("password", "s3cret")];
    for (metadata, code, words) in [
        (&wrong[..], Code::FailedPrecondition, ["password", &redis]),
        (&nobody[..], Code::Unavailable, ["127.0.0.1:1", "refuse"]),
    ] {
        let mut keda = Keda::new(server.channel(), "orders", metadata);
        keda.spec().await.expect("a spec needs no broker");
        let status = keda.poll().await.expect_err("there is no value");
        assert_eq!(status.code(), code, "{status}");
        assert!(words.iter().all(|word| status.message().contains(word)), "{status}");
        assert_eq!(
            keda.poll().await.expect_err("still none").message(),
            status.message(),
            "constant for a constant cause"
        );
    }
    let told = [server.page("/api/v1/triggers"), server.page("/metrics"), server.log()].concat();
    assert!(!told.contains("s3cret"), "{told}");
}
