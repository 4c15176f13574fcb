//! Against real brokers. Start them with `tests/brokers/up` and load `target/brokers/env`; a broker that is not there
//! is a failure, never a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

#[cfg(all(feature = "kafka", feature = "prometheus", feature = "rabbitmq", feature = "redis", feature = "sqs"))]
mod canary;
#[cfg(all(feature = "kafka", feature = "redis"))]
mod hostile;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(all(feature = "kafka", feature = "redis"))]
mod keda;
#[cfg(all(feature = "sqs", feature = "prometheus"))]
mod outage;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqs")]
mod sqs;

#[path = "../emulator/mod.rs"]
mod emulator;
#[cfg(all(feature = "kafka", feature = "redis"))]
#[path = "../emulator/hostile.rs"]
mod hostile_triggers;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with the bench")]
mod process;
#[path = "../stand_in/mod.rs"]
mod stand_in;
