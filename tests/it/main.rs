//! Hermetic tests: no network, no broker, no waiting. Time is tokio's, paused.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod admin;
mod bounds;
mod deploy;
mod docs;
mod gates;
mod grpc;
mod keda;
mod policy;
mod push;
mod refused;
mod repeats;
mod sampler;
mod scripted;
mod structure;

#[path = "../emulator/mod.rs"]
mod emulator;
