//! A hundred thousand hostile triggers beside one healthy one: what it waits, and what they cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio::time::sleep;
use tonic::Code;

use crate::{
    broker,
    emulator::Keda,
    fleet::redis_trigger,
    host::resident_mb,
    hostile_triggers::ask,
    process::Process,
    report::{Must, Report, percentile},
};

const TRIGGERS: usize = 100_000;
/// Callers at a time, on connections of their own: an attacker does not queue behind himself.
const CALLERS: usize = 64;

pub async fn triggers(report: &mut Report) {
    println!("hostile: {TRIGGERS} triggers of large values, many keys and many dead hosts beside a healthy one");
    let server = Process::start(&[]);
    let list = redis_trigger(&broker("PLIMSOLL_TEST_REDIS"), "bench-hostile");
    let pairs: Vec<_> = list.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut healthy = Keda::new(server.channel(), "healthy", &pairs);
    healthy.poll().await.expect("answers");
    let empty = resident_mb(server.pid());
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let watching = tokio::task::spawn(async move {
        let mut waits = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let begin = Instant::now();
            healthy.value("redis-bench-hostile", None).await.expect("healthy");
            waits.push(begin.elapsed().as_secs_f64() * 1e3);
            sleep(Duration::from_millis(20)).await;
        }
        waits
    });
    let pid = server.pid();
    let most = Arc::new(parking_lot::Mutex::new(0.0_f64));
    let channels: Vec<_> = (0..8).map(|_| server.channel()).collect();
    let codes: Vec<Code> = stream::iter(0..TRIGGERS)
        .map(|n| {
            let (channel, most) = (channels[n % channels.len()].clone(), Arc::clone(&most));
            async move {
                if n % 500 == 0 {
                    let now = resident_mb(pid);
                    let mut most = most.lock();
                    *most = most.max(now);
                }
                ask(channel, n).await
            }
        })
        .buffer_unordered(CALLERS)
        .collect()
        .await;
    // What they have opened goes on by itself for a while.
    for _ in 0..30 {
        sleep(Duration::from_secs(1)).await;
        let now = resident_mb(pid);
        let mut most = most.lock();
        *most = most.max(now);
    }
    over.store(true, Ordering::Relaxed);
    let mut waits = watching.await.expect("no call failed");
    let refused = codes.iter().filter(|code| **code == Code::ResourceExhausted).count();
    println!("  of {TRIGGERS} {refused} were refused for want of room; an empty server holds {empty:.0} MB");
    let longest = waits.iter().copied().fold(0.0, f64::max);
    report.add(
        "healthy GetMetrics beside 100,000 hostile triggers, p99",
        percentile(&mut waits, 0.99),
        "ms",
        Must::AtMost(100.0),
    );
    report.add("the same, the longest", longest, "ms", Must::Nothing);
    report.add("memory with 100,000 hostile triggers, at most", *most.lock(), "MB", Must::AtMost(512.0));
}
