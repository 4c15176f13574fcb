//! What is around every view: the head, the navigation, and what the script is to watch.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use crate::limits;

/// A view, and how it is kept up to date.
pub(super) struct View<'a> {
    /// Of the document.
    pub(super) title: &'a str,
    /// The place in the navigation that it belongs to.
    pub(super) place: &'a str,
    /// What to watch, as a path of the API; where nothing is watched the page is asked for again at times.
    pub(super) watch: Option<String>,
    /// Whether the page is fetched again when something that is watched changes, and else every so many seconds; a large one
    /// more seldom, so that a viewer is sent no more a second than by events.
    pub(super) refresh: u32,
    /// All of it.
    pub(super) body: Markup,
}

/// Bytes of a document besides its body.
const AROUND: usize = 2_500;

const PLACES: [(&str, &str); 4] =
    [("/", "Triggers"), ("/connections", "Connections"), ("/server", "Server"), ("/errors", "Errors")];

/// In how many seconds a viewer may be sent so many bytes, what stands around the body reckoned in.
fn seconds_for(bytes: usize) -> u32 {
    u32::try_from((bytes + AROUND).div_ceil(limits::EVENTS)).unwrap_or(u32::MAX)
}

impl View<'_> {
    /// The document.
    pub(super) fn document(self) -> Markup {
        let refresh = if self.refresh == 0 { 0 } else { self.refresh.max(seconds_for(self.body.0.len())) };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Plimsoll" }
                    link rel="icon" href=(assets::path("icon.svg")) type="image/svg+xml";
                    link rel="stylesheet" href=(assets::path("page.css"));
                    script type="module" src=(assets::path("page.js")) {}
                }
                body {
                    a.skip href="#main" { "Skip to content" }
                    header.top {
                        a.brand href="/" { (mark()) span { "Plimsoll" } }
                        nav aria-label="Views" {
                            @for (path, name) in PLACES {
                                a href=(path) aria-current=[(path == self.place).then_some("page")] { (name) }
                            }
                        }
                        p.live #live role="status" data-watch=[self.watch.as_deref()] data-refresh=(refresh) {}
                    }
                    main #main tabindex="-1" { (self.body) }
                    footer {
                        "Plimsoll " (env!("CARGO_PKG_VERSION")) " · the same as JSON: "
                        a href="/api/v1/openapi.json" { "/api/v1" }
                    }
                }
            }
        }
    }
}

/// The load line: a circle, and a line through it.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            circle cx="12" cy="12" r="8" {}
            path d="M1 12H23" {}
        }
    }
}
