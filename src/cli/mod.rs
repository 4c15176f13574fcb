//! The command line: one file per command.

mod allowed;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod door;
#[cfg(feature = "gssapi")]
mod kerberos;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod serve;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
    /// Look at the server's config file.
    Config(config::ConfigCommand),
    /// Watch a workload go 0 → N → 0, with an embedded Kafka.
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    #[cfg(feature = "gssapi")]
    #[command(hide = true)]
    Kerberos(kerberos::Kerberos),
}

impl Cli {
    /// Runs the command to its end.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Serve(serve) => serve.run().await,
            Command::Config(config) => config.run(),
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.run().await,
            #[cfg(feature = "gssapi")]
            Command::Kerberos(kerberos) => kerberos.run().await,
        }
    }
}
