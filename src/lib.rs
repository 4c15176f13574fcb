//! Plimsoll: an external scaler for KEDA. The map, in reading order; nothing points up.

pub mod error;
pub mod metadata;
pub mod reading;
pub mod task;

pub mod backend;
