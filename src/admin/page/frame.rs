//! What is around every view: the head, the navigation, and what the script is to watch.

use maud::{DOCTYPE, Markup, html};

use super::assets;

/// A view, and how it is kept up to date.
pub(super) struct View<'a> {
    /// Of the document.
    pub(super) title: &'a str,
    /// The place in the navigation that it belongs to.
    pub(super) place: &'a str,
    /// What to watch, as a path of the API; where nothing is watched the page is asked for again at times.
    pub(super) watch: Option<String>,
    /// Whether the page is fetched again when something that is watched changes, and else every so many seconds.
    pub(super) refresh: u32,
    /// All of it.
    pub(super) body: Markup,
}

const PLACES: [(&str, &str); 4] =
    [("/", "Triggers"), ("/connections", "Connections"), ("/server", "Server"), ("/errors", "Errors")];

impl View<'_> {
    /// The document.
    pub(super) fn document(self) -> Markup {
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
                        p.live #live role="status" data-watch=[self.watch.as_deref()] data-refresh=(self.refresh) {}
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
