//! What we cost KEDA, the API server and the broker, beside KEDA's own scaler of the same backend: the real operator, the
//! real autoscaler, 500 ScaledObjects. `make bench-keda` runs all of it, each side on a cluster of its own.
//!
//! `-- side BACKEND HOW ACTIVE`: one row of the table in docs/performance.md, with `built-in`, `external` or
//! `external-push` for HOW. `-- outage HOW`: how often KEDA scales to zero while the broker is away, see
//! there. Rows go to `target/bench-keda.md` too.
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

mod many;
mod outage;
mod side;
mod work;

#[path = "../../tests/cluster/api.rs"]
#[allow(dead_code, reason = "shared with the tests of the API server")]
mod api;
#[path = "../../tests/operator/events.rs"]
mod events;
#[path = "../figures/host.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod host;
#[path = "../../tests/emulator/process.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod process;
#[path = "../../tests/faults/proxy.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod proxy;
#[path = "../../tests/operator/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator")]
mod stage;

use std::{fs::OpenOptions, io::Write};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["side", backend, how, active] => side::row(backend, how, active.parse().expect("a number")).await,
        ["outage", how] => outage::row(how).await,
        _ => panic!("what is to be measured? `side BACKEND HOW ACTIVE` or `outage HOW`"),
    }
}

/// A line for people, and for the file.
fn say(line: &str) {
    println!("{line}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-keda.md");
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("target is ours");
    writeln!(file, "{line}").expect("written");
}
