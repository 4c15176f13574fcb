//! `plimsoll migrate`: makes KEDA's built-in triggers Plimsoll's, in their files.
//!
//! Not for: how that is done (`crate::migrate`).

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use similar::TextDiff;

use super::{
    exit::{Exit, Unusable},
    inputs,
    output::{self, Format, Paint, Role},
};
use crate::{
    backend::Registry,
    check::Options,
    error::counted,
    manifest::Source,
    migrate::{Migrated, Outcome, Weight, migrate},
};

/// Make KEDA's built-in triggers Plimsoll's.
///
/// Writes the file with its `kafka`, `rabbitmq`, `redis…`, `aws-sqs-queue` and `prometheus` triggers as `external-push` to
/// standard output, and what differs for each to standard error. Every other byte of the file stays as it is. What cannot be
/// changed safely (a Helm template, say) is named and left alone.
///
/// Ends with 0 where all was moved or there was nothing to move, with 1 where a trigger was left as it is, with 2 where a file
/// cannot be read.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Files, or `-` for standard input; folders with `--diff` or `--in-place`.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print what would change, and change nothing.
    #[arg(long, conflicts_with = "in_place")]
    diff: bool,
    /// Change the files.
    #[arg(long, short)]
    in_place: bool,
    /// Where KEDA finds Plimsoll.
    #[arg(long, value_name = "HOST:PORT", value_parser = address, default_value = "plimsoll.keda.svc:6000")]
    address: String,
    /// Say what was done as text, or as one JSON document with the new texts.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
}

fn address(text: &str) -> Result<String, String> {
    let right = text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_is_right =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#'));
        host_is_right && !host.contains("//") && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    right.then(|| text.to_owned()).ok_or_else(|| "must be host and port, such as `plimsoll.keda.svc:6000`".to_owned())
}

/// One file, as JSON has it.
#[derive(Serialize)]
struct File<'m> {
    file: &'m str,
    changed: bool,
    triggers: &'m [Outcome],
    text: &'m str,
}

impl Migrate {
    pub(super) fn run(self) -> Result<Exit> {
        let (sources, mut unusable) = inputs::read(&self.files);
        if self.in_place && sources.iter().any(|source| source.name == inputs::STDIN) {
            return Err(
                Unusable("standard input cannot be changed in its place: leave `--in-place` out".to_owned()).into()
            );
        }
        let plain = !self.diff && !self.in_place && self.output == Format::Text;
        if plain && sources.len() > 1 {
            return Err(Unusable(
                "several files at a time go with `--diff`, `--in-place` or `--output json`".to_owned(),
            )
            .into());
        }
        let options = Options::new(Registry::standard());
        let mut done = Vec::new();
        for source in &sources {
            match migrate(&options, source, &self.address) {
                Ok(migrated) => done.push((source, migrated)),
                Err(error) => unusable.push(Unusable(error.to_string())),
            }
        }
        if self.in_place {
            for (source, migrated) in done.iter().filter(|(source, migrated)| source.text != migrated.text) {
                if let Err(error) = replace(Path::new(&source.name), &migrated.text) {
                    unusable.push(Unusable(format!("{}: {error}", source.name)));
                }
            }
        }
        self.write(&done)?;
        for error in &unusable {
            writeln!(io::stderr(), "plimsoll: {error}")?;
        }
        let refused = done.iter().flat_map(|(_, migrated)| &migrated.triggers).any(|trigger| trigger.refused.is_some());
        Ok(match () {
            () if !unusable.is_empty() => Exit::Unusable,
            () if refused => Exit::Found,
            () => Exit::Done,
        })
    }

    fn write(&self, done: &[(&Source, Migrated)]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.output == Format::Json {
            let files: Vec<File<'_>> = done
                .iter()
                .map(|(source, migrated)| File {
                    file: &source.name,
                    changed: source.text != migrated.text,
                    triggers: &migrated.triggers,
                    text: &migrated.text,
                })
                .collect();
            return output::json(&mut out, &files);
        }
        for (source, migrated) in done {
            if self.diff {
                diff(&mut out, Paint::of_stdout(), source, migrated)?;
            } else if !self.in_place {
                out.write_all(migrated.text.as_bytes())?;
            }
        }
        out.flush()?;
        if self.in_place {
            report(&mut out, Paint::of_stdout(), done)
        } else {
            report(&mut io::stderr().lock(), Paint::of_stderr(), done)
        }
    }
}

/// What changes, as `patch` and `git apply` take it.
fn diff(out: &mut impl Write, paint: Paint, source: &Source, migrated: &Migrated) -> io::Result<()> {
    let name = source.name.trim_start_matches('/');
    let diff = TextDiff::from_lines(source.text.as_str(), migrated.text.as_str());
    let text = diff.unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string();
    for line in text.split_inclusive('\n') {
        let (content, ending) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        let painted = match content.as_bytes().first() {
            Some(b'+') => paint.paint(Role::Good, content),
            Some(b'-') => paint.paint(Role::Bad, content),
            Some(b'@') => paint.paint(Role::Faint, content),
            _ => content.to_owned(),
        };
        write!(out, "{painted}{ending}")?;
    }
    Ok(())
}

/// What became of each trigger.
fn report(out: &mut impl Write, paint: Paint, done: &[(&Source, Migrated)]) -> io::Result<()> {
    let (mut moved, mut left) = (0, 0);
    for trigger in done.iter().flat_map(|(_, migrated)| &migrated.triggers) {
        let place = paint.paint(Role::Strong, &format!("{}:{}", trigger.file, trigger.line));
        let name = format!("{}, {}", trigger.object, trigger.trigger);
        if let Some(why) = &trigger.refused {
            left += 1;
            writeln!(out, "{place}: {name}: {}: {why}", paint.paint(Role::Bad, "left as it is"))?;
            continue;
        }
        moved += 1;
        writeln!(out, "{place}: {name}: {}", paint.paint(Role::Good, "moved"))?;
        for note in &trigger.notes {
            let mark = match note.weight {
                Weight::Do => paint.paint(Role::Doubtful, "to do  "),
                Weight::Differs => paint.paint(Role::Told, "differs"),
                Weight::Written => paint.paint(Role::Faint, "written"),
            };
            writeln!(out, "    {mark} {}", note.text)?;
        }
    }
    let files = counted(done.len(), "file");
    match (moved, left) {
        (0, 0) => writeln!(out, "{files}: no built-in trigger that Plimsoll reads"),
        (moved, 0) => writeln!(out, "{files}: {} moved", counted(moved, "trigger")),
        (moved, 1) => writeln!(out, "{files}: {} moved, 1 left as it is", counted(moved, "trigger")),
        (moved, left) => writeln!(out, "{files}: {} moved, {left} left as they are", counted(moved, "trigger")),
    }
}

/// Puts `text` in the place of the file at once: whoever reads it has the old one or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Behind a link is the file that is meant.
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.plimsoll", std::process::id()));
    let written = fs::metadata(&path).and_then(|metadata| {
        fs::write(&beside, text)?;
        fs::set_permissions(&beside, metadata.permissions())?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}
