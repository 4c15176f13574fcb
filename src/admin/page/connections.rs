//! The connections to brokers: which fail, since when and why, and what each is used for.

use maud::{Markup, html};

use super::{
    badge,
    facts::{codes, facts},
    frame::View,
    words::{ago, count, expiry, lasting, maybe, number, prose, until},
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

/// What it sends, against what a client for each trigger would.
pub(super) fn requests(of: &ConnectionView) -> Markup {
    html! {
        @if of.requests_per_minute.is_some() { strong { (maybe(of.requests_per_minute)) } " a minute" }
        @else { span.none { "not known in its first seconds" } }
        span.facts { "a client for each trigger would send " (number(of.looks_per_minute)) " at least" }
    }
}

/// How it is encrypted, and until when a broker's certificate holds.
pub(super) fn tls(of: &ConnectionView) -> Markup {
    html! {
        @match of.tls {
            "none" => { "none: plain text" },
            "verified" => { "yes" },
            "unverified" => { "yes, with " strong.warned { "anybody" } ": " code { "skipTlsVerify" } },
            _ => { span.none { "not known yet" } }
        }
        @if let Some(certificate) = &of.certificate {
            ", certificate of " code { (certificate.shown_by) } " " (expiry(certificate.expires_at))
            span.facts { "shown " (ago(Some(certificate.shown_at))) }
        } @else if of.tls == "verified" || of.tls == "unverified" { span.facts { "no handshake yet" } }
    }
}

/// Where the login comes from, and how old it is.
pub(super) fn login(of: &ConnectionView) -> Markup {
    html! {
        @if of.credentials.is_empty() { "in the triggers' own metadata, or none" }
        @for credential in &of.credentials {
            div { (prose(&credential.source)) span.facts { @if credential.read_at.is_some() { "read " (ago(credential.read_at)) } @else { "not read yet" } } }
        }
    }
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
        ("Requests", requests(of)),
        ("TLS", tls(of)),
        ("Login", login(of)),
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
