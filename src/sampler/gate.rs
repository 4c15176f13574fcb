//! Back-off per connection: when a broker is gone, slow or throttles, all its triggers hold off together, and one
//! question at a time finds out whether it is back.
//!
//! Not for: failures of one source. A connection on which anybody else succeeds is well, whoever's look failed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};

use crate::{
    backend::{ConnectionId, Traffic},
    clock::jittered,
    error::{ReadError, ReadErrorKind},
};

/// The first pause after a failure; doubled each further time, less up to half as jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, shorter if a trigger wants to be looked at more often: how late a recovery may be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Looks that begin within this time are one look together: a tick of the grid, or a wake of many.
const TOGETHER: Duration = Duration::from_millis(50);

/// The connections in use, and which of them are failing.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: Mutex<HashMap<ConnectionId, Arc<Gate>>>,
    next_member: AtomicU64,
    /// The last number that a connection was given.
    numbers: AtomicU64,
}

/// How a connection stands, for people.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) number: u64,
    pub(super) label: String,
    pub(super) triggers: usize,
    /// How many looks a minute its triggers ask for.
    pub(super) looks_per_minute: f64,
    /// Since when it works or fails; none where nothing has succeeded or failed yet.
    pub(super) since: Option<Instant>,
    /// Why it fails, how often it was tried in vain and when it is tried next.
    pub(super) trouble: Option<(ReadError, u32, Instant)>,
    pub(super) traffic: Arc<Traffic>,
}

/// What all triggers of a connection share.
#[derive(Debug)]
struct Gate {
    number: u64,
    state: Mutex<State>,
    /// Told when the connection works again.
    reopened: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// How many triggers there are of each polling interval.
    intervals: BTreeMap<Duration, usize>,
    /// When a look last succeeded, and since when they do.
    well_at: Option<Instant>,
    well_since: Option<Instant>,
    /// When the last look began, and how many triggers look together with it.
    together: Option<(Instant, Arc<AtomicU32>)>,
    trouble: Option<Trouble>,
    /// Triggers whose failure was theirs alone: until one of theirs succeeds, no other needs to suffer from the next.
    own_fault: HashSet<u64>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    /// How often it was tried in vain.
    tries: u32,
    next_try: Instant,
    /// Who tried last, and how often anybody has.
    tried_by: u64,
    turns: u64,
    /// The only one that has failed so far.
    alone: Option<u64>,
    /// What other triggers are told.
    text: ReadError,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection's, which worked until now.
    Connection,
    /// The connection's, as is known.
    ConnectionStill,
    /// The source's: others on the connection are well.
    Source,
}

impl Gates {
    /// One more trigger of `connection`, to be looked at each `interval`.
    pub(super) fn join(self: &Arc<Self>, connection: &ConnectionId, interval: Duration) -> Member {
        let number = self.next_member.fetch_add(1, Ordering::Relaxed);
        let place = Mutex::new(self.place(connection, interval));
        Member { gates: Arc::clone(self), place, interval, number }
    }

    fn place(&self, connection: &ConnectionId, interval: Duration) -> Place {
        let mut gates = self.gates.lock();
        let new = || {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
            Arc::new(Gate { number, state: Mutex::default(), reopened: Arc::default() })
        };
        let gate = Arc::clone(gates.entry(connection.clone()).or_insert_with(new));
        *gate.state.lock().intervals.entry(interval).or_default() += 1;
        Place { gate, connection: connection.clone() }
    }

    fn leave(&self, place: &Place, interval: Duration, number: u64) {
        let mut gates = self.gates.lock();
        let mut state = place.gate.state.lock();
        if let Some(count) = state.intervals.get_mut(&interval) {
            *count -= 1;
            if *count == 0 {
                state.intervals.remove(&interval);
            }
        }
        state.own_fault.remove(&number);
        if state.intervals.is_empty() {
            gates.remove(&place.connection);
        }
    }

    /// How many connections are in use.
    pub(super) fn len(&self) -> usize {
        self.gates.lock().len()
    }

    /// How each of them stands.
    pub(super) fn reports(&self) -> Vec<Report> {
        let gates: Vec<Place> = {
            let gates = self.gates.lock();
            let place = |(connection, gate): (&ConnectionId, &Arc<Gate>)| Place {
                gate: Arc::clone(gate),
                connection: connection.clone(),
            };
            gates.iter().map(place).collect()
        };
        gates.iter().map(Place::report).collect()
    }

    /// The number of each, and how many requests went over it.
    pub(super) fn requests(&self) -> Vec<(u64, u64)> {
        let gates = self.gates.lock();
        gates.iter().map(|(connection, gate)| (gate.number, connection.traffic().requests())).collect()
    }

    /// How many connections are failing.
    pub(super) fn failing(&self) -> usize {
        self.gates.lock().values().filter(|gate| gate.state.lock().trouble.is_some()).count()
    }
}

/// One trigger's place on its connection. What is known of the connection goes with the last one.
#[derive(Debug)]
pub(super) struct Member {
    gates: Arc<Gates>,
    place: Mutex<Place>,
    interval: Duration,
    number: u64,
}

#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    connection: ConnectionId,
}

impl Place {
    fn report(&self) -> Report {
        let state = self.gate.state.lock();
        let per_minute = |(interval, count): (&Duration, &usize)| *count as f64 * 60.0 / interval.as_secs_f64();
        Report {
            number: self.gate.number,
            label: self.connection.label().to_owned(),
            triggers: state.intervals.values().sum(),
            looks_per_minute: state.intervals.iter().map(per_minute).sum(),
            since: state.trouble.as_ref().map_or(state.well_since, |trouble| Some(trouble.since)),
            trouble: state.trouble.as_ref().map(|of| (of.text.clone(), of.tries, of.next_try)),
            traffic: Arc::clone(self.connection.traffic()),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.gates.leave(self.place.get_mut(), self.interval, self.number);
    }
}

impl Member {
    /// Whether this is a place on `connection`.
    pub(super) fn is_of(&self, connection: &ConnectionId) -> bool {
        self.place.lock().connection == *connection
    }

    /// The trigger reads from `connection` from now on: its login has changed.
    pub(super) fn move_to(&self, connection: &ConnectionId) {
        let mut place = self.place.lock();
        if place.connection != *connection {
            let left = std::mem::replace(&mut *place, self.gates.place(connection, self.interval));
            drop(place);
            self.gates.leave(&left, self.interval, self.number);
        }
    }

    /// The number of the connection, for as long as it is in use.
    pub(super) fn number(&self) -> u64 {
        self.place.lock().gate.number
    }

    /// When the first of the certificates expires that its brokers have shown, in Unix time.
    pub(super) fn certificate_expires(&self) -> Option<u64> {
        let place = self.place.lock();
        place.connection.traffic().peers().first_to_expire().map(|shown| shown.expires)
    }

    /// How the connection stands.
    pub(super) fn report(&self) -> Report {
        self.place.lock().report()
    }

    /// Notes that a look begins at `now`; how many triggers of the connection look together, those that come after counted
    /// in as they come.
    pub(super) fn looks(&self, now: Instant) -> Arc<AtomicU32> {
        let gate = self.gate();
        let mut state = gate.state.lock();
        let last = state.together.take().filter(|(began, _)| now.saturating_duration_since(*began) < TOGETHER);
        let (began, count) = last.unwrap_or_else(|| (now, Arc::default()));
        count.fetch_add(1, Ordering::Relaxed);
        state.together = Some((began, Arc::clone(&count)));
        count
    }

    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.place.lock().gate)
    }

    /// Whether this trigger may look at `now`, having been due at `due`. While the connection fails one may at a time, and
    /// none before the next try is due; the others are told what is the matter with the connection. Those that were due
    /// together with the first that failed may look as well: one success among them shows that the connection is well.
    pub(super) fn may_look(&self, now: Instant, due: Instant) -> Result<(), ReadError> {
        let gate = self.gate();
        let mut state = gate.state.lock();
        let pause = state.pause();
        let Some(trouble) = &mut state.trouble else { return Ok(()) };
        if trouble.tries == 1 && due <= trouble.since {
            return Ok(());
        }
        if now < trouble.turn_of(self.number, pause) {
            return Err(trouble.text.clone());
        }
        // If this try hangs, another comes after a pause all the same.
        trouble.next_try = now + pause;
        trouble.tried_by = self.number;
        trouble.turns += 1;
        Ok(())
    }

    /// When this trigger may try; `None` while the connection works.
    pub(super) fn next_try(&self) -> Option<Instant> {
        let gate = self.gate();
        let state = gate.state.lock();
        state.trouble.as_ref().map(|trouble| trouble.turn_of(self.number, state.pause()))
    }

    /// Resolves when the connection works again.
    pub(super) fn reopened(&self) -> OwnedNotified {
        Arc::clone(&self.gate().reopened).notified_owned()
    }

    /// Notes that a look succeeded at `now`. How long the connection had been failing, if it was.
    pub(super) fn succeeded(&self, now: Instant) -> Option<Duration> {
        let gate = self.gate();
        let mut state = gate.state.lock();
        state.well_at = Some(now);
        state.well_since.get_or_insert(now);
        state.own_fault.remove(&self.number);
        let trouble = state.trouble.take()?;
        state.well_since = Some(now);
        state.own_fault.extend(trouble.alone.filter(|alone| *alone != self.number));
        gate.reopened.notify_waiters();
        Some(now - trouble.since)
    }

    /// Notes that a look that began at `began` found the whole connection at fault.
    pub(super) fn failed(&self, began: Instant, now: Instant, error: &ReadError) -> Fault {
        let gate = self.gate();
        let mut state = gate.state.lock();
        if state.own_fault.contains(&self.number) || state.well_at.is_some_and(|well_at| well_at >= began) {
            return Fault::Source;
        }
        let (pause, text) = (state.pause_after(error), self.text(error));
        let (number, trouble) = (self.number, state.trouble.take());
        let first = trouble.is_none();
        let mut trouble = trouble.unwrap_or_else(|| Trouble {
            since: now,
            tries: 0,
            next_try: now,
            tried_by: number,
            turns: 0,
            alone: Some(number),
            text: text.clone(),
        });
        trouble.alone = trouble.alone.filter(|alone| *alone == number);
        // The many that fail at once when a broker does are one failure.
        if first || trouble.tried_by == number {
            trouble.tries += 1;
            trouble.next_try = now + pause(trouble.tries);
            trouble.tried_by = number;
            trouble.text = text;
        }
        state.trouble = Some(trouble);
        if first { Fault::Connection } else { Fault::ConnectionStill }
    }

    /// What the triggers of the connection are told of `error`: never what another one asks for.
    fn text(&self, error: &ReadError) -> ReadError {
        if error.speaks_of_connection() {
            return error.clone();
        }
        let connection = self.place.lock().connection.clone();
        let label = connection.label();
        let text = match error.kind {
            ReadErrorKind::Timeout => {
                format!("`{label}` does not answer in time: check that the broker is up and not overloaded")
            }
            ReadErrorKind::Throttled => {
                format!("`{label}` asks us for less: raise its quota, or the `pollingInterval` of its triggers")
            }
            kind => format!("`{label}` fails for others that use it ({kind}): check that the broker is well"),
        };
        ReadError::new(error.kind, text).of_connection()
    }
}

impl Trouble {
    /// When `number` may try: all in turn by lot, and who has just tried in vain after the others, since what fails may be
    /// its source alone.
    fn turn_of(&self, number: u64, pause: Duration) -> Instant {
        let lot = BuildHasherDefault::<DefaultHasher>::default().hash_one((number, self.turns)) % 1000;
        let penalty = if self.tried_by == number { 1000 } else { 0 };
        self.next_try + pause / 16 * u32::try_from(lot + penalty).unwrap_or(0) / 1000
    }
}

impl State {
    /// The longest pause between two tries.
    fn pause(&self) -> Duration {
        let eager = self.intervals.keys().next().copied().unwrap_or(LONGEST_PAUSE);
        eager.clamp(FIRST_PAUSE, LONGEST_PAUSE)
    }

    /// The pause after so many tries that ended with `error`. A broker that refuses us or asks for less is left alone
    /// for longer than one that is gone.
    fn pause_after(&self, error: &ReadError) -> impl Fn(u32) -> Duration + use<> {
        let longest = match error.kind {
            ReadErrorKind::Unreachable | ReadErrorKind::Timeout => self.pause(),
            _ => LONGEST_PAUSE,
        };
        // With the eighth that turns may take, it is within the longest pause.
        move |tries| {
            let doubled = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16));
            jittered(doubled.min(longest), 0.5..0.87)
        }
    }
}
