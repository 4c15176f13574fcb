//! What a trigger did of late: a ring of fixed size, for the pages. Nothing is decided by it.
//!
//! Not for: series over hours, which are Prometheus'. A quarter of an hour at ten seconds a step says whether a number rises,
//! stands or comes and goes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// How long a step is: two looks of the default interval.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// How many steps are kept: a quarter of an hour.
pub(super) const STEPS: usize = 90;

/// Some 640 bytes. Steps are counted from the entry's beginning; each has its place by its number.
#[derive(Debug)]
pub(super) struct Ring {
    /// The number of the newest step.
    newest: u64,
    /// The largest value of each step; not a number where none was read.
    values: [f32; STEPS],
    seen: [u8; STEPS],
    failures: [u8; STEPS],
    pushes: [u8; STEPS],
}

/// Some look of a step found it idle.
const IDLE: u8 = 1;
/// Some look of a step found it active.
const ACTIVE: u8 = 2;

/// The last quarter of an hour of a trigger, oldest step first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// How long a step is, in seconds.
    pub step: f64,
    /// When the newest step, which is not over, began: Unix time in seconds.
    pub newest_at: f64,
    /// The largest value that was read in each step; `null` where none was.
    pub values: Vec<Option<f32>>,
    /// Whether it was active at any look of the step; `null` where nothing was read.
    pub active: Vec<Option<bool>>,
    /// Looks that failed, up to 255.
    pub failures: Vec<u8>,
    /// Times that KEDA was told by push, up to 255.
    pub pushes: Vec<u8>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { newest: 0, values: [f32::NAN; STEPS], seen: [0; STEPS], failures: [0; STEPS], pushes: [0; STEPS] }
    }
}

impl Ring {
    /// A look at `age` (of the entry) found this.
    pub(super) fn read(&mut self, age: Duration, value: f64, active: bool) {
        let at = self.at(age);
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a picture")]
        let value = value as f32;
        if let Some(highest) = self.values.get_mut(at) {
            // Of a number and none, the number.
            *highest = highest.max(value);
        }
        if let Some(seen) = self.seen.get_mut(at) {
            *seen |= if active { ACTIVE } else { IDLE };
        }
    }

    /// A look at `age` failed.
    pub(super) fn failed(&mut self, age: Duration) {
        let at = self.at(age);
        if let Some(failures) = self.failures.get_mut(at) {
            *failures = failures.saturating_add(1);
        }
    }

    /// KEDA was told at `age`.
    pub(super) fn pushed(&mut self, age: Duration) {
        let at = self.at(age);
        if let Some(pushes) = self.pushes.get_mut(at) {
            *pushes = pushes.saturating_add(1);
        }
    }

    /// The largest values, oldest first, up to the step of `age`.
    pub(super) fn values(&mut self, age: Duration) -> Vec<Option<f32>> {
        self.at(age);
        self.in_order(&self.values).map(|value| value.is_finite().then_some(value)).collect()
    }

    /// All of it; `newest_at` says on the wall clock when something began that was of this age.
    pub(super) fn shown(&mut self, age: Duration, wall: impl FnOnce(Duration) -> f64) -> History {
        let values = self.values(age);
        let active = self.in_order(&self.seen).map(|seen| (seen != 0).then_some(seen & ACTIVE != 0)).collect();
        let newest_at = wall(STEP * u32::try_from(self.newest).unwrap_or(u32::MAX));
        let (failures, pushes) = (self.in_order(&self.failures).collect(), self.in_order(&self.pushes).collect());
        History { step: STEP.as_secs_f64(), newest_at, values, active, failures, pushes }
    }

    /// The place of the step of `age`; what has become too old on the way to it is forgotten.
    fn at(&mut self, age: Duration) -> usize {
        let step = (age.as_secs() / STEP.as_secs()).max(self.newest);
        let passed = usize::try_from(step - self.newest).unwrap_or(usize::MAX).min(STEPS);
        for back in 0..passed {
            let at = place(step.saturating_sub(back as u64));
            if let Some(value) = self.values.get_mut(at) {
                *value = f32::NAN;
            }
            for counts in [&mut self.seen, &mut self.failures, &mut self.pushes] {
                if let Some(count) = counts.get_mut(at) {
                    *count = 0;
                }
            }
        }
        self.newest = step;
        place(step)
    }

    fn in_order<T: Copy>(&self, ring: &[T; STEPS]) -> impl Iterator<Item = T> {
        let (after, before) = ring.split_at((place(self.newest) + 1).min(STEPS));
        before.iter().chain(after).copied().collect::<Vec<_>>().into_iter()
    }
}

fn place(step: u64) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_step_shows_its_largest_value_and_what_was_not_read_is_never_zero() {
        let mut ring = Ring::default();
        ring.read(at(1), 3.0, false);
        ring.read(at(9), 7.0, true);
        ring.failed(at(12));
        ring.pushed(at(12));
        ring.read(at(35), 0.0, false);
        let shown = ring.shown(at(41), |age| age.as_secs_f64());
        assert_eq!(shown.values.len(), STEPS);
        assert_eq!(shown.values[STEPS - 5..], [Some(7.0), None, None, Some(0.0), None]);
        assert_eq!(shown.active[STEPS - 5..], [Some(true), None, None, Some(false), None]);
        assert_eq!((&shown.failures[STEPS - 4], &shown.pushes[STEPS - 4]), (&1, &1));
        assert_eq!(shown.newest_at, 40.0);
        assert!(shown.values[..STEPS - 5].iter().all(Option::is_none));
    }

    #[test]
    fn what_is_older_than_a_quarter_of_an_hour_is_gone_however_long_nothing_came() {
        let mut ring = Ring::default();
        for second in 0..2000 {
            ring.read(at(second), second as f64, true);
        }
        let values = ring.values(at(1999));
        assert_eq!((values[0], values[STEPS - 1]), (Some(1109.0), Some(1999.0)));
        assert_eq!(ring.values(at(2899)).iter().flatten().count(), 0);
        ring.pushed(at(1_000_000));
        assert_eq!(ring.shown(at(1_000_000), |_| 0.0).pushes.iter().sum::<u8>(), 1);
        // A clock of looks that end out of order takes no step back.
        ring.read(at(5), 1.0, false);
        assert_eq!(ring.values(at(1_000_000)).last(), Some(&Some(1.0)));
    }

    #[test]
    fn it_costs_no_more_than_was_promised() {
        assert!(size_of::<Ring>() <= 1200, "{}", size_of::<Ring>());
    }
}
