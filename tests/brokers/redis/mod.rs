//! Redis: what is counted, how a change wakes, who may do what, and what happens when servers do not behave.
//!
//! Tests that only read and write use the shared servers, under keys of their own. Those that stop, freeze or
//! configure a server start one for themselves.

mod access;
mod cluster;
mod fallback;
mod fixtures;
mod relay;
mod sentinel;
mod server;
mod tls;
mod trouble;
mod values;
mod waking;
