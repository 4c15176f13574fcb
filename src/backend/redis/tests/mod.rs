//! Redis, without a server: metadata, counting, errors, the wait.

mod counting;
mod metadata;
mod vectors;
