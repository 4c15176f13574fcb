//! `plimsoll config`: what a config file may say, whether one can be used, and what it comes to.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{app, backend::Registry, config::Config, error::counted};

/// Look at the server's config file.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the JSON Schema of the file, for editors.
    Schema,
    /// Say whether the server could start with it; exit code 64 if not.
    Check(File),
    /// Print its connections as the server sees them, without the values.
    Show(File),
}

#[derive(Debug, Args)]
struct File {
    /// The file.
    #[arg(env = "PLIMSOLL_CONFIG", value_name = "FILE")]
    file: PathBuf,
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match self.command {
            Verb::Schema => writeln!(out, "{:#}", Config::schema().as_value())?,
            Verb::Check(File { file }) => {
                let config = app::read_config(file.clone(), &Registry::standard(), true)?.1;
                let connections = config.connections().shown().len();
                writeln!(out, "{}: can be used, {}", file.display(), counted(connections, "connection"))?;
            }
            Verb::Show(File { file }) => {
                let config = app::read_config(file, &Registry::standard(), true)?.1;
                for (name, named) in config.connections().shown() {
                    let namespaces = named.namespaces.map_or_else(
                        || "all namespaces".to_owned(),
                        |list| list.into_iter().collect::<Vec<_>>().join(", "),
                    );
                    writeln!(out, "{name}: {}; for {namespaces}", named.scaler_types.join(", "))?;
                    for (key, parameter) in named.parameters.iter() {
                        writeln!(out, "  {key}: from {}", parameter.origin())?;
                    }
                }
            }
        }
        Ok(())
    }
}
