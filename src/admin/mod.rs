//! The HTTP side, for probes, scrapers and people: `/livez`, `/readyz`, `/metrics`, `/api/v1/…`, and the page at `/`.
//!
//! Nothing here depends on a broker: a replica whose brokers are down is alive and ready.

mod api;
mod guard;
mod help;
mod page;
mod rates;
mod replicas;
mod serve;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Semaphore;

pub use api::openapi;
pub use serve::serve;

use self::{rates::Rates, replicas::Replicas};
use crate::{config::Token, limits, sampler::Sampler, telemetry::Metrics};

/// What the pages show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pages(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// The triggers.
    sampler: Sampler,
    /// The series.
    metrics: Arc<Metrics>,
    /// Whether new callers are welcome.
    ready: Arc<AtomicBool>,
    /// Since when we are.
    started: SystemTime,
    rates: Rates,
    /// The others, where the name of their Service is known.
    replicas: Option<Replicas>,
    /// Places for those who watch.
    viewers: Arc<Semaphore>,
}

impl Pages {
    /// Pages that show these. `service` is the name that leads to all replicas.
    #[must_use]
    pub fn new(sampler: Sampler, metrics: Arc<Metrics>, ready: Arc<AtomicBool>, service: Option<String>) -> Self {
        let rates = Rates::of(&sampler);
        let viewers = Arc::new(Semaphore::new(limits::VIEWERS));
        let (replicas, started) = (service.map(Replicas::of), SystemTime::now());
        Self(Arc::new(Shown { sampler, metrics, ready, started, rates, replicas, viewers }))
    }
}

/// For probes and scrapers: no name of anybody's source is in it, and nobody is asked who they are.
pub fn probes(pages: Pages) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

/// For people: who reads what from where. They show `token`, where there is one.
pub fn people(pages: Pages, token: Option<Token>) -> Router {
    guard::guarded(api::routes().merge(page::routes()), token).with_state(pages)
}

async fn readyz(State(Pages(shown)): State<Pages>) -> impl IntoResponse {
    if shown.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    }
}

async fn metrics(State(Pages(shown)): State<Pages>) -> Response {
    shown.metrics.observe(&shown.sampler.observed());
    match shown.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
