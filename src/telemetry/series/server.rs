//! How the server itself fares: its limits, tasks, log, files, certificates and credentials.

use std::{sync::atomic::AtomicU64, time::SystemTime};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use super::{
    super::log,
    observed::{Observed, gauge, store},
};
use crate::{clock::since_epoch, limits::Limit, task};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Files {
    files: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Supervised {
    task: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bound {
    limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Keeper {
    keeper: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Server {
    limit_crossed: Family<Bound, Counter>,
    limit_used: Family<Bound, Gauge>,
    limit_most: Family<Bound, Gauge>,
    log_lines_dropped: Counter,
    task_restarts: Family<Supervised, Counter>,
    task_panics: Counter,
    certificates: Family<Certificate, Gauge>,
    stale_files: Family<Files, Gauge>,
    pub(super) handshake_failures: Counter,
    credentials: Family<Keeper, Gauge>,
    failing_credentials: Family<Keeper, Gauge>,
    credential_age: Family<Keeper, Gauge<f64, AtomicU64>>,
}

impl Server {
    /// All at 0.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let server = Self::default();
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        let help = "Tasks that panicked and began anew, by what they do";
        registry.register("task_restarts", help, server.task_restarts.clone());
        registry.register("task_panics", "Panics in tasks of any kind: defects of ours", server.task_panics.clone());
        for limit in Limit::ALL {
            drop(server.limit_crossed.get_or_create(&Bound { limit: limit.as_str() }));
        }
        registry.register("limit_crossed", "How often a limit was crossed, and refused", server.limit_crossed.clone());
        registry.register("limit_used", "How much of a limit is used", server.limit_used.clone());
        registry.register("limit_most", "How much of a limit may be used", server.limit_most.clone());
        let help = "Log lines that nobody read in time";
        registry.register("log_lines_dropped", help, server.log_lines_dropped.clone());
        let help = "When our certificate and the soonest of the callers' roots expire, in Unix time";
        let certificates = server.certificates.clone();
        registry.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, certificates);
        let help = "Whether the former contents of changed files are in use, because the new ones cannot be";
        registry.register("stale_files", help, server.stale_files.clone());
        let help = "TLS handshakes of callers that came to nothing";
        registry.register("tls_handshake_failures", help, server.handshake_failures.clone());
        server.register_credentials(registry);
        server
    }

    fn register_credentials(&self, registry: &mut Registry) {
        let help = "Credentials that are kept for triggers, by where they come from";
        registry.register("credentials", help, self.credentials.clone());
        let help = "Credentials that could not be read again at the last try, while the old ones are in use";
        registry.register("failing_credentials", help, self.failing_credentials.clone());
        let help = "How long ago the credentials were read that were read the longest ago; absent where there are none";
        registry.register_with_unit("credential_age", help, Unit::Seconds, self.credential_age.clone());
    }

    pub(super) fn observe(&self, observed: &Observed) {
        for limit in Limit::ALL {
            store(&self.limit_crossed.get_or_create(&Bound { limit: limit.as_str() }), limit.count());
        }
        for &(limit, used, most) in &observed.limits {
            let bound = Bound { limit: limit.as_str() };
            self.limit_used.get_or_create(&bound).set(gauge(used));
            self.limit_most.get_or_create(&bound).set(gauge(most));
        }
        store(&self.log_lines_dropped, log::dropped_lines());
        for (task, restarts) in task::restarts() {
            store(&self.task_restarts.get_or_create(&Supervised { task }), restarts);
        }
        store(&self.task_panics, task::panics());
        for (keeper, credentials) in &observed.credentials {
            let labels = Keeper { keeper };
            self.credentials.get_or_create(&labels).set(gauge(credentials.held));
            self.failing_credentials.get_or_create(&labels).set(gauge(credentials.failing));
            match credentials.oldest {
                Some(age) => drop(self.credential_age.get_or_create(&labels).set(age.as_secs_f64())),
                None => drop(self.credential_age.remove(&labels)),
            }
        }
    }

    pub(super) fn certificate_expiries(&self) -> Vec<(&'static str, i64)> {
        let expiry = |certificate| Some((certificate, self.certificates.get(&Certificate { certificate })?.get()));
        ["server", "client_ca"].into_iter().filter_map(expiry).collect()
    }

    pub(super) fn certificate_expires(&self, certificate: &'static str, at: SystemTime) {
        let seconds = i64::try_from(since_epoch(at).as_secs()).unwrap_or(i64::MAX);
        self.certificates.get_or_create(&Certificate { certificate }).set(seconds);
    }

    pub(super) fn stale(&self, files: &'static str, stale: bool) {
        self.stale_files.get_or_create(&Files { files }).set(stale.into());
    }
}
