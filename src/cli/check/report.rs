//! Findings for people, for programs, and for GitHub.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use serde::Serialize;

use crate::{
    check::{Finding, Report, Seen, Severity, Shown, live::Looked},
    cli::{
        exit::{Exit, Unusable},
        output::{self, Paint, Role},
    },
    error::counted,
    reading::Cell,
};

/// Parts of a number that are shown; JSON has more.
const ROWS: usize = 10;

fn role(severity: Severity) -> Role {
    match severity {
        Severity::Error => Role::Bad,
        Severity::Warning => Role::Doubtful,
        Severity::Note => Role::Told,
    }
}

/// For people: a paragraph each, and what it comes to.
pub(super) fn text(out: &mut impl Write, paint: Paint, report: &Report, looked: &[Looked]) -> io::Result<()> {
    for finding in &report.findings {
        let severity = finding.rule.severity;
        let place = paint.paint(Role::Strong, &format!("{}:{}", finding.file, finding.at));
        let head = paint.paint(role(severity), &format!("{} {}", severity.as_str(), finding.rule.code));
        writeln!(out, "{place}: {head}: {}", finding.what)?;
        let belongs_to = finding.belongs_to();
        if !belongs_to.is_empty() {
            writeln!(out, "    {}", paint.paint(Role::Faint, &format!("in   {belongs_to}")))?;
        }
        writeln!(out, "    cure {}", finding.cure)?;
        writeln!(out, "    {}\n", paint.paint(Role::Faint, &format!("see  {}", finding.rule.link())))?;
    }
    for looked in looked {
        writeln!(out, "{}", look(looked, paint))?;
    }
    if !looked.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", sum(paint, report))
}

/// One look in a line or two.
fn look(looked: &Looked, paint: Paint) -> String {
    let place = paint.paint(Role::Strong, &format!("{}:{}", looked.file, looked.line));
    let head = format!("{place}: {}, {}", looked.object, looked.trigger);
    if let Some(unread) = &looked.unread {
        return format!("{head}\n    {}", paint.paint(Role::Doubtful, unread));
    }
    let source = looked.source.as_deref().unwrap_or_default();
    let value = looked.value.map(|value| value.to_string()).unwrap_or_default();
    let state = if looked.active == Some(true) { "active" } else { "idle" };
    let replicas = match looked.replicas {
        Some(replicas) => {
            format!("{} ({})", counted(replicas, "replica"), looked.why)
        }
        None => looked.why.clone(),
    };
    let target = looked.target.unwrap_or_default();
    let value = paint.paint(Role::Strong, &value);
    let replicas = paint.paint(Role::Good, &replicas);
    let mut text = format!("{head}\n    {source}: {value} of target {target}, {state} → {replicas}");
    if let Some(table) = &looked.parts {
        let _ = write!(text, "\n    {}", paint.paint(Role::Faint, &table.rule));
        for row in table.rows.iter().take(ROWS) {
            let cells = table.columns.iter().zip(row).filter_map(|(column, cell)| match cell {
                Cell::Text(words) if words.is_empty() => None,
                Cell::Text(words) => Some(format!("{column} {words}")),
                Cell::Number(number) => Some(format!("{column} {number}")),
                Cell::Unknown => Some(format!("{column} unknown")),
            });
            let _ = write!(text, "\n      {}", cells.collect::<Vec<_>>().join(", "));
        }
        let more = (table.rows.len() + table.omitted).saturating_sub(ROWS);
        if more > 0 {
            let _ = write!(text, "\n      and {more} more");
        }
    }
    text
}

fn count(report: &Report, severity: Severity) -> usize {
    report.findings.iter().filter(|finding| finding.rule.severity == severity).count()
}

fn sum(paint: Paint, report: &Report) -> String {
    let Seen { files, objects, keda, triggers, unreadable } = report.seen;
    let mut text = format!("{}: {keda} of KEDA's objects", counted(files, "file"));
    if keda == 0 {
        text = match objects {
            0 => format!("{}: nothing that is a Kubernetes object", counted(files, "file")),
            _ => format!("{}: none of {} is KEDA's", counted(files, "file"), counted(objects, "object")),
        };
    } else {
        let _ = write!(text, ", {}", counted(triggers, "trigger"));
    }
    let kinds = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let found: Vec<String> = kinds
        .into_iter()
        .filter_map(|(severity, name)| {
            let count = count(report, severity);
            (count > 0).then(|| paint.paint(role(severity), &counted(count, name)))
        })
        .collect();
    let found = if found.is_empty() { paint.paint(Role::Good, "nothing found") } else { found.join(", ") };
    let _ = write!(text, "; {found}");
    if report.ignored > 0 {
        let _ = write!(text, ", {} ignored", report.ignored);
    }
    if unreadable > 0 {
        let _ = write!(text, ", {} unreadable", counted(unreadable, "document"));
    }
    text
}

#[derive(Serialize)]
struct Document<'r> {
    result: &'static str,
    errors: usize,
    warnings: usize,
    notes: usize,
    ignored: usize,
    seen: Seen,
    findings: Vec<Shown<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    live: &'r [Looked],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unusable: Vec<&'r str>,
}

/// For programs: one document.
pub(super) fn json(
    out: &mut impl Write,
    report: &Report,
    looked: &[Looked],
    unusable: &[Unusable],
    exit: Exit,
) -> io::Result<()> {
    let result = match exit {
        Exit::Done => "passed",
        Exit::Found => "failed",
        Exit::Unusable | Exit::Config => "unusable",
    };
    let document = Document {
        result,
        errors: count(report, Severity::Error),
        warnings: count(report, Severity::Warning),
        notes: count(report, Severity::Note),
        ignored: report.ignored,
        seen: report.seen,
        findings: report.findings.iter().map(Finding::shown).collect(),
        live: looked,
        unusable: unusable.iter().map(|error| error.0.as_str()).collect(),
    };
    output::json(out, &document)
}

/// Annotations of a GitHub workflow, and what it comes to.
pub(super) fn github(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for finding in &report.findings {
        let command = match finding.rule.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
        let message =
            format!("{}\n{}\ncure: {}\n{}", finding.what, finding.belongs_to(), finding.cure, finding.rule.link());
        writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(&finding.file),
            finding.at.line,
            finding.at.column,
            property(&format!("{} {}", finding.rule.code, finding.rule.title)),
            escape(&message)
        )?;
    }
    writeln!(out, "{}", sum(Paint::none(), report))
}
