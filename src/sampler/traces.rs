//! What a look and a question leave in traces, and the count of what answered.
//!
//! Not for: what a span is (`telemetry`).

use tracing::Span;

use super::{Core, entry::Entry, state::State};
use crate::{
    error::ReadError,
    reading::Reading,
    telemetry::{Answer, spans::Seen},
};

impl Entry {
    /// What a look came to, in its span; the rest of it is only of use while somebody watches.
    pub(super) fn seen(&self, span: &Span, outcome: &Result<Reading, ReadError>) -> Seen {
        let seen = Seen::of(span);
        if seen.exemplar().is_some() {
            span.record("plimsoll.source", self.trigger.describe());
            span.record("plimsoll.connection", self.trigger.source.connection().label());
            match outcome {
                Ok(reading) => {
                    span.record("plimsoll.value", reading.value);
                    span.record("plimsoll.active", reading.active);
                }
                Err(error) => {
                    span.record("plimsoll.error", error.kind.as_str());
                    span.record("otel.status_code", "ERROR");
                    span.record("otel.status_description", error.to_string());
                }
            }
        }
        seen
    }
}

/// Counts a question, and notes in its trace which look answered it.
pub(super) fn answered(core: &Core, state: &State, how: Answer) {
    core.metrics.asked(how);
    state.look.answers(how.as_str());
}
