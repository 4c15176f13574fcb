//! How commands speak: as text or as JSON, with colours on a terminal alone.
//!
//! Not for: the log of the server (`telemetry`).

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;
use serde::Serialize;

/// Text for people, or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one document, whose fields do not change their meaning.
    Json,
}

/// A role of a piece of text, not a colour.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// A heading, a name that matters.
    Strong,
    /// What can be passed over.
    Faint,
    /// It does not work.
    Bad,
    /// It will not do.
    Doubtful,
    /// Worth knowing.
    Told,
    /// Well; what is added.
    Good,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// For standard output: on a terminal, and not where `NO_COLOR` is set or the terminal has none.
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::when(io::stdout().is_terminal())
    }

    /// The same for standard error.
    #[must_use]
    pub fn of_stderr() -> Self {
        Self::when(io::stderr().is_terminal())
    }

    /// No colours.
    #[must_use]
    pub fn none() -> Self {
        Self(false)
    }

    fn when(terminal: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self(terminal && !refused && !dumb)
    }

    /// Whether there are any.
    #[cfg(feature = "tools")]
    #[must_use]
    pub fn has_colours(self) -> bool {
        self.0
    }

    /// `text` in its role.
    #[must_use]
    pub fn paint(self, role: Role, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match role {
            Role::Strong => "1",
            Role::Faint => "2",
            Role::Bad => "1;31",
            Role::Doubtful => "1;33",
            Role::Told => "1;36",
            Role::Good => "32",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Writes `value` as one JSON document.
pub fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
