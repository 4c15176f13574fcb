//! The board: what everybody in the demo writes down and the screen shows. Not for: deciding anything.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// How many lines of the story are kept; the screen shows the last few.
const LINES_KEPT: usize = 200;
/// How many push times are kept for the percentiles.
const PUSHES_KEPT: usize = 1000;

/// What a line of the story is about: its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Quiet,
    Work,
    Push,
    Scale,
    Trouble,
}

/// One line of the story.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Since the demo began.
    pub(super) at: Duration,
    pub(super) topic: Topic,
    pub(super) text: String,
}

/// What the server said to KEDA or the HPA, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) value: f64,
    pub(super) active: bool,
    pub(super) at: Instant,
}

/// Everything that is known, by whoever knows it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) began: Instant,
    /// Cycles that went 0 → N → 0.
    pub(super) cycles: u32,
    /// Messages of the present burst.
    pub(super) burst: u64,
    /// Messages produced and worked off since the beginning, by the workload's own books.
    pub(super) produced: u64,
    pub(super) worked_off: u64,
    /// Replicas wanted, and those that have started.
    pub(super) replicas: u32,
    pub(super) at_work: u32,
    /// The most replicas that there were at once.
    pub(super) peak: u32,
    /// What the server answered last, and the target that the spec says.
    pub(super) answer: Option<Answer>,
    pub(super) target: f64,
    /// When the first message of the burst was handed to the producer; taken by the push that it causes.
    pub(super) burst_at: Option<Instant>,
    /// From that instant to the push, newest last.
    pub(super) pushes: VecDeque<Duration>,
    /// Calls that KEDA and the HPA made, and looks at the broker that it took to answer them.
    pub(super) calls: u64,
    pub(super) reads: u64,
    /// The story so far, and how many lines were ever written.
    pub(super) lines: VecDeque<Line>,
    pub(super) lines_written: u64,
}

impl Facts {
    /// Nothing has happened yet.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            cycles: 0,
            burst: 0,
            produced: 0,
            worked_off: 0,
            replicas: 0,
            at_work: 0,
            peak: 0,
            answer: None,
            target: 0.0,
            burst_at: None,
            pushes: VecDeque::new(),
            calls: 0,
            reads: 0,
            lines: VecDeque::new(),
            lines_written: 0,
        }
    }

    /// Messages that nobody has worked off yet.
    pub(super) fn waiting(&self) -> u64 {
        self.produced.saturating_sub(self.worked_off)
    }

    /// Adds a line to the story.
    pub(super) fn say(&mut self, topic: Topic, text: impl Into<String>) {
        self.lines.push_back(Line { at: self.began.elapsed(), topic, text: text.into() });
        self.lines_written += 1;
        if self.lines.len() > LINES_KEPT {
            self.lines.pop_front();
        }
    }

    /// Notes a push. How long it took from the produce, if it is the first one of a burst.
    pub(super) fn pushed(&mut self) -> Option<Duration> {
        let took = self.burst_at.take()?.elapsed();
        self.pushes.push_back(took);
        if self.pushes.len() > PUSHES_KEPT {
            self.pushes.pop_front();
        }
        Some(took)
    }

    /// The median and the longest of the pushes.
    pub(super) fn push_times(&self) -> Option<(Duration, Duration)> {
        let mut sorted: Vec<Duration> = self.pushes.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len().saturating_sub(1) / 2)?;
        Some((*median, *sorted.last()?))
    }
}

/// The facts, shared. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Board(Arc<watch::Sender<Facts>>);

impl Board {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Facts::new())))
    }

    /// Changes the facts and tells the screen.
    pub(super) fn note<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        let mut result = None;
        self.0.send_modify(|facts| result = Some(change(facts)));
        #[expect(clippy::expect_used, reason = "send_modify runs its closure exactly once")]
        result.expect("the change ran")
    }

    /// Adds a line to the story.
    pub(super) fn say(&self, topic: Topic, text: impl Into<String>) {
        self.note(|facts| facts.say(topic, text));
    }

    /// A view that is told of changes.
    pub(super) fn watch(&self) -> watch::Receiver<Facts> {
        self.0.subscribe()
    }
}

/// A duration as people read it here: milliseconds below a second, else at most one decimal.
pub(super) fn in_words(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "less than 1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{} s", format!("{:.1}", duration.as_secs_f64()).trim_end_matches(".0")),
    }
}

/// `1 replica`, `5 replicas`.
pub(super) fn count(number: u64, noun: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { noun } else { plural })
}
