//! `plimsoll serve`: options to the server's own, signals to its end.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

#[cfg(feature = "kubernetes")]
use super::kubernetes::Kubernetes;
use super::{allowed::Allowed, door::Door};
use crate::{
    app::{self, App, Options, Shutdown},
    backend::Registry,
    grpc::Transport,
    limits,
    metadata::parse_duration,
    sampler::Settings,
    telemetry::{LogFormat, init_log},
};
#[cfg(feature = "otlp")]
use crate::{config::ConfigError, otlp};

/// More than any of the durations is meant to be, and less than what overflows a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serve KEDA over gRPC. Durations are seconds (`15`) or have a unit (`500ms`, `1m30s`).
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where KEDA calls.
    #[arg(long, env = "PLIMSOLL_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:6000")]
    listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are, and the pages unless `--pages-listen` says otherwise.
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
    /// Show the value, activity, target and age of up to so many triggers in `/metrics`, each as series of its own
    /// (docs/metrics.md).
    #[arg(
        long, env = "PLIMSOLL_TRIGGER_SERIES", value_name = "COUNT", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=limits::TRIGGER_SERIES)
    )]
    trigger_series: u32,
    /// The headless Service that leads to all replicas (`plimsoll.keda.svc`), so that the page can say how many there are.
    #[arg(long, env = "PLIMSOLL_SERVICE", value_name = "HOST", value_parser = host)]
    service: Option<String>,
    #[command(flatten)]
    allowed: Allowed,
    /// How log lines look; RUST_LOG filters them.
    #[arg(long, env = "PLIMSOLL_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    door: Door,
    #[cfg(feature = "kubernetes")]
    #[command(flatten)]
    kubernetes: Kubernetes,
}

impl Serve {
    pub(super) async fn run(self) -> Result<()> {
        #[cfg(feature = "otlp")]
        let export = otlp::Export::of_environment().await.map_err(|unusable| ConfigError(unusable.to_string()))?;
        #[cfg(feature = "otlp")]
        let _log = init_log(self.log_format, export.as_ref().and_then(otlp::Export::layer));
        #[cfg(not(feature = "otlp"))]
        let _log = init_log(self.log_format, None);
        raise_descriptors();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        #[allow(unused_mut, reason = "without KEDA's objects and a collector nothing is added")]
        let mut options = self.options();
        #[cfg(feature = "otlp")]
        {
            options.export = export;
        }
        #[cfg(feature = "kubernetes")]
        {
            options.settings.credentials.cluster = self.kubernetes.connect().await?;
        }
        let app = App::bind(options, Registry::standard()).await?;
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
            trigger_series: usize::try_from(self.trigger_series).unwrap_or(usize::MAX),
            ..Settings::default()
        };
        let unless_zero = |age: Duration| (!age.is_zero()).then_some(age);
        Options {
            listen: self.listen,
            admin_listen: self.admin_listen,
            guard: self.door.guard(),
            settings,
            limits: self.allowed.limits(),
            transport: Transport {
                connection_age: unless_zero(self.connection_age),
                stream_age: unless_zero(self.stream_age),
                ..Transport::default()
            },
            shutdown: Shutdown { endpoint_delay: self.endpoint_delay, grace: self.shutdown_grace },
            service: self.service.clone(),
            export: app::Export::default(),
        }
    }
}

/// As many descriptors as we may have: the usual soft limit of 1,024 is for programs that use `select`.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        warn!(%error, limit = limit.current, "the limit of descriptors stays as it is: raise it (`ulimit -n`) for more connections than that");
    }
}

fn host(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.is_empty() || text.len() > limits::NAME || !text.chars().all(legal) {
        return Err("must be a host's name without scheme and port (`plimsoll.keda.svc`)");
    }
    Ok(text.to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = parse_duration(text).ok_or("must be seconds (`15`) or a duration (`500ms`)")?;
    if duration > LONGEST { Err("must be a year at most") } else { Ok(duration) }
}
