//! Builds the parts, runs them, and shuts down in order.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
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
    config::{Config, ConfigError, ConfigFile, Contents, Files, Followed, Kind, Limits, PolicyFile, Token, follow},
    door::{self, Callers, Room, Tls, TlsOptions},
    grpc::{Server, Transport},
    limits,
    net::{Policy, Reach, Rules},
    sampler::{self, Allowance, Sampler, Settings},
    task::{self, Task},
    telemetry::Metrics,
};

/// With what every HTTP/2 caller begins: the preface and the head of a SETTINGS frame (RFC 9113 §3.4).
const PREFACE: usize = 24 + 9;

/// How a server runs.
#[derive(Debug)]
pub struct Options {
    /// Where KEDA calls.
    pub listen: SocketAddr,
    /// Where probes, scrapers and people look.
    pub admin_listen: SocketAddr,
    /// Who comes in, and what may be reached.
    pub guard: Guard,
    /// How triggers are sampled; policy, connections and allowance are replaced by what the files say.
    pub settings: Settings,
    /// How much is observed, where the options say so.
    pub limits: Limits,
    /// How connections and streams behave.
    pub transport: Transport,
    /// How it ends.
    pub shutdown: Shutdown,
    /// The name of the Service that leads to all replicas, for the page.
    pub service: Option<String>,
    /// What the series are pushed by.
    pub export: Export,
}

/// What the series are pushed by.
#[cfg(feature = "otlp")]
pub type Export = Option<crate::otlp::Export>;
/// This build pushes none.
#[cfg(not(feature = "otlp"))]
pub type Export = ();

/// Who comes in, and what may be reached on whose behalf.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Where people look, where that is not where probes do.
    pub pages_listen: Option<SocketAddr>,
    /// The file with the token that people show.
    pub admin_token: Option<PathBuf>,
    /// TLS on KEDA's port.
    pub tls: Option<TlsOptions>,
    /// The file with named connections, and maybe a policy and limits.
    pub config: Option<PathBuf>,
    /// The file that says who may reach what.
    pub policy: Option<PathBuf>,
    /// Whether triggers may name the server's own loopback.
    pub loopback: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self { pages_listen: None, admin_token: None, tls: None, config: None, policy: None, loopback: true }
    }
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

/// A server that has read its files, holds its ports and has not begun to serve.
#[derive(Debug)]
pub struct App {
    options: Options,
    registry: Registry,
    metrics: Arc<Metrics>,
    tls: Option<Tls>,
    token: Option<Token>,
    /// What follows the files.
    followers: Vec<Task>,
    grpc: TcpListener,
    admin: TcpListener,
    pages: Option<TcpListener>,
}

impl App {
    /// Reads the files and binds the ports, so that a caller can fail early and learn where we listen.
    pub async fn bind(mut options: Options, registry: Registry) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new(registry.scaler_types()));
        let mut followers = Vec::new();
        let config = match options.guard.config.take() {
            None => None,
            Some(path) => {
                let ((files, contents), file) = read_config(path, &registry, options.guard.loopback)?;
                followers.push(followed("follow config", files, contents, file.clone(), &metrics));
                options.settings.credentials.connections = file.connections();
                options.limits = options.limits.or(file.limits());
                Some(file)
            }
        };
        options.settings.allowance = allowance(options.limits);
        let in_config = config.as_ref().and_then(ConfigFile::policy).map(PolicyFile::policy);
        options.settings.policy = match (options.guard.policy.take(), in_config) {
            (Some(_), Some(_)) => {
                let text = "`--policy` and a `policy` in the file of `--config` are one too many: keep one of the two";
                return Err(ConfigError(text.to_owned()).into());
            }
            (None, Some(policy)) => policy,
            (None, None) => {
                Policy::same_for_all(Reach::new(Rules { loopback: options.guard.loopback, ..Rules::default() }))
            }
            (Some(path), None) => {
                let files = Files::new(vec![("--policy", path)]);
                let contents = files.read()?;
                let file = PolicyFile::new(&contents, options.guard.loopback)?;
                let policy = file.policy();
                followers.push(followed("follow policy", files, contents, file, &metrics));
                policy
            }
        };
        if let Some(cluster) = &options.settings.credentials.cluster {
            cluster.follow(options.settings.policy.clone());
        }
        let token = match options.guard.admin_token.take() {
            None => None,
            Some(path) => {
                let files = Files::new(vec![("--admin-token-file", path)]);
                let contents = files.read()?;
                let token = Token::new(&contents)?;
                followers.push(followed("follow token", files, contents, token.clone(), &metrics));
                Some(token)
            }
        };
        let tls = match options.guard.tls.take() {
            None => None,
            Some(options) => {
                let (tls, files, contents) = Tls::load(options, Arc::clone(&metrics))?;
                followers.push(followed("follow tls", files, contents, tls.clone(), &metrics));
                Some(tls)
            }
        };
        let grpc = listen(options.listen, "--listen").await?;
        let admin = listen(options.admin_listen, "--admin-listen").await?;
        let pages = match options.guard.pages_listen {
            None => None,
            Some(address) => Some(listen(address, "--pages-listen").await?),
        };
        Ok(Self { options, registry, metrics, tls, token, followers, grpc, admin, pages })
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
        let Self { options, registry, metrics, tls, token, followers: _followers, grpc, admin, pages } = self;
        let (grpc_address, admin_address) = (grpc.local_addr()?, admin.local_addr()?);
        let pages_address = pages.as_ref().map_or(Ok(admin_address), TcpListener::local_addr)?;
        let sampler = Sampler::new(registry, options.settings, Clock::system(), Arc::clone(&metrics));
        #[cfg(feature = "otlp")]
        let export = show(options.export, &sampler, &metrics);
        let ready = Arc::new(AtomicBool::new(true));
        let shown = Pages::new(sampler.clone(), Arc::clone(&metrics), Arc::clone(&ready), options.service);
        let (probes, people) = (admin::probes(shown.clone()), admin::people(shown, token));
        let _admin = match pages {
            None => vec![task::spawn(admin::serve(door::listen(admin, room("admin")), probes.merge(people)))],
            Some(pages) => vec![
                task::spawn(admin::serve(door::listen(admin, room("admin")), probes)),
                task::spawn(admin::serve(door::listen(pages, room("pages")), people)),
            ],
        };
        let encrypted = tls.is_some();
        let server = Server::new(sampler.clone(), metrics, Transport { encrypted, ..options.transport }).await?;
        let drain = server.drain();
        let go_away = CancellationToken::new();
        let incoming = door::listen(grpc, Room { greeting: PREFACE, tls, ..room("grpc") });
        let serving = server.serve(incoming, go_away.clone().cancelled_owned());
        tokio::pin!(serving);
        info!(grpc = %grpc_address, admin = %admin_address, pages = %pages_address, tls = encrypted, version = env!("CARGO_PKG_VERSION"), "serving");

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
            warn!(grace = ?options.shutdown.grace, "calls were still in flight when the grace period ran out: raise `--shutdown-grace` if callers see errors");
        }
        sampler.close();
        #[cfg(feature = "otlp")]
        if let Some(export) = export {
            export.end().await;
        }
        info!("ended");
        Ok(())
    }
}

/// Has the series pushed, if they are to be.
#[cfg(feature = "otlp")]
fn show(mut export: Export, sampler: &Sampler, metrics: &Arc<Metrics>) -> Export {
    if let Some(export) = &mut export {
        export.announce();
        let (sampler, metrics) = (sampler.clone(), Arc::clone(metrics));
        export.show(Arc::new(move || {
            metrics.observe(&sampler.observed());
            metrics.encode().unwrap_or_default()
        }));
    }
    export
}

/// The config file at `path` with those that it names.
pub fn read_config(
    path: PathBuf,
    registry: &Registry,
    loopback: bool,
) -> Result<((Files, Contents), ConfigFile), ConfigError> {
    let files = Config::files(path);
    let contents = files.read()?;
    let known = registry.clone();
    let kind_of = move |scaler_type: &str| {
        known.connection_kind(scaler_type).map(|(scaler_types, keys)| Kind { scaler_types, keys })
    };
    let file = ConfigFile::new(&contents, loopback, kind_of)?;
    Ok(((files, contents), file))
}

fn allowance(limits: Limits) -> Allowance {
    let room = |in_all: Option<usize>, per_namespace: Option<usize>, default: sampler::Room| sampler::Room {
        in_all: in_all.unwrap_or(default.in_all),
        per_namespace: per_namespace.unwrap_or(default.per_namespace),
    };
    let Allowance { triggers, connections } = Allowance::default();
    Allowance {
        triggers: room(limits.triggers, limits.triggers_per_namespace, triggers),
        connections: room(limits.connections, limits.connections_per_namespace, connections),
    }
}

fn followed<F>(name: &'static str, files: Files, contents: Contents, followed: F, metrics: &Arc<Metrics>) -> Task
where
    F: Followed + Clone,
{
    let metrics = Arc::clone(metrics);
    task::supervise(name, move || follow(files.clone(), contents.clone(), followed.clone(), Arc::clone(&metrics)))
}

fn room(port: &'static str) -> Room {
    Room { callers: Callers::new(port, limits::CALLERS, limits::CALLERS_OF_ONE), tls: None, greeting: 0 }
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: free that port or choose another with `{option}`"))
}
