//! Resident memory of 10,000 idle triggers with open streams, beyond an empty server.

use crate::{
    broker,
    fleet::{Fleet, redis_trigger},
    host::{resident_mb, threads},
    process::Process,
    report::{Must, Report},
};

const TRIGGERS: usize = 10_000;

pub async fn of_idle_triggers(report: &mut Report) {
    println!("memory: {TRIGGERS} idle triggers, each with an open stream, on one connection");
    let redis = broker("PLIMSOLL_TEST_REDIS");
    let server = Process::start(&[]);
    // One trigger first, so that what every server needs once is not counted.
    let _first = Fleet::open(&server, vec![redis_trigger(&redis, "bench-memory-first")]).await;
    let (empty, few_threads) = (resident_mb(server.pid()), threads(server.pid()));
    let triggers = (0..TRIGGERS).map(|n| redis_trigger(&redis, &format!("bench-memory-{n}"))).collect();
    let _fleet = Fleet::open(&server, triggers).await;
    let full = resident_mb(server.pid());
    report.add("memory of an empty server", empty, "MB", Must::Nothing);
    report.add(
        "memory of 10,000 idle triggers with open streams, beyond that",
        full - empty,
        "MB",
        Must::AtMost(100.0),
    );
    report.add("threads more for 10,000 triggers", threads(server.pid()) - few_threads, "threads", Must::AtMost(0.0));
}
