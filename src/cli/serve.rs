//! `plimsoll serve`: options to the server's own, signals to its end.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::allowed::Allowed;
use crate::{
    app::{App, Options, Shutdown},
    backend::Registry,
    grpc::Transport,
    metadata::parse_duration,
    sampler::Settings,
    telemetry::{LogFormat, init_log},
};

/// More than any of the durations is meant to be, and less than what overflows a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serve KEDA over gRPC. Durations are seconds (`15`) or have a unit (`500ms`, `1m30s`).
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where KEDA calls.
    #[arg(long, env = "PLIMSOLL_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:6000")]
    listen: SocketAddr,
    /// Where /livez, /readyz, /metrics and /api/triggers are.
    #[arg(long, env = "PLIMSOLL_ADMIN_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:8080")]
    admin_listen: SocketAddr,
    /// How long a sample lives where a trigger has no `pollingInterval`.
    #[arg(long, env = "PLIMSOLL_POLLING_INTERVAL", value_name = "TIME", value_parser = duration, default_value = "5s")]
    polling_interval: Duration,
    /// How long one read of a broker may take.
    #[arg(long, env = "PLIMSOLL_READ_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "5s")]
    read_timeout: Duration,
    /// End each stream with OK after about this long, so that streams spread over replicas; 0 for never.
    #[arg(long, env = "PLIMSOLL_STREAM_AGE", value_name = "TIME", value_parser = duration, default_value = "20m")]
    stream_age: Duration,
    /// Tell a connection to go away after about this long, so that KEDA finds new replicas; 0 for never.
    #[arg(long, env = "PLIMSOLL_CONNECTION_AGE", value_name = "TIME", value_parser = duration, default_value = "450s")]
    connection_age: Duration,
    /// Keep serving this long after SIGTERM, until KEDA's view of the endpoints has changed.
    #[arg(long, env = "PLIMSOLL_ENDPOINT_DELAY", value_name = "TIME", value_parser = duration, default_value = "5s")]
    endpoint_delay: Duration,
    /// Let calls in flight take this long after that.
    #[arg(long, env = "PLIMSOLL_SHUTDOWN_GRACE", value_name = "TIME", value_parser = duration, default_value = "10s")]
    shutdown_grace: Duration,
    #[command(flatten)]
    allowed: Allowed,
    /// How log lines look; RUST_LOG filters them.
    #[arg(long, env = "PLIMSOLL_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

impl Serve {
    pub(super) async fn run(self) -> Result<()> {
        let _log = init_log(self.log_format);
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let app = App::bind(self.options(), Registry::standard()).await?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        app.run(stop).await
    }

    fn options(&self) -> Options {
        let settings = Settings {
            default_interval: self.polling_interval,
            read_timeout: self.read_timeout,
            allowance: self.allowed.allowance(),
            ..Settings::default()
        };
        let unless_zero = |age: Duration| (!age.is_zero()).then_some(age);
        Options {
            listen: self.listen,
            admin_listen: self.admin_listen,
            settings,
            transport: Transport {
                connection_age: unless_zero(self.connection_age),
                stream_age: unless_zero(self.stream_age),
            },
            shutdown: Shutdown { endpoint_delay: self.endpoint_delay, grace: self.shutdown_grace },
        }
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = parse_duration(text).ok_or("must be seconds (`15`) or a duration (`500ms`)")?;
    if duration > LONGEST { Err("must be a year at most") } else { Ok(duration) }
}
