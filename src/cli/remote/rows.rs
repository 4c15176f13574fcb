//! The API's answers as far as the command line uses them. What a server of another version leaves out is not known; what it
//! adds is passed over.
//!
//! Not for: what the fields mean, which `docs/openapi.json` says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `/api/v1/server`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Seen {
    pub version: String,
    #[serde(default)]
    pub host: String,
    pub now_at: f64,
    #[serde(default)]
    pub streams: u64,
    #[serde(default)]
    pub pushes: u64,
    #[serde(default)]
    pub connections: usize,
    #[serde(default)]
    pub failing_connections: usize,
}

/// How many stand in which way.
pub(in crate::cli) type Counts = BTreeMap<String, u64>;

/// `/api/v1/triggers`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::cli) struct Page {
    pub total: usize,
    #[serde(default)]
    pub counts: Counts,
    pub triggers: Vec<Row>,
}

/// One trigger.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Row {
    pub id: u64,
    pub state: String,
    pub stale: bool,
    pub scaled_objects: Vec<String>,
    pub objects: Vec<Bounds>,
    pub scaler_type: String,
    pub source: String,
    pub connection: String,
    pub metric: String,
    pub target: f64,
    pub value: Option<f64>,
    pub active: Option<bool>,
    pub replicas: Option<f64>,
    pub sampled_at: Option<f64>,
    pub asked_at: Option<f64>,
    pub polling_interval: f64,
    pub max_staleness: f64,
    pub last_read_took: f64,
    pub streams: u64,
    pub wake: String,
    pub error: Option<Failure>,
    pub warnings: Vec<String>,
    pub recent: Option<Vec<Option<f64>>>,
}

/// What the cluster says of an object that asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Bounds {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub trigger_index: u64,
    pub trigger_name: Option<String>,
    pub polling_interval: f64,
    pub min_replicas: Option<i64>,
    pub max_replicas: Option<i64>,
    pub fallback: bool,
    pub paused: bool,
    pub pushes: bool,
}

/// Why something fails.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Failure {
    pub kind: String,
    pub message: String,
    pub since_at: f64,
    pub count: u64,
}

/// `/api/v1/triggers/{id}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Detail {
    pub trigger: Row,
    pub observed_at: Option<f64>,
    pub askers: Vec<Asker>,
    pub metadata: Vec<Key>,
    pub logins: Vec<String>,
    pub push: String,
    pub connection: Option<Connection>,
    pub look: Option<Look>,
    pub parts: Option<Parts>,
    pub history: Option<History>,
    pub help: Option<Help>,
}

/// Who asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Asker {
    pub namespace: String,
    pub name: String,
    pub asked_at: f64,
    pub polled_at: Option<f64>,
    pub poll_pace: f64,
    pub measured_at: Option<f64>,
    pub streams: u64,
    pub stream_at: Option<f64>,
    pub peer: Option<String>,
}

/// A key of the metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Key {
    pub key: String,
    pub value: String,
    pub origin: String,
    pub known: bool,
}

/// Where it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Connection {
    pub place: String,
    pub state: String,
    pub since_at: Option<f64>,
    pub triggers: u64,
    pub looks_per_minute: f64,
    pub requests_per_minute: Option<f64>,
    pub tls: String,
    pub certificate: Option<Certificate>,
    pub credentials: Vec<Credential>,
    pub error: Option<Failure>,
    pub next_try_at: Option<f64>,
}

/// A broker's certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Certificate {
    pub shown_by: String,
    pub expires_at: f64,
}

/// Where a login comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Credential {
    pub source: String,
    pub read_at: Option<f64>,
}

/// The last look.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Look {
    pub began_at: f64,
    pub took: f64,
    pub together: u64,
}

/// What the value is made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Parts {
    pub rule: String,
    pub activation: Option<f64>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub omitted: u64,
}

/// The last quarter of an hour.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct History {
    pub step: f64,
    pub values: Vec<Option<f64>>,
    pub failures: Vec<u64>,
    pub pushes: Vec<u64>,
}

/// What to do about an error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Help {
    pub anchor: String,
    pub cause: String,
    pub check: String,
    pub cure: String,
}

/// What has changed of a trigger.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::cli) struct Change {
    pub id: u64,
    pub state: String,
    pub value: Option<f64>,
    pub replicas: Option<f64>,
    pub sampled_at: Option<f64>,
    pub streams: u64,
    pub wake: String,
    pub error: Option<String>,
}

impl Row {
    /// Whether somebody must look at it: it is no answer, or soon none.
    pub(in crate::cli) fn is_failing(&self) -> bool {
        matches!(self.state.as_str(), "refused" | "failing" | "stale")
    }

    /// The objects that ask for it, as `namespace/name`.
    pub(in crate::cli) fn names(&self) -> &[String] {
        &self.scaled_objects
    }
}
