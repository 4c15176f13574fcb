//! `/api/triggers`: the triggers as JSON, a page at a time.
//!
//! `?limit=` rows (as many as are given at most, without it), after the row whose `id` is `?after=`, of one `?namespace=`,
//! one `?type=`, `?failing=true` or `false`. Where there are more, the header
//! `x-next-after` has what `?after=` of the next page is to be.

use axum::{
    Json,
    extract::{Query, State},
    http::HeaderName,
    response::IntoResponse,
};
use serde::Deserialize;

use super::Pages;
use crate::{limits, sampler::Filter};

const NEXT: HeaderName = HeaderName::from_static("x-next-after");

/// What a question may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
    #[serde(default)]
    after: u64,
    namespace: Option<String>,
    #[serde(rename = "type")]
    scaler_type: Option<String>,
    failing: Option<bool>,
}

/// The rows that were asked for.
pub(super) async fn triggers(State(pages): State<Pages>, Query(asked): Query<Asked>) -> impl IntoResponse {
    let limit = asked.limit.unwrap_or(limits::ROWS).clamp(1, limits::ROWS);
    let filter = Filter { namespace: asked.namespace, scaler_type: asked.scaler_type, failing: asked.failing };
    let page = pages.sampler.page(&filter, asked.after, limit);
    let headers = page.next.map(|next| [(NEXT, next.to_string())]);
    (headers, Json(page.triggers))
}
