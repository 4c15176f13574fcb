//! What came of comparing, for people and for programs.
//!
//! Not for: coming to it (`verdict`).

use std::io::{self, Write};

use serde::Serialize;

use super::verdict::Verdict;
use crate::cli::{
    output::{self, Format, Paint, Role},
    words::known,
};
use crate::error::counted;

/// One trigger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub verdict: Verdict,
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub trigger_index: usize,
    pub trigger_name: Option<String>,
    #[serde(rename = "type")]
    pub scaler_type: String,
    /// The last values.
    pub keda: Option<f64>,
    pub ours: Option<f64>,
    pub looks: u64,
    /// Looks that could be judged, and of these the ones that were the same, if need be as at another instant.
    pub judged: u64,
    pub same: u64,
    pub elsewhen: u64,
    /// The largest difference.
    pub apart: f64,
    pub why: String,
    #[serde(skip)]
    pub label: String,
}

#[derive(Serialize)]
struct Document<'l> {
    result: &'static str,
    agree: usize,
    differ: usize,
    failed: usize,
    unknown: usize,
    triggers: &'l [Line],
}

/// Writes it, the worst first.
pub(super) fn write(out: &mut impl Write, format: Format, paint: Paint, lines: &mut [Line]) -> io::Result<()> {
    lines.sort_by_cached_key(|line| (line.verdict, line.namespace.clone(), line.name.clone(), line.trigger_index));
    let count = |verdict: Verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    let (agree, differ) = (count(Verdict::Agree), count(Verdict::Differ));
    let (failed, unknown) = (count(Verdict::Failed), count(Verdict::Unknown));
    if format == Format::Json {
        let result = match differ + failed {
            0 if agree == lines.len() => "agree",
            0 => "unknown",
            _ => "differ",
        };
        return output::json(out, &Document { result, agree, differ, failed, unknown, triggers: lines });
    }
    for line in &*lines {
        text(out, paint, line)?;
    }
    let parts = [
        (agree, "agrees", "agree", Role::Good),
        (differ, "differs", "differ", Role::Bad),
        (failed, "fails on one side", "fail on one side", Role::Bad),
        (unknown, "cannot be told", "cannot be told", Role::Doubtful),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many, role)| paint.paint(role, &format!("{count} {}", if count == 1 { one } else { many })))
        .collect();
    writeln!(out, "{}: {}", counted(lines.len(), "built-in trigger"), parts.join(", "))
}

fn text(out: &mut impl Write, paint: Paint, line: &Line) -> io::Result<()> {
    let (word, role) = match line.verdict {
        Verdict::Agree => ("agree  ", Role::Good),
        Verdict::Differ => ("differ ", Role::Bad),
        Verdict::Failed => ("failed ", Role::Bad),
        Verdict::Unknown => ("unknown", Role::Doubtful),
    };
    let values = format!("KEDA {}, ours {}", known(line.keda), known(line.ours));
    let looks = format!("same in {} of {}", line.same, counted(line.judged, "look"));
    let looks = if line.judged == 0 { counted(line.looks, "look") } else { looks };
    let label = paint.paint(Role::Strong, &line.label);
    writeln!(out, "{}  {label}: {values}; {looks}", paint.paint(role, word))?;
    if !line.why.is_empty() {
        writeln!(out, "         {}", line.why)?;
    }
    Ok(())
}
