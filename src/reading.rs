//! What a source says: the metric it feeds, and one look at it.

use std::time::SystemTime;

use tokio::time::Instant;

/// What the HPA sees: a name, and the number that one replica can carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Without KEDA's `s<index>-` prefix, which KEDA adds itself.
    pub name: String,
    /// Per replica, in the unit of the reading's value; greater than zero.
    pub target: f64,
}

impl Metric {
    /// A metric whose name is `base` normalised as KEDA does for its built-in scalers, so that a migrated
    /// trigger keeps its metric's name: each of `/ . : % ( )` becomes `-`, all else stays.
    #[must_use]
    pub fn new(base: &str, target: f64) -> Self {
        Self { name: base.replace(['/', '.', ':', '%', '(', ')'], "-"), target }
    }
}

/// One look at a source, with both answers that KEDA asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// How much work waits.
    pub value: f64,
    /// Whether the workload should run at all.
    pub active: bool,
}

/// A reading with its time.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// What was read.
    pub reading: Reading,
    /// When the read that made it began: its age is counted from here.
    pub at: Instant,
    /// The same instant on the wall clock, for people.
    pub wall: SystemTime,
}
