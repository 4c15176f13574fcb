//! Our own ports: who comes in, how many at a time, over what, and how long one may keep us waiting.
//!
//! Not for: what is said on a connection. `grpc` and `admin` know that.

mod callers;
mod listener;
mod socket;
mod tls;

pub use callers::{Caller, Callers, Working};
pub use listener::{Incoming, Room, listen};
pub use socket::Socket;
pub use tls::{Tls, TlsOptions};

/// A connection that has come in.
#[derive(Debug)]
pub struct Guest {
    /// To read from and to write to.
    pub socket: Socket,
    /// Its place among the callers, which is free again when this is dropped.
    pub caller: Caller,
}
