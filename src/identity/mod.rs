//! Tokens and keys that a trigger does not carry itself: of clouds and of OAuth clients, fetched, kept and renewed in time.
//!
//! Not for: what is done with them on the wire, or which keys of a trigger name them; backends know that.

#[cfg(any(feature = "aws", feature = "kafka"))]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod cache;
#[cfg(feature = "google")]
pub mod google;
pub mod held;
#[cfg(feature = "http")]
pub mod kept;
#[cfg(feature = "http")]
pub mod oauth;
