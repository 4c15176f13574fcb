//! One side of the comparison: 500 ScaledObjects of one backend, by KEDA's own scaler or by ours.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    host::{connections, cpu_seconds, resident_mb},
    many::Many,
    process::Process,
    say,
    stage::{self, serve},
    work::Work,
};

const OBJECTS: usize = 500;
/// Makes two replicas.
const ACTIVE_WORK: usize = 7;
/// After the last change. What a beginning costs is not over then: KEDA has it queue behind its budget for minutes.
const SETTLES: Duration = Duration::from_secs(45);
/// Two polls of every object: as many patches in two of these, one after the other, are what the steady state costs.
const WINDOW: Duration = Duration::from_secs(60);
const STEADY: f64 = 0.05;
/// KEDA's default budget of 20 requests a second is spent by these: there is a queue still.
const SPENT: f64 = 1_150.0;
const WINDOWS: usize = 12;
const MEASURED: Duration = Duration::from_secs(180);
const WAKES: usize = 40;
/// Between two wakes. Each costs KEDA some six requests to the API server, of which it has 20 a second by default, and the
/// polls of the active ones take nearly half of that: two wakes a second are more than it can do.
const BETWEEN: Duration = Duration::from_secs(3);

/// A process of the cluster, by its folder.
fn pid(folder: &str) -> u32 {
    let folder = PathBuf::from(std::env::var("PLIMSOLL_TEST_OPERATOR").expect("run this by `make bench-keda`"))
        .with_file_name(folder);
    fs::read_to_string(folder.join("pid")).expect("it runs").trim().parse().expect("a pid")
}

/// What has been used so far.
struct Used {
    operator: f64,
    apiserver: f64,
    broker: f64,
    ours: f64,
    patches: f64,
    pushes: f64,
    commands: Option<f64>,
}

impl Used {
    async fn now(many: &Many, work: &Work, server: &Process) -> Self {
        Self {
            operator: cpu_seconds(pid("operator")),
            apiserver: cpu_seconds(pid("apiserver")),
            broker: work.broker_seconds(),
            ours: cpu_seconds(server.pid()),
            patches: patches(many).await,
            pushes: server.series("plimsoll_pushes_total"),
            commands: work.commands().await,
        }
    }
}

/// Measures it, and says the row.
pub async fn row(backend: &str, how: &str, active: usize) {
    let api = stage::api().await;
    let names: Vec<String> = (0..OBJECTS).map(|n| format!("{backend}-{}-{n}", std::process::id())).collect();
    let work = Work::new(backend, &names).await;
    let server = serve(crate::many::NAMESPACE, &[]);
    let spec = |name: &str| {
        let mut trigger = json!({"type": backend, "metadata": work.metadata(name)});
        if how != "built-in" {
            trigger["type"] = how.into();
            trigger["metadata"]["scalerType"] = backend.into();
            trigger["metadata"]["scalerAddress"] = server.grpc.clone().into();
        }
        json!({"triggers": [trigger]})
    };
    let mut many = Many::new(&api, names, spec).await;
    let (busy, idle) = many.names.split_at(active);
    let (busy, idle) = (busy.to_vec(), idle.to_vec());
    for name in &busy {
        work.put(name, ACTIVE_WORK).await;
    }
    many.until(active, 2).await;
    while many.change(SETTLES).await.is_some() {}
    steady(&mut many).await;

    let (before, begin) = (Used::now(&many, &work, &server).await, Instant::now());
    while begin.elapsed() < MEASURED {
        many.change(MEASURED.saturating_sub(begin.elapsed())).await;
    }
    let (after, minutes) = (Used::now(&many, &work, &server).await, begin.elapsed().as_secs_f64() / 60.0);
    assert_eq!(many.with(1), active, "nothing else has changed");
    let memory = resident_mb(pid("operator"));
    let links = connections(pid("operator"), work.port()) + connections(server.pid(), work.port());
    let commands = after.commands.zip(before.commands).map(|(after, before)| (after - before) / minutes);
    let mut times = wakes(&mut many, &work, &idle).await;
    let woken = times.len();
    let mut at = |share: f64| percentile(&mut times, share) * 1e3;
    let row = format!(
        "| {backend} | {how} | {active} of {OBJECTS} | {:.1} | {:.1} | {memory:.0} | {:.0} | {links:.0} | {} | {:.1} | {:.1} | {:.0} | {:.0} / {:.0} / {:.0} ({woken}) | {:.1} |",
        (after.operator - before.operator) / minutes,
        (after.apiserver - before.apiserver) / minutes,
        (after.patches - before.patches) / minutes,
        commands.map_or_else(|| "-".to_owned(), |commands| format!("{commands:.0}")),
        (after.broker - before.broker) / minutes,
        (after.ours - before.ours) / minutes,
        (after.pushes - before.pushes) / minutes,
        at(0.5),
        at(0.99),
        at(1.0),
        load(),
    );
    say(
        "| backend | how | active | operator s/min | API server s/min | operator MB | status patches/min | broker connections | broker commands/min | broker s/min | ours s/min | pushes/min | wake p50 / p99 / max ms | load |",
    );
    say(&row);
}

/// Status patches of ScaledObjects since the API server has run.
async fn patches(many: &Many) -> f64 {
    let metrics = many.api.get("/metrics").await.ok();
    let patches = metrics.as_str().expect("a page").lines().filter(|line| {
        let has = |word: &str| line.contains(word);
        line.starts_with("apiserver_request_total{")
            && has(r#"resource="scaledobjects""#)
            && has(r#"subresource="status""#)
            && has(r#"verb="PATCH""#)
    });
    patches.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Returns when what the beginning has cost is over.
async fn steady(many: &mut Many) {
    let mut last = f64::NAN;
    for _ in 0..WINDOWS {
        let (before, begin) = (patches(many).await, Instant::now());
        while begin.elapsed() < WINDOW {
            many.change(WINDOW.saturating_sub(begin.elapsed())).await;
        }
        let now = patches(many).await - before;
        println!("{now} status patches in {WINDOW:?}");
        if now < SPENT && (now - last).abs() <= last * STEADY {
            return;
        }
        last = now;
    }
    panic!("status patches do not become steady");
}

/// How long each of the idle ones took, from just before the write to `spec.replicas`.
async fn wakes(many: &mut Many, work: &Work, idle: &[String]) -> Vec<f64> {
    let mut times = Vec::new();
    let mut waiting: std::collections::BTreeMap<&str, Instant> = std::collections::BTreeMap::new();
    for name in idle.iter().take(WAKES) {
        let next = Instant::now() + BETWEEN;
        waiting.insert(name, Instant::now());
        work.put(name, 1).await;
        while let Some((name, _, seen)) = many.change(next.saturating_duration_since(Instant::now())).await {
            times.extend(waiting.remove(name.as_str()).map(|begin| (seen - begin).as_secs_f64()));
        }
    }
    while !waiting.is_empty() {
        let change = many.change(Duration::from_secs(120)).await;
        let (name, _, seen) = change.unwrap_or_else(|| panic!("never woken: {waiting:?}"));
        times.extend(waiting.remove(name.as_str()).map(|begin| (seen - begin).as_secs_f64()));
    }
    times
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// The machine's load in the last minute.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").expect("the kernel tells it");
    text.split(' ').next().and_then(|one| one.parse().ok()).expect("a number")
}
