//! The page over 20,000 triggers: how long it takes, what a viewer is sent, what ten of them cost.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::{
    broker,
    fleet::{poll_all, redis_trigger},
    host::cpu_seconds,
    process::Process,
    report::{Must, Report, median},
    tools,
};

const TRIGGERS: usize = 20_000;
const VIEWERS: usize = 10;
const ROWS: usize = 50;
const LOOK: Duration = Duration::from_secs(30);

/// All of it, of one server.
pub async fn of_many_triggers(report: &mut Report) {
    println!("page: {TRIGGERS} triggers, {VIEWERS} viewers");
    let server = Process::start(&["--max-triggers-per-namespace", "20000"]);
    let address = broker("PLIMSOLL_TEST_REDIS");
    let trigger = |n: usize| redis_trigger(&address, &format!("bench-page-{n}"));
    poll_all(&server, (0..TRIGGERS).map(trigger)).await;
    for (name, path, must) in [
        ("first page", "/".to_owned(), Must::AtMost(50.0)),
        ("the same as JSON", format!("/api/v1/triggers?limit={ROWS}&sort=name&recent=true"), Must::AtMost(50.0)),
        ("search", "/?q=page-1999".to_owned(), Must::Nothing),
        ("the last page by value", format!("/?sort=value&offset={}", TRIGGERS - ROWS), Must::Nothing),
    ] {
        let mut times: Vec<f64> = (0..20)
            .map(|_| {
                let begin = Instant::now();
                assert!(server.page(&path).len() > 1000, "{path}");
                begin.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        report.add(format!("page of {TRIGGERS} triggers: {name}, median"), median(&mut times), "ms", must);
    }
    tools::tops(report, &server.admin, TRIGGERS);
    // In three runs each, one after the other: what they cost is less than how much the rest varies.
    let (mut alone, mut watched, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        poll_all(&server, (0..TRIGGERS).map(trigger)).await;
        alone.push(cost(&server, LOOK).await);
        poll_all(&server, (0..TRIGGERS).map(trigger)).await;
        let viewers: Vec<_> = (0..VIEWERS).map(|n| tokio::spawn(watch(server.admin.clone(), n))).collect();
        watched.push(cost(&server, LOOK).await);
        for viewer in viewers {
            sent.push(viewer.await.expect("it watched"));
        }
    }
    let (alone, watched) = (median(&mut alone), median(&mut watched));
    report.add("processor time without a viewer", alone * 100.0, "%", Must::Nothing);
    report.add(format!("of a core more for {VIEWERS} viewers"), (watched - alone) * 100.0, "%", Must::AtMost(3.0));
    let most = sent.into_iter().fold(0.0, f64::max);
    report.add("bytes a second to a viewer, at most", most, "B/s", Must::AtMost(5_000.0));
}

/// Of a core, over some time.
async fn cost(server: &Process, time: Duration) -> f64 {
    let before = cpu_seconds(server.pid());
    sleep(time).await;
    (cpu_seconds(server.pid()) - before) / time.as_secs_f64()
}

/// Watches the rows of one page for as long; bytes a second.
async fn watch(admin: String, page: usize) -> f64 {
    let list = format!("sort=name&limit={ROWS}&offset={}", page * ROWS);
    let rows = reqwest::get(format!("http://{admin}/api/v1/triggers?{list}")).await.expect("answers");
    let rows: serde_json::Value = rows.json().await.expect("JSON");
    let ids: Vec<String> = rows["triggers"].as_array().expect("rows").iter().map(|row| row["id"].to_string()).collect();
    let url = format!("http://{admin}/api/v1/events?ids={}&list=true&{list}", ids.join(","));
    let mut events = reqwest::get(url).await.expect("answers");
    let mut bytes = 0;
    timeout(LOOK, async {
        while let Ok(Some(chunk)) = events.chunk().await {
            bytes += chunk.len();
        }
    })
    .await
    .ok();
    bytes as f64 / LOOK.as_secs_f64()
}
