//! The real binary, where it matters that it is one: its own pipes, its own memory. Needs no broker.
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

mod compare;
mod explain;
mod forward;
mod log;
#[cfg(all(feature = "otlp", feature = "prometheus"))]
mod otlp;
mod shop;
mod top;

#[cfg(all(feature = "otlp", feature = "prometheus"))]
#[path = "../it/certificates.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod certificates;
#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod emulator;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod process;
#[path = "../stand_in/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod stand_in;
