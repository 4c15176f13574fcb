//! What idle sources cost their brokers while somebody listens: processor time of Kafka's JVM, commands at Redis.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::time::sleep;

use crate::{
    broker,
    fleet::{Fleet, Metadata, redis_trigger},
    host::cpu_seconds,
    kafka::{self, Topics},
    process::Process,
    redis,
    report::{Must, Report},
};

const PARTITIONS: usize = 1_000;
const LISTS: usize = 250;
/// Our own, and KEDA's default.
const INTERVALS: [u64; 2] = [5, 30];
/// Two of the longer intervals.
const SPELL: Duration = Duration::from_secs(60);
/// By then topics have been made, triggers have been read, and waits have grown.
const SETTLED: Duration = Duration::from_secs(30);

/// Of a core, while 1,000 partitions are armed.
pub async fn kafka_share(report: &mut Report) {
    println!("idle: {PARTITIONS} partitions of one Kafka, read every {INTERVALS:?} s, over {SPELL:?} each");
    let servers = broker("PLIMSOLL_TEST_KAFKA");
    let topics = Topics::create(&servers, "bench-idle", PARTITIONS, 1).await;
    let producer = kafka::producer(&servers);
    join_all(topics.names.iter().map(|topic| kafka::produce(&producer, topic))).await;
    drop(producer);
    topics.commit(&servers, "bench-idle", PARTITIONS, 1).await;
    sleep(SETTLED).await;
    report.add("Kafka's JVM without us", kafka_spends().await, "% core", Must::Nothing);
    for interval in INTERVALS {
        let server = Process::start(&[]);
        let trigger = |topic: &String| every(interval, kafka::trigger(&servers, "bench-idle", topic));
        let _fleet = Fleet::open(&server, topics.names.iter().map(trigger).collect()).await;
        sleep(SETTLED).await;
        report.add(
            format!("Kafka's JVM with 1,000 idle partitions armed, read every {interval} s"),
            kafka_spends().await,
            "% core",
            Must::AtMost(8.0),
        );
    }
    topics.delete(&servers).await;
}

/// A minute, while 250 keys are tracked.
pub async fn redis_commands(report: &mut Report) {
    println!("idle: {LISTS} lists on one Redis, read every {INTERVALS:?} s, over {SPELL:?} each");
    let address = broker("PLIMSOLL_TEST_REDIS");
    let mut reader = redis::connect(&address).await;
    for interval in INTERVALS {
        let server = Process::start(&[]);
        let trigger = |n: usize| every(interval, redis_trigger(&address, &format!("bench-idle-{n}")));
        let _fleet = Fleet::open(&server, (0..LISTS).map(trigger).collect()).await;
        sleep(SETTLED).await;
        let (before, begin) = (redis::commands(&mut reader).await, Instant::now());
        sleep(SPELL).await;
        // The question itself is one.
        let spent = (redis::commands(&mut reader).await - before - 1.0) / begin.elapsed().as_secs_f64();
        report.add(
            format!("Redis commands a minute, 250 idle lists, read every {interval} s"),
            spent * 60.0,
            "",
            Must::AtMost(600.0),
        );
    }
}

fn every(interval: u64, mut trigger: Metadata) -> Metadata {
    trigger.push(("pollingInterval", interval.to_string()));
    trigger
}

/// Of a core, in percent.
async fn kafka_spends() -> f64 {
    let pid = fs::read_to_string(format!("{}/pid", broker("PLIMSOLL_TEST_KAFKA_DIR"))).expect("it runs");
    let pid = pid.trim().parse().expect("a number");
    let before = (cpu_seconds(pid), Instant::now());
    sleep(SPELL).await;
    (cpu_seconds(pid) - before.0) / before.1.elapsed().as_secs_f64() * 100.0
}
