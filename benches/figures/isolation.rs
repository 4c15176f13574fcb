//! Healthy triggers beside a dead Kafka and a frozen Redis: their answers must not notice.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::{interval, sleep};

use crate::{
    broker,
    emulator::Keda,
    fleet::{object, redis_trigger},
    kafka,
    process::Process,
    redis,
    report::{Must, Report, median, percentile},
};

const HEALTHY: usize = 1_000;
const ROUNDS: usize = 9;
const CALLS: usize = 2_000;
/// 1,000 calls a second: three times what KEDA asks of 1,000 ScaledObjects.
const PACE: Duration = Duration::from_millis(1);

pub async fn of_healthy_triggers(report: &mut Report) {
    println!(
        "isolation: {HEALTHY} healthy triggers on two servers, one of them beside a dead Kafka and a frozen Redis"
    );
    let address = broker("PLIMSOLL_TEST_REDIS");
    let (calm, troubled) = (Process::start(&[]), Process::start(&[]));
    let (calm_fleet, troubled_fleet) = (healthy(&calm, &address).await, healthy(&troubled, &address).await);
    let frozen = Frozen::start().await;
    let trouble = [kafka::trigger("127.0.0.1:1", "group", "topic"), redis_trigger(&frozen.address, "list")];
    let channel = troubled.channel();
    for (n, metadata) in trouble.into_iter().enumerate() {
        let pairs: Vec<_> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut keda = Keda::new(channel.clone(), &format!("trouble{n}"), &pairs);
        tokio::task::spawn(async move {
            loop {
                assert!(keda.poll().await.is_err(), "there is no broker to answer");
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let (calm, troubled) = (p99(&calm_fleet).await, p99(&troubled_fleet).await);
        if round > 0 {
            ratios.push(troubled / calm);
        }
    }
    report.add(
        "p99 of healthy GetMetrics beside a dead Kafka and a frozen Redis, against without",
        median(&mut ratios),
        "ratio",
        Must::AtMost(1.2),
    );
}

async fn healthy(server: &Process, address: &str) -> Vec<Keda> {
    let channel = server.channel();
    let mut fleet = Vec::new();
    for n in 0..HEALTHY {
        let metadata = redis_trigger(address, &format!("bench-isolation-{n}"));
        let mut keda = object(&channel, n, &metadata);
        keda.poll().await.expect("answers");
        fleet.push(keda);
    }
    fleet
}

/// The 99th percentile of call times, in ms, at a steady pace.
async fn p99(fleet: &[Keda]) -> f64 {
    let mut pace = interval(PACE);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..CALLS {
        pace.tick().await;
        let n = n % fleet.len();
        let mut keda = fleet[n].clone();
        calls.spawn(async move {
            let begin = Instant::now();
            keda.value(&format!("redis-bench-isolation-{n}"), None).await.expect("healthy");
            begin.elapsed().as_secs_f64() * 1e3
        });
    }
    percentile(&mut calls.join_all().await, 0.99)
}

/// A Redis of our own that has stopped answering.
struct Frozen {
    child: Child,
    address: String,
}

impl Frozen {
    async fn start() -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir", "/tmp"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let address = format!("127.0.0.1:{port}");
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        drop(redis::connect(&address).await);
        let stopped = Command::new("kill").args(["-STOP", &child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()));
        Self { child, address }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
