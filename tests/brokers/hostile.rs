//! A healthy trigger beside thousands of hostile ones: it does not wait, and the process does not grow without end.
//! `make bench` does the same with a hundred thousand.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::{
    emulator::Keda,
    hostile_triggers::ask,
    kafka::fixtures::{address, unique},
    process::Process,
};

/// Their values alone are 1.2 GB.
const TRIGGERS: usize = 20_000;
const CALLERS: usize = 64;
const MOST_MB: u64 = 512;

fn resident_mb(server: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_hostile_triggers_cost_a_healthy_one_nothing_and_the_process_no_memory_without_bound() {
    let server = Process::start(&[]);
    let (list, redis) = (unique("list"), address("PLIMSOLL_TEST_REDIS"));
    let metadata = [("scalerType", "redis"), ("address", &*redis), ("listName", &*list)];
    let mut healthy = Keda::new(server.channel(), "healthy", &metadata);
    healthy.poll().await.expect("a healthy broker");
    let channels: Vec<_> = (0..8).map(|_| server.channel()).collect();
    let hostile = stream::iter(0..TRIGGERS).map(|n| ask(channels[n % channels.len()].clone(), n));
    let over = AtomicBool::new(false);
    let hostile = async {
        let codes: Vec<Code> = hostile.buffer_unordered(CALLERS).collect().await;
        over.store(true, Ordering::Relaxed);
        codes
    };
    let watching = async {
        while !over.load(Ordering::Relaxed) {
            // Not a figure: a call that waits for the others would wait for seconds.
            let answer = timeout(Duration::from_secs(5), healthy.value(&format!("redis-{list}"), None)).await;
            answer.expect("it does not wait").expect("it is healthy");
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (codes, ()) = tokio::join!(hostile, watching);
    assert!(!codes.contains(&Code::Ok) && !codes.contains(&Code::Internal));
    let refused = codes.iter().filter(|code| **code == Code::ResourceExhausted).count();
    assert!(refused > TRIGGERS / 4, "{refused} were refused");
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        healthy.poll().await.expect("a healthy broker");
        sleep(Duration::from_millis(200)).await;
    }
    assert!(resident_mb(&server) < MOST_MB, "{} MB", resident_mb(&server));
}
