//! What the pages show of a trigger: every number with where it comes from. No secret is in reach here.

use std::{borrow::Cow, sync::atomic::Ordering, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::{entry::Entry, refused::Row, state::State};
use crate::{credentials::cluster::Cluster, error::clean, metadata::Metadata, object::ObjectRef};

/// One trigger, for people. Times are in seconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Its place in the pages: `?after=` takes it.
    pub id: u64,
    /// `active`, `idle`, `unknown` (not read yet), `failing` or `refused`.
    pub state: &'static str,
    /// The ScaledObjects that ask for it, as `namespace/name`.
    pub scaled_objects: Vec<String>,
    /// What the cluster says of them, where it is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectView>,
    /// KEDA's name for the kind of source.
    pub scaler_type: Cow<'static, str>,
    /// What is read.
    pub source: String,
    /// Where it is read.
    pub connection: String,
    /// The metric's name, without KEDA's prefix.
    pub metric: String,
    /// Per replica.
    pub target: f64,
    /// The last value read; `null` while unknown.
    pub value: Option<f64>,
    /// Whether the workload should run; `null` while unknown.
    pub active: Option<bool>,
    /// How old the value is.
    pub sample_age: Option<f64>,
    /// How long a value lives.
    pub polling_interval: f64,
    /// How old a value may get while reads fail.
    pub max_staleness: f64,
    /// How long the last read took.
    pub last_read_took: f64,
    /// How many reads have ended.
    pub reads: u64,
    /// Open activation streams.
    pub streams: usize,
    /// Why reads fail, while they do.
    pub error: Option<ErrorView>,
    /// Keys that nobody understands.
    pub warnings: Vec<String>,
}

/// What the cluster says of one of the objects that ask. Times are in seconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// `ScaledObject` or `ScaledJob`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which of its triggers.
    pub trigger_index: usize,
    /// What that is called, where it has a name.
    pub trigger_name: Option<String>,
    /// How often KEDA asks.
    pub polling_interval: f64,
    /// `minReplicaCount`, where it says one.
    pub min_replicas: Option<i64>,
    /// `maxReplicaCount`, where it says one.
    pub max_replicas: Option<i64>,
    /// Whether it has a `fallback`.
    pub fallback: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether KEDA acts on a push.
    pub pushes: bool,
}

impl ObjectView {
    fn of(cluster: &Cluster, object: ObjectRef, metadata: &Metadata) -> Option<Self> {
        let facts = cluster.facts(object.borrowed(), metadata)?;
        Some(Self {
            kind: facts.kind,
            namespace: object.namespace,
            name: object.name,
            trigger_index: facts.index,
            trigger_name: facts.trigger.map(|name| clean(&name).into_owned()),
            polling_interval: seconds(facts.polling_interval),
            min_replicas: facts.min,
            max_replicas: facts.max,
            fallback: facts.fallback,
            paused: facts.paused,
            pushes: facts.pushes,
        })
    }
}

/// A failing read, for people.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    /// The heading in `docs/errors.md`.
    pub kind: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// For how long reads have been failing.
    pub lasts: f64,
    /// How many have failed in a row.
    pub count: u64,
}

impl View {
    pub(super) fn of(entry: &Entry, cluster: Option<&Cluster>) -> Self {
        let (trigger, now) = (&entry.trigger, Instant::now());
        let (source, metric) = (&trigger.source, trigger.source.metric());
        let state = entry.state.borrow();
        Self {
            id: entry.number,
            state: word(&state),
            scaled_objects: entry.askers.names(),
            objects: cluster.map_or_else(Vec::new, |cluster| {
                let objects = entry.askers.objects().into_iter();
                objects.filter_map(|object| ObjectView::of(cluster, object, &trigger.metadata)).collect()
            }),
            scaler_type: Cow::Borrowed(trigger.scaler_type),
            source: trigger.describe(),
            connection: clean(source.connection().label()).into_owned(),
            metric: clean(&metric.name).into_owned(),
            target: metric.target,
            value: state.sample.map(|sample| sample.reading.value),
            active: state.sample.map(|sample| sample.reading.active),
            sample_age: state.sample.map(|sample| seconds(now.saturating_duration_since(sample.at))),
            polling_interval: seconds(trigger.interval),
            max_staleness: seconds(trigger.max_staleness),
            last_read_took: seconds(state.last_look_took),
            reads: state.looks,
            streams: entry.streams.load(Ordering::Relaxed),
            error: state.failure.as_ref().map(|failure| ErrorView {
                kind: failure.error.kind.as_str(),
                message: failure.error.to_string(),
                lasts: seconds(now.saturating_duration_since(failure.since)),
                count: failure.count,
            }),
            warnings: trigger.warnings(),
        }
    }

    /// Of a trigger that is not observed: nothing but why.
    pub(super) fn of_refused(row: &Row) -> Self {
        Self {
            id: row.number,
            state: REFUSED,
            scaled_objects: row.askers.names(),
            objects: Vec::new(),
            scaler_type: Cow::Owned(row.scaler_type.clone()),
            source: String::new(),
            connection: String::new(),
            metric: clean(&row.metric.name).into_owned(),
            target: row.metric.target,
            value: None,
            active: None,
            sample_age: None,
            polling_interval: 0.0,
            max_staleness: 0.0,
            last_read_took: 0.0,
            reads: 0,
            streams: 0,
            error: Some(ErrorView {
                kind: REFUSED,
                message: row.text.clone(),
                lasts: seconds(Instant::now().saturating_duration_since(row.since)),
                count: row.count,
            }),
            warnings: Vec::new(),
        }
    }
}

const REFUSED: &str = "refused";

fn word(state: &State) -> &'static str {
    match (&state.failure, &state.sample) {
        (Some(_), _) => "failing",
        (None, None) => "unknown",
        (None, Some(sample)) if sample.reading.active => "active",
        (None, Some(_)) => "idle",
    }
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
