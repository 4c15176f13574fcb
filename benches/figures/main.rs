//! The figures of docs/performance.md, measured on this machine in one go: `make bench`.
//!
//! Each is taken from the real binary beside real brokers, ratios side by side in one run. Prints a table and
//! writes `target/bench.json`. Name some (`cargo bench --bench figures -- calls wake`) to run only those.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise, tells the time by the real clock and prints"
)]

mod calls;
mod cluster;
mod fleet;
mod held;
mod host;
mod hostile;
mod idle;
mod isolation;
mod kafka;
mod memory;
mod page;
mod prometheus;
mod pushes;
mod rabbitmq;
mod redis;
mod report;
mod soak;
mod sqs;
mod tools;

#[path = "../../tests/brokers/rabbitmq/proxy.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod amqp_proxy;
#[path = "../../tests/cluster/api.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod api;
#[path = "../../tests/emulator/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod emulator;
#[path = "../../tests/emulator/hostile.rs"]
mod hostile_triggers;
#[path = "../../tests/cluster/login.rs"]
mod login;
#[path = "../../tests/emulator/process.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod process;

use report::Report;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if arguments.first().is_some_and(|first| first == calls::CONSTANT_SERVER) {
        return calls::serve_constants().await;
    }
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let wanted = |name: &str| arguments.is_empty() || named(name);
    let mut report = Report::default();
    // It wants an API server besides: `make bench-cluster`.
    if named("cluster") {
        cluster::calls(&mut report).await;
        cluster::rotations(&mut report).await;
    }
    if wanted("calls") {
        calls::against_constants(&mut report).await;
    }
    if wanted("memory") {
        memory::of_idle_triggers(&mut report).await;
    }
    if wanted("kafka") {
        kafka::requests(&mut report).await;
    }
    if wanted("redis") {
        redis::round_trips(&mut report).await;
    }
    if wanted("rabbitmq") {
        rabbitmq::bursts(&mut report).await;
        rabbitmq::wakes(&mut report).await;
    }
    if wanted("sqs") {
        sqs::calls(&mut report).await;
    }
    if wanted("prometheus") {
        prometheus::queries(&mut report).await;
    }
    if wanted("wake") {
        fleet::wakes_and_idle_cost(&mut report).await;
    }
    if wanted("idle") {
        idle::kafka_share(&mut report).await;
        idle::redis_commands(&mut report).await;
    }
    if wanted("page") {
        page::of_many_triggers(&mut report).await;
    }
    if wanted("check") {
        tools::checks(&mut report);
    }
    if wanted("pushes") {
        pushes::of_active_triggers(&mut report).await;
    }
    if wanted("hostile") {
        hostile::triggers(&mut report).await;
    }
    if wanted("isolation") {
        isolation::of_healthy_triggers(&mut report).await;
    }
    if wanted("soak") {
        soak::of_all_backends(&mut report).await;
    }
    report.finish();
}

/// An address of a broker that `tests/brokers/up` has started.
fn broker(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make bench`, or `tests/brokers/up` and source target/brokers/env")
    })
}
