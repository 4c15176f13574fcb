//! What comes of laying KEDA's values beside ours: do they agree, do they differ, and why. Pure.
//!
//! The two never look at the same instant, so KEDA's value is right if it is one that ours had, or passed through, since KEDA
//! may have looked last. Not for: reading either.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use crate::error::counted;

/// What is said of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Both have values, and they are not the same.
    Differ,
    /// One side has no value.
    Failed,
    /// Neither has, or there was no time to tell.
    Unknown,
    /// The same.
    Agree,
}

/// One look at both.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub at: Instant,
    pub keda: Result<f64, String>,
    pub ours: Result<f64, String>,
}

/// All looks at one trigger, summed up as they come.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// For how long KEDA's value may be old.
    window: Duration,
    began: Option<Instant>,
    /// Our values within the window.
    recent: VecDeque<(Instant, f64)>,
    /// The last look, where the two were not the same: KEDA may have seen what we see next.
    open: Option<(Instant, f64, f64)>,
    /// Looks in all, those that could be judged, and those that were the same.
    pub looks: u64,
    pub judged: u64,
    pub same: u64,
    /// Of these, the ones that were the same as at another instant.
    pub elsewhen: u64,
    pub keda: Option<f64>,
    pub ours: Option<f64>,
    pub keda_error: Option<String>,
    pub ours_error: Option<String>,
    keda_failed: u64,
    ours_failed: u64,
    /// The least and the most of ours and of KEDA's.
    span: [Option<(f64, f64)>; 2],
    /// The largest difference of those that differ.
    pub apart: f64,
}

/// What differs besides the number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Signs<'s> {
    /// What KEDA calls the metric, and what we do, with KEDA's prefix.
    pub metrics: Option<(&'s str, &'s str)>,
    /// How many of KEDA's reads have failed in the meantime.
    pub errors: f64,
    /// KEDA does not scale the object.
    pub paused: bool,
    /// The page of docs/backends.
    pub page: &'s str,
}

impl Record {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            began: None,
            recent: VecDeque::new(),
            open: None,
            looks: 0,
            judged: 0,
            same: 0,
            elsewhen: 0,
            keda: None,
            ours: None,
            keda_error: None,
            ours_error: None,
            keda_failed: 0,
            ours_failed: 0,
            span: [None, None],
            apart: 0.0,
        }
    }

    pub(super) fn take(&mut self, pair: Pair) {
        let Pair { at, keda, ours } = pair;
        let began = *self.began.get_or_insert(at);
        self.looks += 1;
        (self.ours, self.ours_error) = split(ours);
        (self.keda, self.keda_error) = split(keda);
        self.ours_failed += u64::from(self.ours.is_none());
        self.keda_failed += u64::from(self.keda.is_none());
        for (span, value) in self.span.iter_mut().zip([self.ours, self.keda]) {
            let Some(value) = value else { continue };
            let (least, most) = span.unwrap_or((value, value));
            *span = Some((least.min(value), most.max(value)));
        }
        if let Some(ours) = self.ours {
            self.recent.push_back((at, ours));
        }
        if let Some((of, keda, ours)) = self.open.take() {
            self.judge(of.saturating_duration_since(began), keda, ours);
        }
        // Only now: the look that was judged is older, and so is what KEDA may have seen at it.
        while self.recent.front().is_some_and(|(of, _)| at.saturating_duration_since(*of) > self.window) {
            // The last one before the window still held when it began.
            if self.recent.get(1).is_some_and(|(next, _)| at.saturating_duration_since(*next) < self.window) {
                break;
            }
            self.recent.pop_front();
        }
        let (Some(keda), Some(ours)) = (self.keda, self.ours) else { return };
        if is_same(keda, ours) {
            self.judged += 1;
            self.same += 1;
        } else {
            self.open = Some((at, keda, ours));
        }
    }

    /// Of a look that was not the same on both sides, so long after the first one.
    fn judge(&mut self, after: Duration, keda: f64, ours: f64) {
        let values = || self.recent.iter().map(|(_, value)| *value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        if keda >= least - slack(least) && keda <= most + slack(most) {
            self.judged += 1;
            self.same += 1;
            self.elsewhen += 1;
        } else if after >= self.window {
            // Before, KEDA may have looked when we had not yet.
            self.judged += 1;
            self.apart = self.apart.max((keda - ours).abs());
        }
    }

    fn moves(&self, side: usize) -> bool {
        self.span.get(side).copied().flatten().is_some_and(|(least, most)| !is_same(least, most))
    }

    /// What it comes to, and why.
    pub(super) fn verdict(&self, signs: &Signs<'_>) -> (Verdict, String) {
        if self.judged == 0 {
            return self.none(signs);
        }
        let Self { judged, same, elsewhen, .. } = self;
        let share = *same as f64 / *judged as f64;
        let moving = self.moves(0) || self.moves(1);
        if share == 1.0 || moving && share >= 0.5 {
            let mut why = Vec::new();
            if *elsewhen > 0 {
                why.push(format!("{elsewhen} of {} at different instants: the value moves", counted(judged, "look")));
            }
            if same < judged {
                why.push(format!("{} of {judged} passed by something that we did not see", judged - same));
            }
            if self.keda_failed + self.ours_failed > 0 {
                why.push(format!(
                    "KEDA had no value {}, we {}",
                    counted(self.keda_failed, "time"),
                    counted(self.ours_failed, "time")
                ));
            }
            return (Verdict::Agree, why.join("; "));
        }
        (Verdict::Differ, self.why(signs))
    }

    fn why(&self, signs: &Signs<'_>) -> String {
        let page = format!("docs/backends/{}.md says where we differ from KEDA", signs.page);
        if let Some((keda, ours)) = signs.metrics.filter(|(keda, ours)| keda != ours) {
            return format!(
                "KEDA calls its metric `{keda}` and we `{ours}`: the trigger is understood differently; {page}"
            );
        }
        if signs.errors > 0.0 {
            let reads = counted(signs.errors, "read");
            return format!("{reads} of KEDA's failed in the meantime: its value is an old one, or its `fallback`'s");
        }
        match (self.moves(0), self.moves(1)) {
            (false, false) => {
                format!("both stand still: another default, or another login sees something else; {page}")
            }
            (true, false) => {
                "ours moves and KEDA's stands still: is KEDA's value served from a cache, is it another source?"
                    .to_owned()
            }
            (false, true) => "KEDA's moves and ours stands still: is it another source?".to_owned(),
            (true, true) => format!("both move, and apart: another part of the source is counted; {page}"),
        }
    }

    fn none(&self, signs: &Signs<'_>) -> (Verdict, String) {
        match (&self.keda_error, &self.ours_error) {
            (Some(_), _) if signs.paused => {
                (Verdict::Unknown, "the object is paused by an annotation: KEDA does not read it".to_owned())
            }
            (Some(keda), Some(ours)) => (Verdict::Unknown, format!("KEDA: {keda}; we: {ours}")),
            (Some(keda), None) => (Verdict::Failed, format!("KEDA: {keda}")),
            (None, Some(ours)) => (Verdict::Failed, format!("we: {ours}")),
            (None, None) => (
                Verdict::Unknown,
                format!(
                    "KEDA's value may be {} old: compare for longer (`--for`)",
                    crate::cli::words::span(self.window.as_secs_f64())
                ),
            ),
        }
    }
}

fn split(value: Result<f64, String>) -> (Option<f64>, Option<String>) {
    match value {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

/// KEDA hands the HPA thousandths.
fn slack(value: f64) -> f64 {
    (value.abs() * 1e-9).max(1.1e-3)
}

fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= slack(one.abs().max(other.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    /// A look every ten seconds: KEDA's value and ours; what is negative is none.
    fn record(looks: &[(f64, f64)]) -> Record {
        let begin = Instant::now();
        let mut record = Record::new(WINDOW);
        for (at, (keda, ours)) in looks.iter().enumerate() {
            let value = |value: f64, who: &str| if value < 0.0 { Err(format!("{who} denied")) } else { Ok(value) };
            let at = begin + Duration::from_secs(10) * u32::try_from(at).unwrap();
            record.take(Pair { at, keda: value(*keda, "keda"), ours: value(*ours, "ours") });
        }
        record
    }

    #[track_caller]
    fn check(looks: &[(f64, f64)], signs: &Signs<'_>, verdict: Verdict, words: &str) {
        let (found, why) = record(looks).verdict(signs);
        assert!(found == verdict && why.contains(words), "{found:?}: {why}");
    }

    #[test]
    fn what_is_the_same_agrees_and_what_stands_apart_differs() {
        let signs = Signs { page: "kafka", ..Signs::default() };
        check(&[(42.0, 42.0); 6], &signs, Verdict::Agree, "");
        check(&[(0.333, 1.0 / 3.0); 6], &signs, Verdict::Agree, "");
        check(&[(40.0, 42.0); 6], &signs, Verdict::Differ, "both stand still");
        check(&[(40.0, 42.0); 6], &signs, Verdict::Differ, "docs/backends/kafka.md");
        let named = Signs { metrics: Some(("s0-kafka-a", "s0-kafka-b")), ..signs };
        check(&[(40.0, 42.0); 6], &named, Verdict::Differ, "`s0-kafka-a` and we `s0-kafka-b`");
        check(&[(40.0, 42.0); 6], &Signs { errors: 3.0, ..signs }, Verdict::Differ, "3 reads of KEDA's failed");
        check(&[(9.0, 1.0), (9.0, 5.0), (9.0, 2.0), (9.0, 3.0), (9.0, 4.0)], &signs, Verdict::Differ, "ours moves");
    }

    #[test]
    fn a_value_that_moves_agrees_if_ours_has_passed_through_kedas() {
        let signs = Signs::default();
        // KEDA's is thirty seconds behind.
        let late = [(0.0, 10.0), (0.0, 20.0), (0.0, 30.0), (10.0, 40.0), (20.0, 50.0), (30.0, 60.0), (40.0, 70.0)];
        check(&late, &signs, Verdict::Agree, "different instants");
        // And so it is where KEDA was a moment ahead.
        check(
            &[(10.0, 10.0), (13.0, 10.0), (13.0, 13.0), (16.0, 13.0), (16.0, 16.0)],
            &signs,
            Verdict::Agree,
            "instants",
        );
        // A minute behind is too far.
        let slow: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n) * 10.0, 100.0 + f64::from(n) * 10.0)).collect();
        check(&slow, &signs, Verdict::Differ, "both move");
    }

    #[test]
    fn in_the_beginning_nothing_is_held_against_kedas_old_value() {
        check(&[(3.0, 5.0); 3], &Signs::default(), Verdict::Unknown, "compare for longer");
        check(&[(3.0, 5.0), (3.0, 5.0), (5.0, 5.0), (5.0, 5.0), (5.0, 5.0)], &Signs::default(), Verdict::Agree, "");
    }

    #[test]
    fn an_error_is_no_difference_and_is_told() {
        check(&[(-1.0, 5.0); 5], &Signs::default(), Verdict::Failed, "KEDA: keda denied");
        check(&[(5.0, -1.0); 5], &Signs::default(), Verdict::Failed, "we: ours denied");
        check(&[(-1.0, -1.0); 5], &Signs::default(), Verdict::Unknown, "KEDA: keda denied; we: ours denied");
        check(&[(-1.0, 5.0); 5], &Signs { paused: true, ..Signs::default() }, Verdict::Unknown, "paused");
        check(
            &[(5.0, 5.0), (-1.0, 5.0), (5.0, 5.0)],
            &Signs::default(),
            Verdict::Agree,
            "KEDA had no value 1 time, we 0 times",
        );
    }
}
