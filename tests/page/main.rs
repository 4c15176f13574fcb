//! The page as people see it: the real binary, a real browser. Needs Debian's `chromium` and `chromium-driver`.
//!
//! Screenshots of each view go to `target/page/`. `axe/` has axe-core 4.14.1, by Deque, under the MPL 2.0.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod browser;
mod live;
mod strict;
mod views;
mod world;

#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod emulator;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod process;
#[path = "../stand_in/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod stand_in;
