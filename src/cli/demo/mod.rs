//! `plimsoll demo`: a workload goes 0 → N → 0 before your eyes.
//!
//! The server is the real one, with the real Kafka backend, on loopback ports. Around it, in this process:
//! `cluster.rs` an embedded Kafka, `workload.rs` who writes, `fleet.rs` who reads, `keda.rs` and `hpa.rs` who asks
//! and scales; `gallery.rs` has more triggers, for the page. All note what they do on the `board.rs`; `screen.rs` draws it and `terminal.rs` shows it.

mod board;
mod cluster;
mod fleet;
mod gallery;
mod hpa;
mod keda;
mod pages;
mod screen;
mod terminal;
mod workload;

use std::{
    collections::BTreeMap,
    env, io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    board::{Board, Facts, count, in_words},
    cluster::{Cluster, GROUP, PARTITIONS, TOPIC},
    fleet::Fleet,
    gallery::Gallery,
    keda::{Keda, Waits},
    screen::Screen,
    workload::Workload,
};
use crate::{
    app::{App, Guard, Options, Shutdown},
    backend::{Registry, kafka::Kafka},
    config::Limits,
    grpc::{Transport, externalscaler::ScaledObjectRef, externalscaler::external_scaler_client::ExternalScalerClient},
    sampler::Settings,
    telemetry::{LogFormat, init_log},
};

/// A cycle of `--once` must be over by then.
const ONCE_WITHIN: Duration = Duration::from_secs(60);
/// How long the server may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long the embedded broker holds a Fetch back, whatever comes meanwhile: part of each push's time.
const FETCH_WAIT: Duration = Duration::from_millis(20);
/// What one replica can carry: `lagThreshold`.
const TARGET: u32 = 20;

/// Watch a workload go 0 → N → 0: the real server beside an embedded Kafka, with consumers that are scaled.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End after one cycle; fails if it did not go to several replicas by a push, and back to 0.
    #[arg(long)]
    once: bool,
    /// More triggers beside the one that is scaled, in every state that the page can show.
    #[arg(long, conflicts_with = "once")]
    page: bool,
}

/// How long things take in the demo.
struct Pace {
    /// Nothing happens before a burst.
    idle: Duration,
    /// A replica starts.
    start: Duration,
    waits: Waits,
}

impl Pace {
    fn new(once: bool) -> Self {
        let seconds = |long, short| Duration::from_secs(if once { short } else { long });
        let waits = Waits {
            poll: Duration::from_secs(1),
            hpa: Duration::from_millis(1500),
            cooldown: seconds(5, 2),
            stabilisation: Duration::from_secs(300),
        };
        Self { idle: seconds(5, 2), start: Duration::from_secs(1), waits }
    }
}

impl Demo {
    pub(super) async fn run(self) -> Result<()> {
        let _log = env::var_os("RUST_LOG").map(|_| init_log(LogFormat::Text, None));
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stopped = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let cluster = Cluster::start()?;
        let app = App::bind(options(), registry()).await?;
        let stage = Stage::set(&cluster, &app, Pace::new(self.once), self.page)?;
        let stop = CancellationToken::new();
        let server = app.run(stop.clone().cancelled_owned());
        tokio::pin!(server);

        let board = stage.board.clone();
        let ended = tokio::select! {
            ended = &mut server => ended.and_then(|()| bail!("the server ended by itself")),
            ended = stage.play(self.once, stopped) => ended,
        };
        stop.cancel();
        timeout(END_WITHIN, server).await.ok();
        ended?;
        let facts = board.watch().borrow().clone();
        unless_gone(terminal::write_lines(&summary(&facts)))?;
        if self.once { went_up_and_down(&facts) } else { Ok(()) }
    }
}

/// Everything around the server.
struct Stage {
    board: Board,
    workload: Workload,
    fleet: Fleet,
    keda: Keda,
    screen: Screen,
    gallery: Option<Gallery>,
    admin: SocketAddr,
}

impl Stage {
    fn set(cluster: &Cluster, app: &App, pace: Pace, page: bool) -> Result<Self> {
        let (grpc, admin) = (app.grpc_address()?, app.admin_address()?);
        let (servers, board) = (cluster.bootstrap_servers(), Board::new());
        let max_replicas = PARTITIONS.unsigned_abs();
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{grpc}"))?.connect_lazy();
        let client = ExternalScalerClient::new(channel);
        let trigger = trigger(grpc, &servers);
        Ok(Self {
            workload: Workload::new(&servers, board.clone(), pace.idle)?,
            fleet: Fleet::new(servers, board.clone(), pace.start),
            screen: Screen::new(max_replicas, notes(&pace.waits, admin)),
            gallery: page.then(|| Gallery::new(cluster, client.clone())).transpose()?,
            keda: Keda::new(client, trigger, (pace.waits, max_replicas), board.clone()),
            board,
            admin,
        })
    }

    /// Plays until the workload has had its cycles, or `stopped`, or something breaks.
    async fn play(self, once: bool, stopped: impl Future<Output = ()>) -> Result<()> {
        let Self { board, workload, mut fleet, keda, screen, gallery, admin } = self;
        let cycles = async {
            if !once {
                return workload.run(None).await;
            }
            let ended = timeout(ONCE_WITHIN, workload.run(Some(1))).await;
            ended.unwrap_or_else(|_| bail!("the cycle was not over after {}", in_words(ONCE_WITHIN)))
        };
        let gallery = async {
            match gallery {
                Some(gallery) => gallery.run().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = cycles => ended,
            ended = gallery => ended,
            () = stopped => Ok(()),
            ended = keda.run() => ended,
            ended = fleet.run(keda.replicas()) => ended,
            ended = pages::count_reads(admin, &board) => ended,
            ended = terminal::show(screen, board.watch()) => unless_gone(ended),
        };
        fleet.close().await;
        ended
    }
}

/// The trigger as a user would write it.
fn trigger(scaler: SocketAddr, servers: &str) -> ScaledObjectRef {
    let pairs = [
        ("scalerAddress", scaler.to_string().as_str()),
        ("scalerType", "kafka"),
        ("bootstrapServers", servers),
        ("consumerGroup", GROUP),
        ("topic", TOPIC),
        ("lagThreshold", &TARGET.to_string()),
        ("offsetResetPolicy", "earliest"),
        ("pollingInterval", "500ms"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    ScaledObjectRef { name: GROUP.into(), namespace: "demo".into(), scaler_metadata: BTreeMap::from(pairs) }
}

/// The real backend. Only its patience is shorter, since the embedded broker answers no Fetch before its time.
fn registry() -> Registry {
    Registry::with(vec![Box::new(Kafka::with_fetch_wait(FETCH_WAIT))])
}

fn options() -> Options {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Options {
        listen: loopback,
        admin_listen: loopback,
        guard: Guard::default(),
        settings: Settings::default(),
        limits: Limits::default(),
        transport: Transport::default(),
        shutdown: Shutdown { endpoint_delay: Duration::ZERO, grace: Duration::from_secs(2) },
        service: None,
        export: crate::app::Export::default(),
    }
}

fn notes(waits: &Waits, admin: SocketAddr) -> Vec<String> {
    let (poll, hpa, cooldown) = (in_words(waits.poll), in_words(waits.hpa), in_words(waits.cooldown));
    vec![
        format!(" Shortened: poll {poll} (usually 30 s), HPA {hpa} (15 s), cool-down {cooldown} (300 s)."),
        format!(
            " Of a push's time, up to {} are the embedded Kafka's: it wakes no reader early.",
            in_words(FETCH_WAIT)
        ),
        format!(" Every number explained, while this runs: http://{admin}/"),
    ]
}

fn summary(facts: &Facts) -> Vec<String> {
    let cycles = count(u64::from(facts.cycles), "full cycle", "full cycles");
    let peak = count(u64::from(facts.peak), "replica", "replicas");
    let messages = count(facts.worked_off, "message", "messages");
    let pushes = count(facts.pushes.len() as u64, "push", "pushes");
    let times = facts.push_times().map_or_else(String::new, |(median, longest)| {
        format!(", from produce to push p50 {}, max {}", in_words(median), in_words(longest))
    });
    vec![
        String::new(),
        format!("{cycles} 0 → N → 0 in {}, at most {peak}, {messages} worked off.", in_words(facts.began.elapsed())),
        format!("{pushes}{times}."),
        format!("{} calls of KEDA and the HPA were answered from {} reads of the broker.", facts.calls, facts.reads),
        String::new(),
        "Next: `plimsoll demo --page` has every state to look at in a browser; `plimsoll serve` runs the server for"
            .to_owned(),
        "your own KEDA (from here: `cargo run --release -- serve`); README.md has a ScaledObject to start from."
            .to_owned(),
    ]
}

fn went_up_and_down(facts: &Facts) -> Result<()> {
    ensure!(facts.cycles == 1, "the cycle was broken off");
    ensure!(!facts.pushes.is_empty(), "no push came: the workload was woken by the poll");
    ensure!(facts.peak > 1, "the workload did not go beyond one replica");
    Ok(())
}

/// Whoever read our output may leave before the end: that is no failure.
fn unless_gone(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
