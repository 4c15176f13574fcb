//! Against real brokers. Start them with `tests/brokers/up` and load `target/brokers/env`; a broker that is not there
//! is a failure, never a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(all(feature = "kafka", feature = "redis"))]
mod keda;
#[cfg(feature = "redis")]
mod redis;

#[path = "../emulator/mod.rs"]
mod emulator;
#[path = "../emulator/process.rs"]
mod process;
