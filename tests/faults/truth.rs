//! What a broker really held, and when: the measure for every number that is answered.
//!
//! Not for: how it came to hold it (`brokers/`).

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The numbers of one source over time. While it changes, the number before and the one after are both true.
#[derive(Clone)]
pub struct Truth(Arc<Mutex<Vec<Span>>>);

struct Span {
    value: usize,
    from: Instant,
    until: Option<Instant>,
}

impl Truth {
    /// A source that is empty.
    pub fn new() -> Self {
        let span = Span { value: 0, from: Instant::now(), until: None };
        Self(Arc::new(Mutex::new(vec![span])))
    }

    /// From now on it may be `value`.
    pub fn begins(&self, value: usize) {
        self.0.lock().push(Span { value, from: Instant::now(), until: None });
    }

    /// From now on it is the last that began, and no other.
    pub fn settled(&self) {
        let now = Instant::now();
        let mut spans = self.0.lock();
        let before = spans.len().saturating_sub(1);
        for span in &mut spans[..before] {
            span.until.get_or_insert(now);
        }
    }

    /// What it is now.
    pub fn now(&self) -> usize {
        self.0.lock().last().unwrap().value
    }

    /// Whether a number that fits was true at some moment between the two.
    pub fn had(&self, fits: impl Fn(usize) -> bool, from: Instant, until: Instant) -> bool {
        let overlaps = |span: &Span| span.from <= until && span.until.is_none_or(|end| end >= from);
        self.0.lock().iter().any(|span| fits(span.value) && overlaps(span))
    }

    /// For people: what was true between the two.
    pub fn between(&self, from: Instant, until: Instant) -> Vec<usize> {
        let overlaps = |span: &&Span| span.from <= until && span.until.is_none_or(|end| end >= from);
        self.0.lock().iter().filter(overlaps).map(|span| span.value).collect()
    }
}
