//! What a source says: the metric it feeds, and one look at it.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;
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

/// What a reading is made of, for people: a small table.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The reading that they are the parts of.
    pub of: Reading,
    /// How the parts make the value, in a sentence.
    pub rule: String,
    /// The trigger is active above this, where it is so simple.
    pub activation: Option<f64>,
    /// The columns' names.
    pub columns: &'static [&'static str],
    /// A cell for each column; no more rows than [`Parts::MOST`].
    pub rows: Vec<Vec<Cell>>,
    /// How many rows were left out.
    pub omitted: usize,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Cell {
    /// A name, or a remark.
    Text(String),
    /// A count or a rate.
    Number(f64),
    /// What is not known.
    Unknown,
}

impl Parts {
    /// Rows that are shown.
    pub const MOST: usize = 100;
}

impl From<i64> for Cell {
    fn from(count: i64) -> Self {
        Self::Number(count as f64)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Unknown, Into::into)
    }
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
