//! From zero to work and back, as KEDA does it.

use std::{env, time::Duration};

use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    process::Process,
    scaled::Scaled,
    stage::{self, PATIENCE, eventually},
};

fn redis_address() -> String {
    env::var("PLIMSOLL_TEST_REDIS").expect("start Redis with `tests/brokers/up redis`, then `. target/brokers/env`")
}

fn push(server: &Process, metadata: &[(&str, &str)]) -> Value {
    let mut all = json!({"scalerAddress": server.grpc});
    for (key, value) in metadata {
        all[*key] = json!(value);
    }
    json!({"type": "external-push", "metadata": all})
}

async fn streams_are_open(server: &Process, count: u64) {
    eventually("KEDA has opened its stream", || async {
        server.triggers().iter().filter_map(|row| row["streams"].as_u64()).sum::<u64>() >= count
    })
    .await;
}

#[tokio::test]
async fn a_redis_list_goes_from_zero_to_n_to_zero() {
    let (api, server, address) = (stage::api().await, Process::start(&[]), redis_address());
    let list = format!("operator-{}", server.pid());
    let metadata = [("scalerType", "redis"), ("address", &*address), ("listName", &*list), ("listLength", "5")];
    let scaled = Scaled::new(&api, "wake-redis", &push(&server, &metadata), &[]).await;
    streams_are_open(&server, 1).await;
    let mut changes = scaled.changes().await;
    assert_eq!(changes.next().await, 0);

    let client = redis::Client::open(format!("redis://{address}")).unwrap();
    let mut writer = client.get_multiplexed_async_connection().await.unwrap();
    let () = writer.lpush(&list, vec!["work"; 25]).await.unwrap();
    let begin = Instant::now();
    let woken = timeout(PATIENCE, changes.next()).await.expect("a wake");
    let took = begin.elapsed();
    println!("from the write to spec.replicas = {woken}: {took:?}");
    assert!(woken >= 1 && took < Duration::from_secs(1), "a push, and not the next poll: {took:?}");
    scaled.reaches(5).await;

    let () = writer.del(&list).await.unwrap();
    scaled.reaches(0).await;
    scaled.end().await;
}
