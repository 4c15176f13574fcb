//! The page at `/`, for people with a browser: HTML made here, kept up to date by a small script, and of use without it.
//!
//! It shows what the API answers and nothing else. Not for: who may see it (`guard.rs`).

mod assets;
mod connections;
mod errors;
mod facts;
mod frame;
mod list;
mod row;
mod server;
mod spark;
mod trigger;
mod words;

use axum::{
    Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};

use self::frame::View;
use super::{
    Pages,
    api::{Asked, Connections, Problem, Server, Trigger},
};

/// Its paths.
pub(super) fn routes() -> Router<Pages> {
    Router::new()
        .route("/", get(triggers))
        .route("/triggers/{id}", get(one))
        .route("/connections", get(connections))
        .route("/server", get(server))
        .route("/errors", get(async || page(errors::view())))
        .route("/assets/{digest}/{name}", get(assets::asset))
        .route(
            "/favicon.ico",
            get(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, assets::path("icon.svg"))])),
        )
}

/// An answer that is no view.
struct Refused(Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, text) = self.0.text();
        let body = html! {
            h1 { (if status == StatusCode::NOT_FOUND { "Not here" } else { "This cannot be shown" }) }
            p { (words::prose(text)) }
            p { a href="/" { "All triggers" } }
        };
        let view = View { title: "Not here", place: "", watch: None, refresh: 0, body };
        (status, page(view)).into_response()
    }
}

impl<T: Into<Problem>> From<T> for Refused {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

fn page(view: View<'_>) -> Html<String> {
    Html(view.document().into_string())
}

async fn triggers(
    State(pages): State<Pages>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, Refused> {
    let Query(asked) = asked?;
    Ok(page(list::view(&pages, asked)?))
}

async fn one(State(pages): State<Pages>, id: Result<Path<u64>, PathRejection>) -> Result<Html<String>, Refused> {
    let Path(id) = id?;
    Ok(page(trigger::view(&Trigger::of(&pages, id)?)))
}

async fn connections(State(pages): State<Pages>) -> Html<String> {
    page(connections::view(&Connections::of(&pages)))
}

async fn server(State(pages): State<Pages>) -> Html<String> {
    page(server::view(&Server::of(&pages)))
}

/// How something stands: a word with a mark beside it, so that no colour is needed to tell.
fn badge(state: &str) -> Markup {
    html! { span.state data-state=(state) { (state) } }
}
