//! The connections to brokers, for people: how each stands, what it is used for, what goes over it.
//!
//! Put together when somebody looks. Not for: when they are tried again (`gate.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Sampler, Standing,
    entry::Entry,
    gate::Report,
    view::{ErrorView, unix},
};
use crate::{
    clock::Clock,
    error::clean,
    net::{
        Reach,
        tls::{Encryption, Shown},
    },
};

/// Names of namespaces and logins that are told of one connection.
const NAMED: usize = 20;

/// A connection to a broker, and how it stands. Times that end in `At` are Unix times in seconds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Connection")]
pub struct ConnectionView {
    /// By which it is found, for as long as it is in use.
    pub id: u64,
    /// Scheme and addresses, no user.
    pub place: String,
    /// `working`, `failing`, or `unproven` while no look has succeeded and none has found the whole of it at fault.
    pub state: &'static str,
    /// Since when.
    pub since_at: Option<f64>,
    /// How many triggers use it.
    pub triggers: usize,
    /// How many looks a minute they want. A client for each trigger would send a request at least for each.
    pub looks_per_minute: f64,
    /// Requests sent over it so far.
    pub requests: u64,
    /// Requests a minute, of late; `null` in its first seconds.
    pub requests_per_minute: Option<f64>,
    /// `none` is plain text; TLS is `verified`, or `unverified` (`skipTlsVerify`); `unknown` while there is no login yet.
    pub tls: &'static str,
    /// What a broker has shown in a TLS handshake; of several the one that expires first. `null` before the first handshake.
    pub certificate: Option<CertificateView>,
    /// Why it fails.
    pub error: Option<ErrorView>,
    /// When it is tried again, while it fails.
    pub next_try_at: Option<f64>,
    /// How its triggers stand: how many of each.
    pub standings: BTreeMap<&'static str, usize>,
    /// The namespaces that use it, the first ones.
    pub namespaces: BTreeSet<String>,
    /// Where the logins are from, besides the triggers' own metadata, the first ones.
    pub logins: BTreeSet<String>,
    /// What is shown to the brokers in the place of the triggers' own secrets, and how old it is: those logins, and a token or
    /// key that was issued for it.
    pub credentials: Vec<CredentialView>,
    /// What may be reached from there: the policy's rules, in words.
    pub policy: Vec<String>,
}

/// A broker's certificate.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BrokerCertificate")]
pub struct CertificateView {
    /// The broker's name, as it is called.
    pub shown_by: String,
    /// When it was: a connection that stays open for weeks has one handshake.
    pub shown_at: f64,
    /// When the first of its chain expires.
    pub expires_at: f64,
}

/// Where a login comes from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Credential")]
pub struct CredentialView {
    /// In words.
    pub source: String,
    /// When it was last read there; of several parts the oldest, of the server's config its present contents. `null` before
    /// that.
    pub read_at: Option<f64>,
}

impl Sampler {
    /// Every connection that has a trigger, those that fail first.
    #[must_use]
    pub fn connection_views(&self) -> Vec<ConnectionView> {
        let (clock, now) = (self.0.clock, Instant::now());
        let reports = self.0.gates.reports();
        let mut views: BTreeMap<u64, ConnectionView> =
            reports.into_iter().map(|report| (report.number, ConnectionView::of(report, clock))).collect();
        let slots: Vec<(Arc<Entry>, Reach)> = {
            let table = self.0.table.read();
            table.slots().map(|slot| (Arc::clone(&slot.entry), slot.reach.clone())).collect()
        };
        for (entry, reach) in slots {
            if let Some(view) = views.get_mut(&entry.connection.number()) {
                view.has(&entry, &reach, (clock, now));
            }
        }
        let mut views: Vec<ConnectionView> = views.into_values().collect();
        views.sort_by_cached_key(|view| (view.state != FAILING, view.place.clone(), view.id));
        views
    }
}

const FAILING: &str = "failing";

impl ConnectionView {
    pub(super) fn of(report: Report, clock: Clock) -> Self {
        let Report { number, label, triggers, looks_per_minute, since, trouble, traffic } = report;
        let error = trouble.as_ref().zip(since).map(|((error, tries, _), since)| {
            ErrorView::new(error.kind.as_str(), error.to_string(), (since, u64::from(*tries)), clock)
        });
        let issued = traffic.issued().map(|issued| CredentialView {
            source: issued.what().to_owned(),
            read_at: issued.read().map(|read| unix(clock, read)),
        });
        let issued = issued.into_iter().collect();
        Self {
            id: number,
            place: label,
            state: match (&trouble, since) {
                (Some(_), _) => FAILING,
                (None, Some(_)) => "working",
                (None, None) => "unproven",
            },
            since_at: since.map(|since| unix(clock, since)),
            triggers,
            looks_per_minute: (looks_per_minute * 10.0).round() / 10.0,
            requests: traffic.requests(),
            requests_per_minute: None,
            tls: traffic.encryption().map_or("unknown", Encryption::as_str),
            certificate: traffic.peers().first_to_expire().map(CertificateView::of),
            error,
            next_try_at: trouble.map(|(_, _, next)| unix(clock, next)),
            standings: BTreeMap::new(),
            namespaces: BTreeSet::new(),
            logins: BTreeSet::new(),
            credentials: issued,
            policy: Vec::new(),
        }
    }

    /// Counts in one of its triggers.
    pub(super) fn has(&mut self, entry: &Entry, reach: &Reach, (clock, now): (Clock, Instant)) {
        let standing: Standing = entry.standing(now);
        *self.standings.entry(standing.as_str()).or_default() += 1;
        if self.namespaces.len() < NAMED {
            self.namespaces.extend(entry.askers.namespaces());
        }
        // Of a connection with thousands of triggers most have nothing to add.
        let sources = (self.logins.len() < NAMED).then(|| entry.trigger.binding.sources());
        for (source, read) in sources.into_iter().flatten() {
            if self.logins.len() < NAMED && self.logins.insert(source.clone()) {
                self.credentials.push(CredentialView { source, read_at: read.map(|read| unix(clock, read)) });
            }
        }
        if self.policy.is_empty() {
            self.policy = reach.words();
        }
    }
}

impl CertificateView {
    fn of(Shown { by, expires, at }: Shown) -> Self {
        Self { shown_by: clean(&by).into_owned(), shown_at: at as f64, expires_at: expires as f64 }
    }
}
