//! What one connection has been asked and has answered, and which bound it has crossed: shared by those who ask and
//! the guard that listens.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;

use crate::{
    limits::{self, Limit},
    net::ReplyBytes,
};

/// A bound that the other end has crossed; the connection is broken off then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crossed {
    /// Not the protocol.
    #[error("does not speak Redis's protocol")]
    NotRedis,
    /// A line that does not end.
    #[error("sends a line of more than {} KiB", limits::RESP_LINE >> 10)]
    Line,
    /// A list too long.
    #[error("sends a list of more than {} entries", limits::RESP_LIST)]
    List,
    /// Lists in lists in lists.
    #[error("sends lists nested deeper than {}", limits::RESP_DEPTH)]
    Depth,
    /// Too many parts in all.
    #[error("sends a reply of more than {} parts", limits::RESP_PARTS)]
    Parts,
    /// Too many bytes in all.
    #[error("sends a reply of more than {} MiB", limits::RESP_REPLY >> 20)]
    Size,
    /// The replies to what was asked in one go.
    #[error("sends replies of more than {} MiB together", limits::RESP_TOGETHER >> 20)]
    Together,
    /// All clients hold too much at the moment.
    #[error("sends more than there is room for, since replies of brokers hold {} MiB", limits::REPLIES_IN_FLIGHT >> 20)]
    NoRoom,
    /// Replies to nothing.
    #[error("answers what was not asked")]
    Unasked,
    /// News without end.
    #[error("sends news without end")]
    Flood,
}

impl Crossed {
    /// Whether one question's reply was too large: the others are not to blame.
    pub fn is_of_one_reply(self) -> bool {
        matches!(self, Self::Line | Self::List | Self::Depth | Self::Parts | Self::Size | Self::Together | Self::NoRoom)
    }
}

/// The books of one connection.
#[derive(Debug, Default)]
pub struct Meter {
    /// Commands sent.
    asked: AtomicU64,
    /// Replies that have come in whole.
    answered: AtomicU64,
    /// Those who wait for replies now.
    waiting: AtomicUsize,
    held: Mutex<Held>,
    crossed: OnceLock<Crossed>,
}

#[derive(Debug, Default)]
struct Held {
    weight: usize,
    bytes: ReplyBytes,
}

/// Somebody who waits for replies.
#[derive(Debug)]
pub struct Waiting {
    meter: Arc<Meter>,
    /// How many commands were sent before his.
    pub first: u64,
}

impl Meter {
    /// Notes that `commands` are being sent; keep the result until the replies have been counted.
    pub fn ask(self: &Arc<Self>, commands: usize) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let first = self.asked.fetch_add(u64::try_from(commands).unwrap_or(u64::MAX), Ordering::Relaxed);
        Waiting { meter: Arc::clone(self), first }
    }

    /// How many commands were sent.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many replies have come in whole.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Notes a reply that has come in whole.
    pub fn reply(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes room for a part of a reply that somebody waits for.
    pub fn hold(&self, weight: usize) -> Result<(), Crossed> {
        let mut held = self.held.lock();
        held.weight += weight;
        if held.weight > limits::RESP_TOGETHER {
            return Err(Crossed::Together);
        }
        held.bytes.grow(weight).map_err(|_| Crossed::NoRoom)
    }

    /// The connection is of no use any more.
    pub fn cross(&self, crossed: Crossed) {
        if self.crossed.set(crossed).is_ok() && crossed != Crossed::NoRoom {
            Limit::Reply.crossed();
        }
    }

    /// Why it is broken off, if it is.
    pub fn crossed(&self) -> Option<Crossed> {
        self.crossed.get().copied()
    }
}

impl Drop for Waiting {
    /// When nobody waits any more, nothing is held any more: replies are held until they are counted.
    fn drop(&mut self) {
        if self.meter.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.meter.held.lock() = Held::default();
        }
    }
}
