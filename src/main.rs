//! The `plimsoll` binary: parse the command line, run, exit code.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use plimsoll::{
    cli::{
        Cli,
        exit::{Exit, Unusable},
    },
    config::ConfigError,
};

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
        Ok(exit) => exit.into(),
        Err(error) => {
            // Whoever reads what we write has seen enough.
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            {
                return ExitCode::FAILURE;
            }
            #[expect(clippy::print_stderr, reason = "the log may not have started")]
            {
                eprintln!("plimsoll: {error:#}");
            }
            if error.is::<ConfigError>() {
                Exit::Config.into()
            } else if error.is::<Unusable>() {
                Exit::Unusable.into()
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
