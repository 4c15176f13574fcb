//! With KEDA's objects read from a real API server: what a warm call costs, and what ten thousand changed passwords leave.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    api::Api,
    calls::{ROUNDS, calls_per_second},
    emulator::Keda,
    host::resident_mb,
    login::Login,
    process::Process,
    report::{Must, Report, median, percentile},
};

const ROTATIONS: usize = 10_000;
/// Only from then on is memory compared: by then everything has been needed once.
const SETTLED: usize = 1_000;

/// The same trigger with its login in its metadata, and in a Secret.
pub async fn calls(report: &mut Report) {
    println!("cluster: {ROUNDS} rounds on each server in turn, a login in the metadata and one in a Secret");
    let mut login = Login::new(Api::shared(), "bench-calls").await;
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    let (plain, bound) = (Process::start(&[]), Process::start(&["--kubernetes"]));
    let mut metadata = login.metadata().to_vec();
    metadata.extend([("username", "bench-calls"), ("password", "one")]);
    let by_metadata = Keda::of(plain.channel(), (&login.name, "o"), &metadata);
    let by_secret = login.keda(&bound);
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let (known, read) = (calls_per_second(&by_metadata).await, calls_per_second(&by_secret).await);
        if round > 0 {
            ratios.push(read / known);
        }
    }
    report.add(
        "GetMetrics, warm, with a login from a Secret, against one in the metadata",
        median(&mut ratios),
        "ratio",
        Must::AtLeast(0.9),
    );
}

/// The password changes at the broker, which throws us out, and then in the Secret.
pub async fn rotations(report: &mut Report) {
    println!("cluster: {ROTATIONS} changed passwords");
    let mut login = Login::new(Api::shared(), "bench-rotations").await;
    login.password("0").await;
    login.secret(json!({"username": login.name, "password": "0"})).await;
    let server = Process::start(&["--kubernetes"]);
    let mut keda = login.keda(&server);
    until_told(&mut keda, login.longer().await).await;
    let (mut took, mut settled) = (Vec::new(), 0.0);
    for n in 1..=ROTATIONS {
        let password = n.to_string();
        login.password(&password).await;
        login.secret(json!({"username": login.name, "password": password})).await;
        let begin = Instant::now();
        until_told(&mut keda, login.longer().await).await;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        if n == SETTLED {
            settled = resident_mb(server.pid());
        }
    }
    let growth = (resident_mb(server.pid()) / settled - 1.0) * 100.0;
    report.add("a changed password in use after its Secret was patched, p50", median(&mut took), "ms", Must::Nothing);
    report.add("the same, p99", percentile(&mut took, 0.99), "ms", Must::AtMost(30_000.0));
    report.add("growth of memory by 9,000 changed passwords", growth, "%", Must::AtMost(5.0));
}

/// Until this value is told: with the former password nobody can know it.
async fn until_told(keda: &mut Keda, value: i64) {
    let begin = Instant::now();
    while !keda.poll().await.is_ok_and(|poll| poll.value.metric_value == value) {
        assert!(begin.elapsed() < Duration::from_secs(60), "the new password is not in use");
    }
}
