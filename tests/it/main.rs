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
mod api;
mod book;
mod bounds;
mod callers;
mod certificates;
mod check;
#[cfg(feature = "kubernetes")]
mod cluster;
mod config;
mod connections;
mod deploy;
mod docs;
mod gates;
mod grpc;
mod guard;
mod keda;
mod listing;
mod migrate;
mod monitoring;
mod policy;
mod ports;
mod push;
mod refused;
mod repeats;
mod sampler;
mod schema;
mod scripted;
mod series;
mod structure;
mod tls;

#[cfg(feature = "kubernetes")]
#[path = "../emulator/apiserver.rs"]
#[allow(dead_code, reason = "shared with the library's own tests")]
mod apiserver;
#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared with the benches")]
mod emulator;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod process;
