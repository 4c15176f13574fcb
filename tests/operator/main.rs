//! KEDA's real operator and metrics adapter with Kubernetes' real horizontal pod autoscaler, against the real binary and real
//! brokers. `make test-keda-operator` starts all of it; what is not there is a failure, never a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod events;
mod fails;
mod redis_work;
mod scaled;
mod stage;
mod wakes;

#[path = "../cluster/api.rs"]
#[allow(dead_code, reason = "shared with the tests of the API server")]
mod api;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with the brokers' tests")]
mod process;
