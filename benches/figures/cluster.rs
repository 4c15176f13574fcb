//! With KEDA's objects read from a real API server: what a warm call costs, and what ten thousand changed passwords leave.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

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
/// One Secret is read again at most every 5 s, so many change at the same time.
const LOGINS: usize = 500;
const AT_ONCE: usize = 20;
/// Rounds after which memory is compared: by then everything has been needed several times.
const SETTLED: usize = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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

/// Passwords change at the broker, which throws us out, and then in their Secrets: all of them, round by round.
pub async fn rotations(report: &mut Report) {
    println!("cluster: {ROTATIONS} changed passwords of {LOGINS} users");
    let api = Api::shared();
    let server = Process::start(&["--kubernetes"]);
    // As KEDA's: one connection for all.
    let channel = server.channel();
    let users = stream::iter(0..LOGINS).map(async |n| {
        let login = Login::new(api.clone(), &format!("bench-rotations-{n}")).await;
        let keda = Keda::of(channel.clone(), (&login.name, "o"), &login.metadata());
        (login, keda)
    });
    let mut users: Vec<_> = users.buffer_unordered(AT_ONCE).collect().await;
    let (mut took, mut settled) = (Vec::new(), 0.0);
    for round in 1..=ROTATIONS / LOGINS {
        let password = round.to_string();
        let changed = users.iter_mut().map(|(login, keda)| rotated(login, keda, &password));
        took.extend(stream::iter(changed).buffer_unordered(LOGINS).collect::<Vec<_>>().await);
        let memory = resident_mb(server.pid());
        println!("  {memory:.1} MB after {} changed passwords", round * LOGINS);
        if round == SETTLED {
            settled = memory;
            took.clear();
        }
    }
    let growth = (resident_mb(server.pid()) / settled - 1.0) * 100.0;
    report.add("a changed password in use after its Secret was patched, p50", median(&mut took), "ms", Must::Nothing);
    report.add("the same, p99", percentile(&mut took, 0.99), "ms", Must::AtMost(30_000.0));
    report.add("growth of memory by the last 5,000 of 10,000 changed passwords", growth, "%", Must::AtMost(5.0));
}

/// How long after its Secret the new password was in use, in milliseconds: with the former one nobody can know the length.
async fn rotated(login: &mut Login, keda: &mut Keda, password: &str) -> f64 {
    login.password(password).await;
    login.secret(json!({"username": login.name, "password": password})).await;
    let begin = Instant::now();
    let length = login.longer().await;
    while !keda.poll().await.is_ok_and(|poll| poll.value.metric_value == length) {
        assert!(begin.elapsed() < Duration::from_secs(60), "the new password is not in use");
        sleep(LOOK_AGAIN).await;
    }
    begin.elapsed().as_secs_f64() * 1e3
}
