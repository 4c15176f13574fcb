//! One connection to one broker: the requests we speak, their frames, the link that carries them, and why it broke.
//!
//! Not for: how a link is opened (`dial`), or what is asked over it.

pub mod body;
pub mod codes;
pub mod explain;
pub mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod link;
pub mod replies;
pub mod requests;
pub mod versions;
