//! KEDA's real operator and metrics adapter with Kubernetes' real horizontal pod autoscaler, against the real binary and real
//! brokers. `make test-keda-operator` starts all of it; what is not there is a failure, never a skip.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "tests"
)]

mod backend;
mod compare;
mod decides;
mod events;
mod headless;
mod lives;
mod rolling;
mod scaled;
mod stage;

#[path = "../cluster/api.rs"]
#[allow(dead_code, reason = "shared with the tests of the API server")]
mod api;
#[path = "../faults/brokers/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod brokers;
#[path = "../faults/node.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod node;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with the brokers' tests")]
mod process;
#[path = "../faults/proxy.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod proxy;
