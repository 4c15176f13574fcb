//! Builds the parts, runs them, and shuts down in order.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admin::{self, Pages},
    backend::Registry,
    clock::Clock,
    door::{self, Callers, Room},
    grpc::{Server, Transport},
    limits,
    sampler::{Sampler, Settings},
    task,
    telemetry::Metrics,
};

/// With what every HTTP/2 caller begins: the preface and the head of a SETTINGS frame (RFC 9113 §3.4).
const PREFACE: usize = 24 + 9;

/// How a server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where KEDA calls.
    pub listen: SocketAddr,
    /// Where probes, scrapers and people look.
    pub admin_listen: SocketAddr,
    /// How triggers are sampled.
    pub settings: Settings,
    /// How connections and streams behave.
    pub transport: Transport,
    /// How it ends.
    pub shutdown: Shutdown,
}

/// The pace of an orderly end.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// How long it keeps serving after it stopped being ready: the time that endpoints take to change.
    pub endpoint_delay: Duration,
    /// How long calls in flight may take after that.
    pub grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { endpoint_delay: Duration::from_secs(5), grace: Duration::from_secs(10) }
    }
}

/// A server that holds its ports and has not begun to serve.
#[derive(Debug)]
pub struct App {
    options: Options,
    registry: Registry,
    grpc: TcpListener,
    admin: TcpListener,
}

impl App {
    /// Binds both ports, so that a caller can learn them and fail early.
    pub async fn bind(options: Options, registry: Registry) -> anyhow::Result<Self> {
        let grpc = listen(options.listen, "--listen").await?;
        let admin = listen(options.admin_listen, "--admin-listen").await?;
        Ok(Self { options, registry, grpc, admin })
    }

    /// Where it listens for KEDA.
    pub fn grpc_address(&self) -> io::Result<SocketAddr> {
        self.grpc.local_addr()
    }

    /// Where it listens for probes and people.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `stop` resolves, then ends in order: readiness off, endpoints change, streams end with OK,
    /// calls finish, clients close.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { options, registry, grpc, admin } = self;
        let (grpc_address, admin_address) = (grpc.local_addr()?, admin.local_addr()?);
        let metrics = Arc::new(Metrics::new(registry.scaler_types()));
        let sampler = Sampler::new(registry, options.settings, Clock::system(), Arc::clone(&metrics));
        let ready = Arc::new(AtomicBool::new(true));
        let pages = Pages { sampler: sampler.clone(), metrics: Arc::clone(&metrics), ready: Arc::clone(&ready) };
        let callers = |port| Callers::new(port, limits::CALLERS, limits::CALLERS_OF_ONE);
        let visitors = door::listen(admin, Room { callers: callers("admin"), greeting: 0 });
        let _admin = task::spawn(admin::serve(visitors, admin::router(pages)));
        let server = Server::new(sampler.clone(), metrics, options.transport).await?;
        let drain = server.drain();
        let go_away = CancellationToken::new();
        let incoming = door::listen(grpc, Room { callers: callers("grpc"), greeting: PREFACE });
        let serving = server.serve(incoming, go_away.clone().cancelled_owned());
        tokio::pin!(serving);
        info!(grpc = %grpc_address, admin = %admin_address, version = env!("CARGO_PKG_VERSION"), "serving");

        tokio::select! {
            () = &mut serving => anyhow::bail!("the gRPC port stopped serving"),
            () = stop => {}
        }
        info!(endpoint_delay = ?options.shutdown.endpoint_delay, "shutting down");
        ready.store(false, Ordering::Relaxed);
        drain.not_ready().await;
        // Still serving: KEDA comes here until its view of the endpoints has changed.
        timeout(options.shutdown.endpoint_delay, &mut serving).await.ok();
        drain.end_streams();
        go_away.cancel();
        if timeout(options.shutdown.grace, &mut serving).await.is_err() {
            warn!(grace = ?options.shutdown.grace, "calls were still in flight when the grace period ran out");
        }
        sampler.close();
        info!("ended");
        Ok(())
    }
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: free that port or choose another with `{option}`"))
}
