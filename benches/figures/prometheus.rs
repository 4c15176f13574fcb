//! Prometheus: queries per interval, counted by the server itself.

use crate::{
    broker,
    fleet::{Metadata, requests_per_interval},
    process::Process,
    report::{Must, Report},
};

const QUERIES: usize = 50;
const TRIGGERS: usize = 1_000;

pub async fn queries(report: &mut Report) {
    println!("prometheus: {TRIGGERS} triggers with {QUERIES} distinct queries");
    let triggers = (0..QUERIES).flat_map(|n| {
        let query = format!("vector(0) * {n}");
        (1..=TRIGGERS / QUERIES).map(move |threshold| trigger(&query, threshold))
    });
    let server = Process::start(&[]);
    let queries = requests_per_interval(&server, "prometheus", triggers.collect()).await;
    let row = "Prometheus queries per interval, 1,000 triggers with 50 distinct ones";
    report.add(row, queries, "queries", Must::AtMost(50.0));
}

/// A trigger with a threshold of its own, so that it is a trigger of its own.
pub fn trigger(query: &str, threshold: usize) -> Metadata {
    vec![
        ("scalerType", "prometheus".to_owned()),
        ("serverAddress", broker("PLIMSOLL_TEST_PROMETHEUS")),
        ("query", query.to_owned()),
        ("threshold", threshold.to_string()),
        // A series that is not there yet is an error, and not 0.
        ("ignoreNullValues", "false".to_owned()),
    ]
}
