//! This replica: what it is, what it uses of its limits, what load it is on brokers.

use maud::{Markup, html};

use super::{
    facts::{codes, facts, table},
    frame::View,
    words::{ago, count, expiry, maybe, number, prose, span},
};
use crate::admin::api::{Replicas, Server, WakeLatency};

/// Its view.
pub(super) fn view(server: &Server) -> View<'static> {
    let body = html! {
        h1 { "Server" }
        div #server data-live="" { (all(server)) }
    };
    View { title: "Server", place: "/server", watch: None, refresh: 10, body }
}

fn all(server: &Server) -> Markup {
    let triggers: usize = server.triggers.standings.values().sum();
    let standings = || {
        html! {
            a href="/" { (count(triggers, "trigger", "triggers")) }
            @for (state, number_of) in &server.triggers.standings {
                @if *number_of > 0 { " " a.facts href=(format!("/?state={state}")) { (number_of) " " (state) } }
            }
        }
    };
    let connections = html! {
        a href="/connections" { (number(server.connections as f64)) }
        @if server.failing_connections > 0 { ", " strong.error { (server.failing_connections) " failing" } }
    };
    html! {
        section {
            (facts(vec![
                ("Version", html! { (server.version) }),
                ("Replica", html! { code { (server.host) } span.facts { "what others know is on theirs" } }),
                ("Replicas seen", replicas(server.replicas.as_ref())),
                ("Up", html! { (span(server.now_at - server.started_at)) @if !server.ready { " " strong.error { "shutting down" } } }),
                ("Observes", standings()),
                ("Connections", connections),
                ("Streams open", html! { (number(server.streams as f64)) }),
                ("Wakes of brokers", html! { (number(server.wakes as f64)) }),
                ("Pushes to KEDA", html! { (number(server.pushes as f64)) }),
                ("Panics", html! { @if server.panics > 0 { strong.error { (server.panics) } " — please report them" } @else { "none" } }),
            ]))
        }
        section aria-labelledby="h-wakes" {
            h2 #h-wakes { "From a broker's signal to the push" }
            @let some = server.wake_latencies.iter().filter(|of| of.count > 0);
            @let row = |of: &WakeLatency| vec![
                html! { code { (of.scaler_type) } },
                html! { (number(of.count as f64)) },
                html! { (took(of.p50)) },
                html! { (took(of.p99)) },
            ];
            @if some.clone().next().is_none() { p { "No signal has led to a push yet." } }
            @else { (table("From a broker's signal to the push", &["Scaler type", "Pushes", "Half within", "99 of 100 within"], &[1, 2, 3], some.map(row).collect())) }
        }
        section aria-labelledby="h-load" {
            h2 #h-load { "Load on brokers" }
            @let load = |backend: &crate::admin::api::Backend| vec![
                html! { (backend.backend) },
                html! { (maybe(backend.per_minute)) },
                html! { (number(backend.looks_per_minute)) },
                html! { (number(backend.requests as f64)) },
            ];
            (table("Load on brokers", &["Backend", "Requests a minute", "Looks wanted a minute", "Requests since the start"], &[1, 2, 3], server.backends.iter().map(load).collect()))
        }
        p.note { "A client for each trigger, as KEDA's own scalers are, would send one request at least for each look that is wanted." }
        section aria-labelledby="h-limits" {
            h2 #h-limits { "Limits" }
            @let limit = |bound: &crate::admin::api::Bound| vec![
                html! { code { (bound.limit) } },
                html! { (maybe(bound.used.map(|used| used as f64))) },
                html! { (maybe(bound.most.map(|most| most as f64))) },
                html! { @if bound.crossed > 0 { strong.error { (number(bound.crossed as f64)) } } @else { "never" } },
            ];
            (table("Limits", &["Limit", "Used", "Most", "Crossed"], &[1, 2, 3], server.limits.iter().map(limit).collect()))
        }
        section aria-labelledby="h-credentials" {
            h2 #h-credentials { "Credentials and certificates" }
            (facts(vec![
                ("KEDA's objects", html! {
                    @match (server.credentials.cluster_objects, server.credentials.cluster_live) {
                        (Some(objects), Some(true)) => { (number(objects as f64)) ", followed as they change" },
                        (Some(objects), _) => { (number(objects as f64)) ", " strong.error { "not all could be read or followed: see the log" } },
                        _ => { "not read (" code { "--kubernetes" } ")" }
                    }
                }),
                ("Named connections", html! {
                    @if server.credentials.connections.is_empty() { "none" }
                    @for connection in &server.credentials.connections {
                        div { code { (connection.name) } " for " (codes(connection.scaler_types.iter().copied()))
                            @if let Some(namespaces) = &connection.namespaces { ", for namespaces " (codes(namespaces.iter().map(String::as_str))) } }
                    }
                }),
                ("Certificates", html! {
                    @if server.certificates.is_empty() { "none: KEDA's port has no TLS" }
                    @for certificate in &server.certificates {
                        div { code { (certificate.certificate) } " " (expiry(certificate.expires_at)) }
                    }
                }),
            ]))
        }
    }
}

/// How many of us there are, and which is this one.
fn replicas(seen: Option<&Replicas>) -> Markup {
    let Some(seen) = seen else {
        return html! { span.none { "not looked for" } span.facts { "give the headless Service's name: " code { "--service" } } };
    };
    html! {
        @if let Some(replicas) = &seen.replicas {
            @if seen.more { "more than " }
            strong { (number(replicas.len() as f64)) } " ready"
            span.facts { "by " code { (seen.service) } ", " (ago(seen.found_at)) }
            div { @for (index, replica) in replicas.iter().enumerate() {
                @if index > 0 { ", " } code { (replica.address) } @if replica.this { " (this one)" }
            } }
            @if !seen.more && !replicas.iter().any(|replica| replica.this) { div.facts { "this one is not among them, or not ready yet" } }
        }
        @if let Some(error) = &seen.error { div { strong.error { (prose(error)) } } }
        @else if seen.replicas.is_none() { span.none { "being looked for" } }
    }
}

/// The buckets end there.
const LONGEST: f64 = 4.096;

fn took(seconds: Option<f64>) -> String {
    seconds.map_or_else(
        || maybe(None),
        |took| if took < LONGEST { span(took) } else { format!("{} or more", span(LONGEST)) },
    )
}
