//! Plimsoll: an external scaler for KEDA. The map, in reading order; nothing points up.

pub mod clock;
pub mod error;
pub mod keda;
pub mod limits;
pub mod manifest;
pub mod metadata;
pub mod object;
pub mod reading;
pub mod task;
pub mod telemetry;

pub mod identity;
pub mod net;

pub mod backend;
pub mod credentials;
pub mod trigger;

pub mod check;
pub mod migrate;

pub mod sampler;
pub mod watch;

#[cfg(feature = "otlp")]
pub mod otlp;

pub mod config;
pub mod door;

pub mod admin;
pub mod grpc;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

pub mod app;
pub mod cli;
