//! The command line: one file per command.

mod allowed;
mod check;
#[cfg(all(feature = "tools", feature = "kubernetes"))]
mod compare;
mod completions;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod door;
pub mod exit;
#[cfg(feature = "tools")]
mod explain;
mod inputs;
#[cfg(feature = "gssapi")]
mod kerberos;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod migrate;
mod output;
#[cfg(feature = "tools")]
mod remote;
mod serve;
#[cfg(feature = "tools")]
mod top;
#[cfg(feature = "tools")]
mod words;

use anyhow::Result;
use clap::{Parser, Subcommand};

use exit::Exit;

/// An external scaler for KEDA: Kafka and Redis to replicas, pushed in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve KEDA over gRPC.
    Serve(Box<serve::Serve>),
    #[cfg(feature = "tools")]
    Explain(explain::Explain),
    #[cfg(feature = "tools")]
    Top(top::Top),
    #[cfg(all(feature = "tools", feature = "kubernetes"))]
    Compare(Box<compare::Compare>),
    Check(check::Check),
    Migrate(migrate::Migrate),
    /// Look at the server's config file.
    Config(config::ConfigCommand),
    Completions(completions::Completions),
    Man(completions::Man),
    /// Watch a workload go 0 → N → 0, with an embedded Kafka.
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    #[cfg(feature = "gssapi")]
    #[command(hide = true)]
    Kerberos(kerberos::Kerberos),
}

impl Cli {
    /// Runs the command to its end.
    pub async fn run(self) -> Result<Exit> {
        match self.command {
            Command::Serve(serve) => serve.run().await?,
            #[cfg(feature = "tools")]
            Command::Explain(explain) => return explain.run().await,
            #[cfg(feature = "tools")]
            Command::Top(top) => return top.run().await,
            #[cfg(all(feature = "tools", feature = "kubernetes"))]
            Command::Compare(compare) => return compare.run().await,
            Command::Check(check) => return check.run().await,
            Command::Migrate(migrate) => return migrate.run(),
            Command::Config(config) => config.run()?,
            Command::Completions(completions) => completions.run()?,
            Command::Man(man) => man.run()?,
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.run().await?,
            #[cfg(feature = "gssapi")]
            Command::Kerberos(kerberos) => kerberos.run().await?,
        }
        Ok(Exit::Done)
    }
}
