//! The JSON API, `/api/v1/…`: what the server knows, for people's tools and for the page, which uses nothing else.
//!
//! Reading only. Within `v1` fields are added and never change or go. Not for: what a row says (`sampler`).

mod asked;
mod events;
mod openapi;
mod server;

use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use asked::Asked;
pub use openapi::openapi;
pub(super) use server::{Backend, Bound, Replicas, Server, WakeLatency};

use super::{Pages, help::Help};
use crate::sampler::{ConnectionView, Counts, Detail, View};

/// Its paths.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/api/v1/triggers", get(triggers))
        .route("/api/v1/triggers/{id}", get(trigger))
        .route("/api/v1/connections", get(connections))
        .route("/api/v1/server", get(server::server))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/openapi.json", get(async || Json(openapi())))
        .route(
            "/api/v1/{*other}",
            get(async || Problem::nothing_there("there is no such path: see /api/v1/openapi.json")),
        )
}

/// Some triggers.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Triggers {
    /// How many there are that were asked for.
    pub(super) total: usize,
    /// How many were left out before the first row.
    pub(super) offset: usize,
    /// How those stand that were asked for but for their `state`.
    pub(super) counts: Counts,
    /// The rows.
    pub(super) triggers: Vec<View>,
}

/// One trigger.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Trigger {
    /// What is known of it.
    #[serde(flatten)]
    pub(super) detail: Detail,
    /// What to do about its error, while it has one.
    pub(super) help: Option<Help>,
}

/// All connections.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connections {
    /// Those that fail first.
    pub(super) connections: Vec<ConnectionView>,
}

/// Why there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// What was wrong with the question.
    error: String,
    #[serde(skip)]
    status: StatusCode,
}

impl Problem {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { error: text.into(), status: StatusCode::BAD_REQUEST }
    }

    pub(super) fn nothing_there(text: &str) -> Self {
        Self { error: text.to_owned(), status: StatusCode::NOT_FOUND }
    }

    fn full(text: &str) -> Self {
        Self { error: text.to_owned(), status: StatusCode::SERVICE_UNAVAILABLE }
    }
}

impl Problem {
    /// What it is in HTTP, and in words.
    pub(super) fn text(&self) -> (StatusCode, &str) {
        (self.status, &self.error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::nothing_there("a trigger's id is a number")
    }
}

impl Triggers {
    /// Those that were asked for.
    pub(super) fn of(Pages(shown): &Pages, asked: &Asked) -> Result<Self, Problem> {
        let query = asked.query()?;
        let listing = shown.sampler.listing(&query);
        Ok(Self { total: listing.total, offset: query.offset, counts: listing.counts, triggers: listing.triggers })
    }
}

impl Trigger {
    /// The one of this number.
    pub(super) fn of(Pages(shown): &Pages, id: u64) -> Result<Self, Problem> {
        let gone = "there is no trigger of this id: it is no longer observed, or another replica has it";
        let mut detail = shown.sampler.detail(id).ok_or_else(|| Problem::nothing_there(gone))?;
        detail.connection.iter_mut().for_each(|connection| shown.rates.put_into(connection));
        let help = detail.trigger.error.as_ref().and_then(|error| Help::of(error.kind)).cloned();
        Ok(Self { detail, help })
    }
}

impl Connections {
    pub(super) fn of(Pages(shown): &Pages) -> Self {
        let mut connections = shown.sampler.connection_views();
        connections.iter_mut().for_each(|connection| shown.rates.put_into(connection));
        Self { connections }
    }
}

async fn triggers(
    State(pages): State<Pages>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Triggers>, Problem> {
    let Query(asked) = asked?;
    Triggers::of(&pages, &asked).map(Json)
}

async fn trigger(State(pages): State<Pages>, id: Result<Path<u64>, PathRejection>) -> Result<Json<Trigger>, Problem> {
    let Path(id) = id?;
    Trigger::of(&pages, id).map(Json)
}

async fn connections(State(pages): State<Pages>) -> Json<Connections> {
    Json(Connections::of(&pages))
}
