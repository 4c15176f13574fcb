//! The connections to brokers: which fail, since when and why, and what each is used for.

use maud::{Markup, html};

use super::{
    badge,
    facts::{codes, facts},
    frame::View,
    words::{count, lasting, number, prose, until},
};
use crate::{admin::api::Connections, sampler::ConnectionView};

/// So many are shown in full; they come with those that fail first.
const SHOWN: usize = 200;

/// Their view.
pub(super) fn view(all: &Connections) -> View<'static> {
    let failing = all.connections.iter().filter(|connection| connection.error.is_some()).count();
    let body = html! {
        h1 { "Connections" }
        div #connections data-live="" {
            p.verdict data-bad=[(failing > 0).then_some("")] {
                @if all.connections.is_empty() { "No connection is in use." }
                @else if failing == 0 { "All " strong { (count(all.connections.len(), "connection", "connections")) } " work or were not tried yet." }
                @else { strong { (number(failing as f64)) } " of " (count(all.connections.len(), "connection", "connections")) @if failing == 1 { " fails." } @else { " fail." } }
            }
            ul.cards { @for connection in all.connections.iter().take(SHOWN) { (card(connection)) } }
            @if all.connections.len() > SHOWN { p.note { "and " (number((all.connections.len() - SHOWN) as f64)) " more that do not fail, in " a href="/api/v1/connections" { "the API" } } }
        }
    };
    View { title: "Connections", place: "/connections", watch: None, refresh: 10, body }
}

fn card(of: &ConnectionView) -> Markup {
    let mut rows = vec![
        ("State", html! { (badge(of.state)) " " (lasting(of.since_at)) }),
        (
            "Triggers",
            html! {
                a href=(format!("/?connection={}", of.id)) { (count(of.triggers, "trigger", "triggers")) }
                @for (state, number_of) in &of.standings { span.facts { (number_of) " " (state) } }
            },
        ),
        (
            "Looks wanted",
            html! { (number(of.looks_per_minute)) " a minute: as many requests at least, of a client for each" },
        ),
        (
            "Login",
            html! { @if of.logins.is_empty() { "of the triggers' own metadata" } @else { (prose(&of.logins.iter().cloned().collect::<Vec<_>>().join(", "))) } },
        ),
        ("Namespaces", codes(of.namespaces.iter().map(String::as_str))),
        ("May reach", html! { (prose(&of.policy.join("; "))) }),
    ];
    if let Some(error) = &of.error {
        let again = of.next_try_at.map_or_else(String::new, until);
        rows.insert(1, ("Error", html! { span.error { (prose(&error.message)) } " " a href=(format!("/errors#{}", error.kind)) { code { (error.kind) } } }));
        rows.insert(2, ("Tried", html! { (count(usize::try_from(error.count).unwrap_or(usize::MAX), "time", "times")) " in vain, again " (again) }));
    }
    html! {
        li.card #(format!("c{}", of.id)) data-state=(of.state) {
            h2 { (of.place) }
            (facts(rows))
        }
    }
}
