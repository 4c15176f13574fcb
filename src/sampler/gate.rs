//! Back-off per connection: when a broker is gone, slow or throttles, all its triggers hold off together.
//!
//! Many triggers fail at once when a broker does; a round of such failures counts once. A single success on the
//! connection opens the gate for all.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::{sync::Notify, time::Instant};

use crate::{backend::ConnectionId, error::ReadError};

/// The first wait after a failure; doubled each further round, less up to half as jitter.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait: how late a recovery may be noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The connections that are failing now.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Mutex<HashMap<ConnectionId, Gate>>,
    /// Told when a failing connection works again.
    pub(super) reopened: Notify,
}

#[derive(Debug)]
struct Gate {
    rounds: u32,
    since: Instant,
    opens_at: Instant,
    error: ReadError,
}

/// A connection that should be left alone for now.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) until: Instant,
    pub(super) error: ReadError,
}

impl Gates {
    /// Whether `connection` should be left alone at `now`.
    pub(super) fn closed(&self, connection: &ConnectionId, now: Instant) -> Option<Closed> {
        let gates = self.gates.lock();
        let gate = gates.get(connection).filter(|gate| gate.opens_at > now)?;
        Some(Closed { until: gate.opens_at, error: gate.error.clone() })
    }

    /// Notes a failure of `connection`. True when it worked until now.
    pub(super) fn failed(&self, connection: &ConnectionId, now: Instant, error: &ReadError) -> bool {
        let mut gates = self.gates.lock();
        if let Some(gate) = gates.get_mut(connection) {
            if now >= gate.opens_at {
                gate.rounds += 1;
                gate.opens_at = now + wait(gate.rounds);
                gate.error = error.clone();
            }
            return false;
        }
        let gate = Gate { rounds: 1, since: now, opens_at: now + wait(1), error: error.clone() };
        gates.insert(connection.clone(), gate);
        true
    }

    /// Notes a success of `connection`. How long it had been failing, if it was.
    pub(super) fn succeeded(&self, connection: &ConnectionId, now: Instant) -> Option<Duration> {
        let mut gates = self.gates.lock();
        if gates.is_empty() {
            return None;
        }
        let gate = gates.remove(connection)?;
        self.reopened.notify_waiters();
        Some(now - gate.since)
    }

    /// Forgets `connection`, since no trigger uses it any more.
    pub(super) fn forget(&self, connection: &ConnectionId) {
        self.gates.lock().remove(connection);
    }

    /// How many connections are failing.
    pub(super) fn len(&self) -> usize {
        self.gates.lock().len()
    }
}

fn wait(rounds: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << rounds.saturating_sub(1).min(16));
    doubled.min(LONGEST_WAIT).mul_f64(rand::rng().random_range(0.5..1.0))
}
