//! A broker that is away, and what KEDA makes of our errors: 60 workloads at two replicas, asked every second, that may be
//! scaled to zero a second after they were last active.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    many::Many,
    proxy::{Mode, Proxy},
    say,
    stage::{self, serve},
    work::Work,
};

const OBJECTS: usize = 60;
const WORK: usize = 7;
const AWAY: Duration = Duration::from_secs(150);

/// Measures it and says the row: for KEDA's `built-in` scaler, for `plain` triggers of ours, for `cached` ones
/// (`useCachedMetrics`), for those with a `fallback` that holds what is there from the first failure on, and for those
/// whose last value holds (`stale`).
pub async fn row(how: &str) {
    let api = stage::api().await;
    let names: Vec<String> = (0..OBJECTS).map(|n| format!("outage-{}-{n}", std::process::id())).collect();
    let work = Work::new("redis", &names).await;
    let proxy = Proxy::start("127.0.0.1:0", format!("127.0.0.1:{}", work.port())).await;
    let server = serve(crate::many::NAMESPACE, &[]);
    for name in &names {
        work.put(name, WORK).await;
    }
    let spec = |name: &str| {
        let mut metadata = work.metadata(name);
        metadata["address"] = proxy.address().into();
        if how == "built-in" {
            let trigger = json!({"type": "redis", "metadata": metadata});
            return json!({"triggers": [trigger], "pollingInterval": 1, "cooldownPeriod": 1});
        }
        metadata["scalerType"] = "redis".into();
        metadata["scalerAddress"] = server.grpc.clone().into();
        if how == "stale" {
            metadata["maxStaleness"] = "10m".into();
        }
        let trigger = json!({"type": "external", "metadata": metadata, "useCachedMetrics": how == "cached"});
        let mut spec = json!({"triggers": [trigger], "pollingInterval": 1, "cooldownPeriod": 1});
        if how == "fallback" {
            spec["fallback"] = json!({"failureThreshold": 0, "replicas": 1, "behavior": "currentReplicas"});
        }
        spec
    };
    let mut many = Many::new(&api, names, spec).await;
    many.until(OBJECTS, 2).await;

    proxy.set(Mode::Refuse);
    let answered = |what: &str| {
        let page = server.page("/metrics");
        let calls = page.lines().filter(|line| line.starts_with("grpc_server_handled_total{") && line.contains(what));
        let calls = calls.filter(|line| line.contains("method=\"IsActive\"") || line.contains("method=\"GetMetrics\""));
        calls.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let begin = Instant::now();
    let (good, errors) = (answered(r#"code="OK""#), answered(r#"code="Unavailable""#));
    let mut to_zero = 0;
    while let Some((name, replicas, _)) = many.change(AWAY.saturating_sub(begin.elapsed())).await {
        println!("{name} has {replicas} replicas after {:.0?}", begin.elapsed());
        to_zero += usize::from(replicas == 0);
    }
    say(&format!(
        "{how}: in {:.0?} {to_zero} of {OBJECTS} were scaled to zero; we answered {:.0} times UNAVAILABLE and {:.0} times OK",
        begin.elapsed(),
        answered(r#"code="Unavailable""#) - errors,
        answered(r#"code="OK""#) - good,
    ));
}
