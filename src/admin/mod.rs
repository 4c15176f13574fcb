//! The HTTP side, for probes, scrapers and people: `/livez`, `/readyz`, `/metrics`, `/api/triggers`.
//!
//! Nothing here depends on a broker: a replica whose brokers are down is alive and ready.

mod serve;
mod triggers;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};

pub use serve::serve;

use crate::{config::Token, sampler::Sampler, telemetry::Metrics};

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
    let routes = Router::new().route("/api/triggers", get(triggers::triggers)).with_state(pages);
    match token {
        Some(token) => routes.route_layer(from_fn_with_state(token, let_in)),
        None => routes,
    }
}

async fn let_in(State(token): State<Token>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") && token.is(given.trim_ascii()) => {
            next.run(request).await
        }
        _ => {
            let text = "this page wants the token of `--admin-token-file`: `authorization: Bearer TOKEN`\n";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
        }
    }
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
