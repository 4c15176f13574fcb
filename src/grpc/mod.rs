//! KEDA's service over gRPC: the only place that knows wire types.
//!
//! Absent on purpose: any decision about a value. It asks the sampler and translates.

mod calls;
mod codec;
mod connection;
mod handled;
mod secrets;
mod server;
mod service;
mod status;

/// The generated messages, client and server of KEDA's `externalscaler.proto`.
pub mod externalscaler {
    #![allow(missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("externalscaler");

    /// The compiled proto, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler.bin"));
}

pub use server::{Drain, Server, Transport};
