//! What goes over a trigger's connection, and where its login comes from, as text.
//!
//! Not for: how the connection stands (`chain.rs`).

use crate::{
    cli::{
        output::{Paint, Role},
        remote::{Certificate, Connection, Detail},
        words::{ago, number, span},
    },
    error::counted,
    net::tls::EXPIRES_SOON,
};

/// What it sends, and over what.
pub(super) fn traffic(of: &Connection, now: f64, paint: Paint) -> String {
    let looks = number(of.looks_per_minute);
    let requests = match of.requests_per_minute {
        Some(requests) => {
            format!("{} requests a minute (a client for each trigger: {looks} at least)", number(requests))
        }
        None => format!("{} a minute", counted(looks, "look")),
    };
    let tls = match of.tls.as_str() {
        "none" => "; plain text",
        "verified" => "; TLS",
        "unverified" => "; TLS with anybody (`skipTlsVerify`)",
        _ => "",
    };
    let certificate = of.certificate.as_ref().map(|of| certificate(of, now, paint)).unwrap_or_default();
    format!("{requests}{tls}{certificate}")
}

fn certificate(Certificate { shown_by, expires_at }: &Certificate, now: f64, paint: Paint) -> String {
    let left = expires_at - now;
    let when = if left > 0.0 { format!("expires in {}", span(left)) } else { format!("expired {} ago", span(-left)) };
    let when = if left < EXPIRES_SOON.as_secs_f64() { paint.paint(Role::Bad, &when) } else { when };
    format!(", certificate of `{shown_by}` {when}")
}

/// Where the login comes from, and what is shown in its place. A server that does not say how old it is says at least that.
pub(super) fn logins(detail: &Detail, now: f64) -> Vec<String> {
    let credentials = detail.connection.as_ref().map_or(&[][..], |connection| &connection.credentials);
    let mut sources: Vec<&String> = detail.logins.iter().collect();
    for credential in credentials {
        if !sources.contains(&&credential.source) {
            sources.push(&credential.source);
        }
    }
    let age = |source: &String| credentials.iter().find(|credential| credential.source == *source)?.read_at;
    let line = |source: &String| match age(source) {
        Some(read) => format!("from {source}, read {}", ago(now, read)),
        None => format!("from {source}"),
    };
    sources.into_iter().map(line).collect()
}
