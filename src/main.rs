//! The `plimsoll` binary: parse the command line, run, exit code.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use plimsoll::{cli::Cli, config::ConfigError};

/// A file or an option cannot be used: `EX_USAGE` of `sysexits.h`.
const UNUSABLE: u8 = 64;

/// How long the end waits for work that cannot be stopped: a name being resolved, a key being decrypted.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // Several crates bring rustls, each able to use more than one provider: the choice must be made before the first connection.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing can have chosen a provider before the first line of main");
    }
    let cli = Cli::parse();
    let ended = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(cli.run());
        runtime.shutdown_timeout(PATIENCE);
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the log may not have started")]
            {
                eprintln!("plimsoll: {error:#}");
            }
            if error.is::<ConfigError>() { ExitCode::from(UNUSABLE) } else { ExitCode::FAILURE }
        }
    }
}
