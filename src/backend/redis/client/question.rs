//! What is asked of a client, and what it answers.

use std::sync::Arc;

use super::link::Pulse;
use crate::backend::redis::measure::{Measure, Memory};

/// What a trigger wants to know.
#[derive(Debug, Clone)]
pub struct Question {
    /// Of which key.
    pub key: Arc<str>,
    /// What of it.
    pub measure: Measure,
    /// What the last answer left.
    pub memory: Memory,
}

/// What it is told.
#[derive(Debug)]
pub struct Counted {
    /// The number.
    pub value: f64,
    /// For the next question.
    pub memory: Memory,
    /// Whether the key's bell will ring when it changes.
    pub told: bool,
    /// Of the connection that does, where nothing can change the number without a ring.
    pub pulse: Option<Pulse>,
}
