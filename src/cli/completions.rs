//! `plimsoll completions SHELL` and `plimsoll man`: what shells and `man` want to know of all commands.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Print the completions of a shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

/// Print the manual page, or write one for each command.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(&self) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "plimsoll", &mut text);
        io::stdout().lock().write_all(&text)?;
        Ok(())
    }
}

impl Man {
    pub(super) fn run(&self) -> Result<()> {
        let mut command = Cli::command();
        command.build();
        match &self.folder {
            None => clap_mangen::Man::new(command).render(&mut io::stdout().lock())?,
            Some(folder) => {
                fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
                clap_mangen::generate_to(command, folder)
                    .with_context(|| format!("{} cannot be written to", folder.display()))?;
            }
        }
        Ok(())
    }
}
