//! From zero to work and back, as KEDA does it with a login that it never passes on.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    process::Process,
    redis_work::{Work, serve},
    scaled::Scaled,
    stage::{self, PATIENCE, eventually},
};

async fn stream_is_open(server: &Process) {
    eventually("KEDA has opened its stream", || async {
        server.triggers().iter().any(|row| row["streams"].as_u64().is_some_and(|streams| streams > 0))
    })
    .await;
}

#[tokio::test]
async fn a_redis_list_goes_from_zero_to_n_to_zero() {
    let (api, server) = (stage::api().await, serve("wake"));
    let mut work = Work::new(&api, "wake").await;
    let scaled = Scaled::new(&api, "wake", &work.trigger(&server), &work.objects(), None).await;
    stream_is_open(&server).await;
    let mut changes = scaled.changes().await;
    assert_eq!(changes.next().await, 0);

    work.put(25).await;
    let begin = Instant::now();
    let woken = timeout(PATIENCE, changes.next()).await.expect("a wake");
    let took = begin.elapsed();
    println!("from the write to spec.replicas = {woken}: {took:?}");
    assert!(woken >= 1 && took < Duration::from_secs(1), "a push, and not the next poll: {took:?}");
    scaled.reaches(5).await;

    work.clear().await;
    scaled.reaches(0).await;
    scaled.end().await;
}
