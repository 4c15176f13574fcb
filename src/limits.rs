//! Every bound on what comes from outside, in one place, each with the reason for its figure.
//!
//! What crosses one is refused with an error that names it. Not for: intervals and timeouts that only shape our own pace.

use std::time::Duration;

/// From the first packet to a connected socket, the name's resolution included. A broker in the same region takes
/// milliseconds; a read's deadline is 5 s, and login and answer must fit into it too.
pub const DIAL: Duration = Duration::from_secs(3);
/// Names being resolved at a time. `getaddrinfo` cannot be interrupted: with a dead resolver each holds a thread for
/// some 10 s, and 512 threads are all there are.
pub const RESOLVING_AT_ONCE: usize = 32;
/// Addresses of one name that are tried: more is a mistake or an attack, and the deadline is used up long before.
pub const ADDRESSES: usize = 16;
/// How long one address may be silent before the next is tried beside it (RFC 8305 §5).
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);
