//! What the server says of itself.

use std::{net::IpAddr, sync::atomic::Ordering, time::SystemTime};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    admin::{
        Pages,
        replicas::{Replicas as Known, Seen},
    },
    clock::since_epoch,
    limits::Limit,
    sampler::{Counts, CredentialsView, Query},
    task,
    telemetry::Times,
};

/// This replica. Times that end in `At` are Unix times in seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    /// Of the binary.
    pub(crate) version: &'static str,
    /// The host's name: in a cluster the pod's.
    pub(crate) host: String,
    /// When it started.
    pub(crate) started_at: f64,
    /// What it takes the time to be.
    pub(crate) now_at: f64,
    /// Whether it wants new callers: not while it shuts down.
    pub(crate) ready: bool,
    /// How its triggers stand.
    pub(crate) triggers: Counts,
    /// Open activation streams.
    pub(crate) streams: i64,
    /// Connections to brokers that have a trigger.
    pub(crate) connections: usize,
    /// Those that fail now.
    pub(crate) failing_connections: usize,
    /// The replicas of this server; `null` where the name of their Service is not known (`--service`).
    pub(crate) replicas: Option<Replicas>,
    /// Signals of backends that a source may have become active, since the start.
    pub(crate) wakes: u64,
    /// Activations pushed to KEDA, since the start.
    pub(crate) pushes: u64,
    /// How long it took from a broker's signal to the push, since the start: `plimsoll_wake_duration_seconds` in short.
    pub(crate) wake_latencies: Vec<WakeLatency>,
    /// The load on brokers.
    pub(crate) backends: Vec<Backend>,
    /// How much may be used, and is.
    pub(crate) limits: Vec<Bound>,
    /// Our own certificates.
    pub(crate) certificates: Vec<Certificate>,
    /// Where logins come from besides the metadata.
    pub(crate) credentials: CredentialsView,
    /// Panics since the start: defects of ours.
    pub(crate) panics: u64,
}

/// The replicas of this server that are ready, as their Service knows them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replicas {
    /// The Service's name.
    pub(crate) service: String,
    /// Each of them; `null` until they are known. A hundred at most.
    pub(crate) replicas: Option<Vec<Replica>>,
    /// Whether there are more.
    pub(crate) more: bool,
    /// When they were found.
    pub(crate) found_at: Option<f64>,
    /// Why they could not be found at the last try; those that were found before may have changed.
    pub(crate) error: Option<String>,
}

/// A replica.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Replica {
    /// Its address.
    pub(crate) address: String,
    /// Whether it is the one that answers.
    pub(crate) this: bool,
}

/// How long it took to tell KEDA what a broker had signalled. Times are in seconds, and `null` where there was none.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WakeLatency {
    /// KEDA's name for the kind of source.
    pub(crate) scaler_type: &'static str,
    /// How many pushes there were that a signal led to.
    pub(crate) count: u64,
    /// Half of them took no longer.
    pub(crate) p50: Option<f64>,
    /// 99 in a hundred took no longer; 4.096 is that or more.
    pub(crate) p99: Option<f64>,
}

/// The load on brokers of one kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backend {
    /// Its name.
    pub(crate) backend: &'static str,
    /// Requests sent since the start.
    pub(crate) requests: u64,
    /// Requests a minute, of late; `null` in the first seconds.
    pub(crate) per_minute: Option<f64>,
    /// Looks a minute that its triggers want. A client for each trigger would send a request at least for each.
    pub(crate) looks_per_minute: f64,
}

/// A limit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bound {
    /// Its name, as in `plimsoll_limit_crossed_total`.
    pub(crate) limit: &'static str,
    /// How much of it is used; `null` where that is not counted.
    pub(crate) used: Option<usize>,
    /// How much may be.
    pub(crate) most: Option<usize>,
    /// How often something was refused by it.
    pub(crate) crossed: u64,
}

/// A certificate of ours.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certificate {
    /// `server`, or `client_ca` for the soonest of the callers' roots.
    pub(crate) certificate: &'static str,
    /// When it expires.
    pub(crate) expires_at: f64,
}

impl Server {
    /// As it is now.
    pub(crate) fn of(Pages(shown): &Pages) -> Self {
        let (sampler, metrics) = (&shown.sampler, &shown.metrics);
        let observed = sampler.observed();
        let wanted = sampler.looks_per_minute();
        let bound = |limit: Limit| {
            let used = observed.limits.iter().find(|(of, ..)| *of == limit);
            Bound {
                limit: limit.as_str(),
                used: used.map(|(_, used, _)| *used),
                most: used.map(|(.., most)| *most),
                crossed: limit.count(),
            }
        };
        let backend = |&(backend, requests): &(&'static str, u64)| Backend {
            backend,
            requests,
            per_minute: shown.rates.per_minute(backend, requests),
            looks_per_minute: wanted.get(backend).map_or(0.0, |looks| (looks * 10.0).round() / 10.0),
        };
        let certificates = metrics.certificate_expiries();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            started_at: unix(shown.started),
            now_at: unix(SystemTime::now()),
            ready: shown.ready.load(Ordering::Relaxed),
            triggers: sampler.listing(&Query::default()).counts,
            streams: metrics.streams.get(),
            connections: observed.connections,
            failing_connections: observed.failing_connections,
            replicas: shown.replicas.as_ref().map(Replicas::of),
            wakes: metrics.wakes.get(),
            pushes: metrics.pushes.get(),
            wake_latencies: metrics.wake_latencies().into_iter().map(WakeLatency::of).collect(),
            backends: observed.broker_requests.iter().map(backend).collect(),
            limits: Limit::ALL.into_iter().map(bound).collect(),
            certificates: certificates
                .into_iter()
                .map(|(certificate, at)| Certificate { certificate, expires_at: at as f64 })
                .collect(),
            credentials: sampler.credentials(),
            panics: task::panics(),
        }
    }
}

impl Replicas {
    fn of(known: &Known) -> Self {
        let Seen { found, error } = known.seen();
        let ago = |at: Instant| SystemTime::now().checked_sub(at.elapsed()).map(unix);
        let found_at = found.as_ref().and_then(|(_, at)| ago(*at));
        let more = found.as_ref().is_some_and(|(found, _)| found.more);
        let replica = |(address, this): (IpAddr, bool)| Replica { address: address.to_string(), this };
        let replicas = found.map(|(found, _)| found.replicas.into_iter().map(replica).collect());
        Self { service: known.service.clone(), replicas, more, found_at, error }
    }
}

impl WakeLatency {
    fn of((scaler_type, times): (&'static str, Times)) -> Self {
        let within = |share| times.quantile(share).map(|seconds| (seconds * 1e6).round() / 1e6);
        Self { scaler_type, count: times.count(), p50: within(0.5), p99: within(0.99) }
    }
}

fn unix(time: SystemTime) -> f64 {
    since_epoch(time).as_secs_f64()
}

pub(super) async fn server(State(pages): State<Pages>) -> Json<Server> {
    Json(Server::of(&pages))
}
