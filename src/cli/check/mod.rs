//! `plimsoll check`: finds what is wrong with KEDA's objects before they are applied.
//!
//! Not for: the rules themselves (`crate::check`).

mod live;
mod report;
mod sarif;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Unusable},
    inputs,
    output::Paint,
};
use crate::{
    app,
    backend::Registry,
    check::{self, Options, Report, Severity, live::Looked, rules},
};

/// What `docs/checks.md` says of each code.
const EXPLANATIONS: &str = include_str!("../../../docs/checks.md");

/// Find what is wrong with KEDA's objects before they are applied.
///
/// Reads ScaledObjects, ScaledJobs, TriggerAuthentications and what is around them from files, folders or standard input
/// (`helm template … | plimsoll check -`, `kubectl get so,sj,ta,cta -A -o yaml | plimsoll check -`), for Plimsoll's own triggers
/// and for KEDA's built-in ones.
///
/// Ends with 0 where there is no error, with 1 where there is one (with `--strict`, or a warning), with 2 where an input
/// cannot be read. A comment `# plimsoll: ignore PL201` in the YAML leaves a finding out.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files, folders, or `-` for standard input; they are looked at together.
    #[arg(value_name = "FILE", required_unless_present = "explain")]
    files: Vec<PathBuf>,
    /// Let warnings fail the check too.
    #[arg(long)]
    strict: bool,
    /// Leave findings of this code out; may be given several times, or with commas.
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = code)]
    ignore: Vec<String>,
    /// How findings are written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
    /// Read each trigger once, with the login that it would have, and say what comes of it.
    #[arg(long)]
    live: bool,
    /// The server's config file, for named connections.
    #[arg(long, env = "PLIMSOLL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what a code means, and end.
    #[arg(long, value_name = "CODE", value_parser = code, exclusive = true)]
    explain: Option<String>,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

fn code(text: &str) -> Result<String, String> {
    match rules::find(text) {
        Some(rule) => Ok(rule.code.to_owned()),
        None => Err("it is no code of a finding, docs/checks.md lists them".to_owned()),
    }
}

impl Check {
    pub(super) async fn run(self) -> Result<Exit> {
        if let Some(code) = &self.explain {
            io::stdout().lock().write_all(explanation(code).as_bytes())?;
            return Ok(Exit::Done);
        }
        let options = self.options()?;
        let (sources, unusable) = inputs::read(&self.files);
        let manifests = check::read(&sources);
        let (mut report, readable) = check::check_read(&options, &manifests);
        let mut looked = Vec::new();
        if self.live {
            looked = live::look(&readable, &mut report).await;
        }
        check::settle(&options, &manifests, &mut report);
        let mut out = io::stdout().lock();
        self.write(&mut out, &report, &looked, &unusable)?;
        out.flush()?;
        for error in &unusable {
            writeln!(io::stderr(), "plimsoll: {error}")?;
        }
        Ok(self.exit(&report, &unusable))
    }

    fn options(&self) -> Result<Options> {
        let registry = Registry::standard();
        let mut options = Options::new(registry.clone());
        options.ignored.clone_from(&self.ignore);
        if let Some(file) = &self.config {
            let config =
                app::read_config(file.clone(), &registry, true).map_err(|error| Unusable(error.to_string()))?.1;
            options.connections = Some(config.connections());
        }
        if self.live {
            options.environment = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect::<HashMap<_, _>>();
        }
        Ok(options)
    }

    fn write(&self, out: &mut impl Write, report: &Report, looked: &[Looked], unusable: &[Unusable]) -> io::Result<()> {
        match self.output {
            Format::Text => report::text(out, Paint::of_stdout(), report, looked),
            Format::Json => report::json(out, report, looked, unusable, self.exit(report, unusable)),
            Format::Sarif => sarif::write(out, report, unusable),
            Format::Github => report::github(out, report),
        }
    }

    fn exit(&self, report: &Report, unusable: &[Unusable]) -> Exit {
        let worst = report.findings.iter().map(|finding| finding.rule.severity).max();
        let least = if self.strict { Severity::Warning } else { Severity::Error };
        match worst {
            _ if !unusable.is_empty() || report.seen.unreadable > 0 => Exit::Unusable,
            Some(worst) if worst >= least => Exit::Found,
            _ => Exit::Done,
        }
    }
}

/// The section of a code.
fn explanation(code: &str) -> String {
    let mut sections = EXPLANATIONS.split("\n## ").skip(1);
    let section = sections.find(|section| section.lines().next() == Some(code));
    section.map_or_else(|| format!("{code}\n"), |section| format!("{}\n", section.trim_end()))
}
