//! How KEDA's objects are read: what of the cluster, and what of it may be used.
//!
//! Not for: the command line (`cli`).

use std::{path::PathBuf, time::Duration};

/// What of the cluster is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// These namespaces alone; all where there are none. KEDA's `WATCH_NAMESPACE`.
    pub namespaces: Vec<String>,
    /// ScaledObjects and ScaledJobs with these labels alone. KEDA's `WATCH_LABEL_SELECTOR`.
    pub labels: Option<String>,
    /// The same for authentications.
    pub auth_labels: Option<String>,
    /// How long tokens of ServiceAccounts are to live.
    pub token_life: Duration,
    /// What may be used.
    pub rules: Rules,
}

/// What may be used of what the objects name.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where a ClusterTriggerAuthentication's Secrets are: KEDA's own namespace.
    pub keda_namespace: String,
    /// Whether Secrets are read in KEDA's namespace alone.
    pub restricted: Restricted,
    /// Whether tokens of ServiceAccounts may be asked for.
    pub tokens: bool,
    /// Below which folder `filePath` is.
    pub file_root: Option<PathBuf>,
    /// What becomes of a trigger whose reference leads to nothing.
    pub on_missing: OnMissing,
}

/// KEDA's `KEDA_RESTRICT_SECRET_ACCESS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restricted {
    /// A TriggerAuthentication's Secrets are in its own namespace.
    No,
    /// Secrets of KEDA's namespace alone, and for a ClusterTriggerAuthentication only.
    ToCluster,
    /// As KEDA does: a TriggerAuthentication of any namespace names Secrets of KEDA's.
    AsKeda,
}

/// What becomes of a trigger whose reference leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// It fails, and says what is missing; no broker is asked.
    Refuse,
    /// As with KEDA, what is missing is empty.
    Empty,
}

impl Default for Options {
    fn default() -> Self {
        let rules = Rules {
            keda_namespace: "keda".to_owned(),
            restricted: Restricted::No,
            tokens: false,
            file_root: None,
            on_missing: OnMissing::Refuse,
        };
        Self { namespaces: Vec::new(), labels: None, auth_labels: None, token_life: Duration::from_secs(3600), rules }
    }
}
