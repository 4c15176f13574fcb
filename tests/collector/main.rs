//! What we send to an OpenTelemetry collector, as the collector itself understands it: `build` makes one, with OpenTelemetry's own
//! receiver, which prints what has come. Needs Go the first time.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod collector;
mod sent;

#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod emulator;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod process;
#[path = "../stand_in/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod stand_in;
