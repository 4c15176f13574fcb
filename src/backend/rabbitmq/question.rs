//! What can be asked of RabbitMQ, how often, and what comes back. Plain data, the same over AMQP and HTTP.

use std::{sync::Arc, time::Duration};

use super::measure::Stats;
use crate::error::{ReadError, ReadErrorKind};

/// What a trigger wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// One queue, which must exist.
    Queue {
        /// Its name.
        name: Arc<str>,
        /// Its rates too, which makes the answer some seconds old.
        rates: bool,
    },
    /// All queues whose names match.
    Pattern {
        /// A regular expression, of the broker's kind.
        pattern: Arc<str>,
        /// How many queues a page of the answer has.
        page_size: u16,
        /// Their rates too.
        rates: bool,
    },
}

/// What was found: one entry for a queue, as many as match for a pattern.
pub type Found = Arc<[Stats]>;

/// Who wants to hear answers.
pub trait Askers: Send + Sync {
    /// Hears one.
    fn tell(&self, question: &Question, found: Result<Found, ReadError>);

    /// Whether anybody still waits for this one: what takes many requests ends when nobody does.
    fn wait_for(&self, question: &Question) -> bool;
}

/// How often an idle queue is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// `idlePollingInterval`.
    pub every: Option<Duration>,
    /// With so many looks a second at all idle queues of the connection.
    pub per_second: u32,
}

/// The queue is not there.
pub fn no_queue(queue: &str, vhost: &str) -> ReadError {
    let text =
        format!("queue `{queue}` does not exist on vhost `{vhost}`: create it, or correct `queueName` in the trigger");
    ReadError::new(ReadErrorKind::NotFound, text)
}
