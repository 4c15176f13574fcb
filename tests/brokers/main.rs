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

#[cfg(feature = "prometheus")]
mod prometheus;
