//! The HTTP side, for probes, scrapers and people: `/livez`, `/readyz`, `/metrics`, `/api/triggers`.
//!
//! Nothing here depends on a broker: a replica whose brokers are down is alive and ready.

mod triggers;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use crate::{sampler::Sampler, telemetry::Metrics};

/// What the pages show.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The triggers.
    pub sampler: Sampler,
    /// The series.
    pub metrics: Arc<Metrics>,
    /// Whether new callers are welcome.
    pub ready: Arc<AtomicBool>,
}

/// The routes.
pub fn router(pages: Pages) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/triggers", get(triggers::triggers))
        .with_state(pages)
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    pages.metrics.observe(&pages.sampler.observed());
    match pages.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
