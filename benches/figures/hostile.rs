//! What a tenant can do to the others by triggers alone: a hundred thousand that are each different and as useless as can be.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use crate::{
    broker,
    emulator::Keda,
    fleet::redis_trigger,
    host::resident_mb,
    process::Process,
    report::{Must, Report, percentile},
};

const TRIGGERS: usize = 100_000;
const AT_ONCE: usize = 64;

/// Memory, and the answers of a healthy trigger meanwhile.
pub async fn of_useless_triggers(report: &mut Report) {
    println!("hostile: {TRIGGERS} triggers of 4 KiB and 60 unknown keys each, beside one that is healthy");
    let redis = broker("PLIMSOLL_TEST_REDIS");
    let server = Process::start(&[]);
    let healthy = redis_trigger(&redis, "bench-hostile");
    let pairs: Vec<_> = healthy.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut healthy = Keda::of(server.channel(), ("other", "healthy"), &pairs);
    healthy.poll().await.expect("answers");
    let channel = server.channel();
    // A task of its own: what is measured beside it must not wait for its turn in this one.
    let attack = tokio::task::spawn(async move {
        stream::iter(0..TRIGGERS).for_each_concurrent(AT_ONCE, |n| useless(channel.clone(), n)).await;
    });
    let mut times = Vec::new();
    while !attack.is_finished() {
        let begin = Instant::now();
        healthy.value("redis-bench-hostile", None).await.expect("answers");
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        sleep(Duration::from_millis(50)).await;
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    report.add(
        "`GetMetrics` of a healthy trigger beside 100,000 hostile ones, p99",
        percentile(&mut times, 0.99),
        "ms",
        Must::AtMost(100.0),
    );
    report.add("the same, longest", most, "ms", Must::Nothing);
    report.add("memory with 100,000 hostile triggers", resident_mb(server.pid()), "MB", Must::AtMost(512.0));
}

/// Asks about a trigger that nobody has asked about before; an answer that takes long is not waited for.
async fn useless(channel: Channel, n: usize) {
    let (list, port, filler) = (format!("bench-hostile-{n}"), format!("127.0.0.1:{}", 1 + n % 3_000), "x".repeat(50));
    let unknown: Vec<String> = (0..60).map(|key| format!("listNam{key}x{n}")).collect();
    let mut pairs = vec![("scalerType", "redis"), ("listName", list.as_str()), ("address", port.as_str())];
    pairs.extend(unknown.iter().map(|key| (key.as_str(), filler.as_str())));
    timeout(Duration::from_millis(20), Keda::new(channel, "hostile", &pairs).active()).await.ok();
}
