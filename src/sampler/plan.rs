//! When a trigger is looked at next, and why.
//!
//! Pure waiting: no read happens here.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Core, entry::Entry};
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
            wanted_for: core.wanted_for(&entry.trigger),
            forget_after: core.settings.forget_after,
            last_look: None,
        }
    }

    /// Waits until there is a reason to do something.
    pub(super) async fn next(&self) -> Next {
        let entry = self.entry;
        loop {
            if entry.look_is_demanded() {
                return Next::Look;
            }
            // Made before the gate is asked, so that an opening in between is not missed.
            let reopened = entry.connection.reopened();
            let (due, held_back) = self.due();
            let wanted = self.is_wanted();
            let until = if wanted { due } else { entry.last_asked() + self.forget_after };
            tokio::select! {
                () = sleep_until(until) => match (wanted, self.is_wanted()) {
                    // Of all that wait for a failing connection one may try.
                    (true, true) if entry.connection.may_look(Instant::now(), until).is_ok() => return Next::Look,
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
        self.entry.is_wanted(self.wanted_for)
    }

    /// When the next refresh is due, and whether the connection's back-off decides it. Once the connection works again,
    /// what failed with it does not wait for its own time.
    fn due(&self) -> (Instant, bool) {
        if let Some(next_try) = self.entry.connection.next_try() {
            return (next_try, true);
        }
        let last = self.last_look.filter(|_| !self.entry.failed_with_connection());
        (last.map_or_else(Instant::now, |last| self.clock.next_tick(last, self.entry.trigger.interval)), false)
    }
}

impl Entry {
    /// Whether it is refreshed: somebody listens, or has asked within `wanted_for`.
    pub(super) fn is_wanted(&self, wanted_for: Duration) -> bool {
        self.is_listened_to() || Instant::now() < self.last_asked() + wanted_for
    }
}
