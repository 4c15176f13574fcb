//! On a real API server, beside KEDA's own resolver. Start it with `tests/cluster/up` and load `target/cluster/env`; an API
//! server that is not there is a failure, never a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod api;
mod cases;
mod compare;
mod definitions;
mod deploy;
mod differential;
mod forward;
mod live;
mod login;
mod oracle;
mod ours;
mod outage;
mod own;
mod rights;
mod store;
mod vault;

#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared with the brokers' tests")]
mod emulator;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with the brokers' tests")]
mod process;
#[path = "../stand_in/mod.rs"]
#[allow(dead_code, reason = "shared with the brokers' tests")]
mod stand_in;
