//! When a trigger is looked at next, and why.
//!
//! Pure waiting: no read happens here.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Core, entry::Entry, gate::Gates};
use crate::clock::Clock;

/// Why the loop looks, or that it need not any more.
#[derive(Debug)]
pub(super) enum Next {
    /// The interval is over, or a caller waits.
    Look,
    /// The backend says that the source may have become active.
    Wake,
    /// Nobody has asked for long.
    Forget,
}

/// The timetable of one entry.
pub(super) struct Plan<'e> {
    entry: &'e Entry,
    clock: Clock,
    gates: Arc<Gates>,
    wanted_for: Duration,
    forget_after: Duration,
    /// When the last look began.
    pub(super) last_look: Option<Instant>,
}

impl<'e> Plan<'e> {
    pub(super) fn new(entry: &'e Entry, core: &Core) -> Self {
        Self {
            entry,
            clock: core.clock,
            gates: Arc::clone(&core.gates),
            wanted_for: core.wanted_for(&entry.trigger),
            forget_after: core.settings.forget_after,
            last_look: None,
        }
    }

    /// Waits until there is a reason to do something.
    pub(super) async fn next(&self) -> Next {
        let entry = self.entry;
        loop {
            if self.last_look.is_none() || entry.look_is_demanded() {
                return Next::Look;
            }
            // Made before the gate is asked, so that an opening in between is not missed.
            let reopened = self.gates.reopened.notified();
            let (due, held_back) = self.due();
            let wanted = self.is_wanted();
            let until = if wanted { due } else { entry.last_asked() + self.forget_after };
            tokio::select! {
                () = sleep_until(until) => match (wanted, self.is_wanted()) {
                    (true, true) => return Next::Look,
                    (false, false) => return Next::Forget,
                    _ => {}
                },
                () = entry.wake(), if entry.is_listened_to() && !entry.is_active() => return Next::Wake,
                () = entry.nudge.notified() => {}
                () = reopened, if held_back => {}
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.entry.is_listened_to() || Instant::now() < self.entry.last_asked() + self.wanted_for
    }

    /// When the next refresh is due, and whether the connection's back-off has put it off.
    fn due(&self) -> (Instant, bool) {
        let now = Instant::now();
        let tick = self.last_look.map_or(now, |last| self.clock.next_tick(last, self.entry.trigger.interval));
        match self.gates.closed(self.entry.trigger.source.connection(), now) {
            Some(closed) if closed.until > tick => (closed.until, true),
            _ => (tick, false),
        }
    }
}
