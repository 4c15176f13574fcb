//! Everything that opens a connection to a broker: one dialer, one policy, one TLS set-up, one HTTP client.
//!
//! Not for: what is said on a connection. Backends and identities know that.

mod budget;
mod dial;
mod policy;
mod reach;

#[cfg(feature = "http")]
pub mod http;
pub mod tls;

#[cfg(test)]
#[path = "../../tests/stand_in/mod.rs"]
#[allow(missing_docs, reason = "tests")]
pub mod stand_in;

pub use budget::ReplyBytes;
#[cfg(test)]
pub use dial::two::TwoAddresses;
pub use dial::{DialError, dial, resolve, resolve_up_to};
pub use policy::{Policy, Table};
pub use reach::{Cloud, Identities, Place, Reach, Refusal, Rules};
