//! What the pages show of a trigger in a row: every number with where it comes from. No secret is in reach here.
//!
//! Not for: all that is known of one (`detail.rs`), or which are shown (`listing.rs`).

use std::{
    borrow::Cow,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::atomic::Ordering,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Core, entry::Entry, refused::Row, state::State};
use crate::{
    clock::{Clock, since_epoch},
    credentials::{Facts, Unasked, cluster::Cluster},
    error::{clean, quoted},
    metadata::Metadata,
    object::ObjectRef,
};

/// How a trigger stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its metadata cannot be followed, or there is no room for it: it is not observed.
    Refused,
    /// The last look failed.
    Failing,
    /// The last good sample is too old to be an answer, and nobody asks for a new one.
    Stale,
    /// The cluster has it, and nobody has asked this replica for it.
    Unasked,
    /// Not read yet.
    Unknown,
    /// The workload should run.
    Active,
    /// Nothing to do.
    Idle,
}

impl Standing {
    /// Every one, the worst first.
    pub const ALL: [Self; 7] =
        [Self::Refused, Self::Failing, Self::Stale, Self::Unasked, Self::Unknown, Self::Active, Self::Idle];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failing => "failing",
            Self::Stale => "stale",
            Self::Unasked => "unasked",
            Self::Unknown => "unknown",
            Self::Active => "active",
            Self::Idle => "idle",
        }
    }

    fn of(state: &State, now: Instant, max_staleness: Duration) -> Self {
        match (&state.failure, &state.sample) {
            (Some(_), _) => Self::Failing,
            (None, None) => Self::Unknown,
            (None, Some(_)) if state.younger_than(now, max_staleness).is_none() => Self::Stale,
            (None, Some(sample)) if sample.reading.active => Self::Active,
            (None, Some(_)) => Self::Idle,
        }
    }
}

/// What makes the next look happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wake {
    /// The backend's own signal, and the clock.
    Armed,
    /// The clock alone.
    Looking,
    /// Nothing, until somebody asks.
    Resting,
}

/// One trigger, for people. Times are in seconds, those that end in `At` Unix times.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Trigger")]
pub struct View {
    /// By which it is found, for as long as it is observed.
    pub id: u64,
    /// How it stands.
    pub state: Standing,
    /// Whether the last good sample is too old to be an answer.
    pub stale: bool,
    /// The ScaledObjects that ask for it, as `namespace/name`.
    pub scaled_objects: Vec<String>,
    /// What the cluster says of them, where it is read.
    pub objects: Vec<ObjectView>,
    /// KEDA's name for the kind of source.
    pub scaler_type: Cow<'static, str>,
    /// What is read.
    pub source: String,
    /// Where it is read.
    pub connection: String,
    /// By which the connection is found; `null` where there is none.
    pub connection_id: Option<u64>,
    /// The metric's name, without KEDA's prefix.
    pub metric: String,
    /// Per replica.
    pub target: f64,
    /// The last value read; `null` while unknown.
    pub value: Option<f64>,
    /// Whether the workload should run; `null` while unknown.
    pub active: Option<bool>,
    /// What the HPA makes of it, ⌈value ÷ target⌉, before the object's bounds; `null` while unknown.
    pub replicas: Option<f64>,
    /// How old the value is.
    pub sample_age: Option<f64>,
    /// When the value was read.
    pub sampled_at: Option<f64>,
    /// When anybody last asked.
    pub asked_at: Option<f64>,
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
    /// What makes the next look happen.
    pub wake: Wake,
    /// Why reads fail, while they do.
    pub error: Option<ErrorView>,
    /// Keys that nobody understands, and what is amiss with its login while it works.
    pub warnings: Vec<String>,
    /// The largest value of each ten seconds of the last quarter of an hour, oldest first; where it was asked for.
    pub recent: Option<Vec<Option<f32>>>,
}

/// What changes of a trigger from look to look: an event for who watches its row.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Of which trigger.
    pub id: u64,
    /// How it stands.
    pub state: Standing,
    /// As in the trigger's own row.
    pub value: Option<f64>,
    /// As in the trigger's own row.
    pub replicas: Option<f64>,
    /// As in the trigger's own row.
    pub sampled_at: Option<f64>,
    /// As in the trigger's own row.
    pub streams: usize,
    /// As in the trigger's own row.
    pub wake: Wake,
    /// The kind of the error, while there is one.
    pub error: Option<String>,
}

/// What the cluster says of one of the objects that ask. Times are in seconds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ScaledObject")]
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
        Some(Self::of_facts(object, facts))
    }

    fn of_facts(object: ObjectRef, facts: Facts) -> Self {
        Self {
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
        }
    }
}

/// A failing read, for people.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Error")]
pub struct ErrorView {
    /// The heading in `docs/errors.md`.
    pub kind: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// For how long reads have been failing.
    pub lasts: f64,
    /// Since when.
    pub since_at: f64,
    /// How many have failed in a row.
    pub count: u64,
}

impl ErrorView {
    /// What has failed since then, so many times.
    pub(super) fn new(kind: &'static str, message: String, (since, count): (Instant, u64), clock: Clock) -> Self {
        let lasts = seconds(Instant::now().saturating_duration_since(since));
        Self { kind, message, lasts, since_at: unix(clock, since), count }
    }
}

impl View {
    /// A row of `core`'s; `recent` values too, if they are wanted.
    pub(super) fn of(core: &Core, entry: &Entry, recent: bool) -> Self {
        let (trigger, now) = (&entry.trigger, Instant::now());
        let (source, metric) = (&trigger.source, trigger.source.metric());
        let cluster = core.settings.credentials.cluster.as_ref();
        let warnings = trigger.warnings();
        let recent = recent.then(|| entry.record.lock().ring.values(entry.age(now)));
        let state = entry.state.borrow().clone();
        let Change { value, replicas, sampled_at, streams, wake, state: standing, .. } =
            entry.change(core, &state, now);
        Self {
            id: entry.number,
            state: standing,
            stale: state.sample.is_some() && state.younger_than(now, trigger.max_staleness).is_none(),
            scaled_objects: entry.askers.names(),
            objects: cluster.map_or_else(Vec::new, |cluster| {
                let objects = entry.askers.objects().into_iter();
                objects.filter_map(|object| ObjectView::of(cluster, object, &trigger.metadata)).collect()
            }),
            scaler_type: Cow::Borrowed(trigger.scaler_type),
            source: trigger.describe(),
            connection: clean(source.connection().label()).into_owned(),
            connection_id: Some(entry.connection.number()),
            metric: clean(&metric.name).into_owned(),
            target: metric.target,
            value,
            active: state.sample.map(|sample| sample.reading.active),
            replicas,
            sample_age: state.sample.map(|sample| seconds(now.saturating_duration_since(sample.at))),
            sampled_at,
            asked_at: Some(unix(core.clock, entry.last_asked())),
            polling_interval: seconds(trigger.interval),
            max_staleness: seconds(trigger.max_staleness),
            last_read_took: seconds(state.last_look_took),
            reads: state.looks,
            streams,
            wake,
            error: state.failure.as_ref().map(|failure| {
                let (kind, message) = (failure.error.kind.as_str(), failure.error.to_string());
                ErrorView::new(kind, message, (failure.since, failure.count), core.clock)
            }),
            warnings,
            recent,
        }
    }

    /// Of a trigger that is not observed: nothing but why.
    pub(super) fn of_refused(row: &Row, clock: Clock) -> Self {
        let error = ErrorView::new(Standing::Refused.as_str(), row.text.clone(), (row.since, row.count), clock);
        Self {
            state: Standing::Refused,
            scaled_objects: row.askers.names(),
            metric: clean(&row.metric.name).into_owned(),
            target: row.metric.target,
            asked_at: Some(unix(clock, row.last_asked())),
            error: Some(error),
            ..Self::unobserved(row.number, Cow::Owned(row.scaler_type.clone()))
        }
    }

    /// Of a trigger of the cluster that nobody has asked for. Its number is beyond those of the others, and stays the same.
    pub(super) fn of_unasked(unasked: Unasked) -> Self {
        let Unasked { object, facts, scaler_type } = unasked;
        let digest = BuildHasherDefault::<DefaultHasher>::default().hash_one((&object, facts.kind, facts.index));
        let scaled_object = format!("{}/{}", object.namespace, object.name);
        Self {
            scaled_objects: vec![scaled_object],
            objects: vec![ObjectView::of_facts(object, facts)],
            // Exact in JSON too, whose numbers many read as 64-bit floats.
            ..Self::unobserved((1 << 52) | (digest >> 12), Cow::Owned(quoted(&scaler_type)))
        }
    }

    /// Of a trigger of which nothing was read.
    pub(super) fn unobserved(id: u64, scaler_type: Cow<'static, str>) -> Self {
        Self {
            id,
            state: Standing::Unasked,
            stale: false,
            scaled_objects: Vec::new(),
            objects: Vec::new(),
            scaler_type,
            source: String::new(),
            connection: String::new(),
            connection_id: None,
            metric: String::new(),
            target: 0.0,
            value: None,
            active: None,
            replicas: None,
            sample_age: None,
            sampled_at: None,
            asked_at: None,
            polling_interval: 0.0,
            max_staleness: 0.0,
            last_read_took: 0.0,
            reads: 0,
            streams: 0,
            wake: Wake::Resting,
            error: None,
            warnings: Vec::new(),
            recent: None,
        }
    }
}

impl Entry {
    pub(super) fn standing(&self, now: Instant) -> Standing {
        Standing::of(&self.state.borrow(), now, self.trigger.max_staleness)
    }

    /// What its row shows at `now` of what changes.
    pub(super) fn change(&self, core: &Core, state: &State, now: Instant) -> Change {
        let (trigger, sample) = (&self.trigger, state.sample);
        let wanted = self.is_listened_to() || now < self.last_asked() + core.wanted_for(trigger);
        let active = state.is_active(now, trigger.max_staleness);
        Change {
            id: self.number,
            state: Standing::of(state, now, trigger.max_staleness),
            value: sample.map(|sample| sample.reading.value),
            replicas: sample.map(|sample| (sample.reading.value.max(0.0) / trigger.source.metric().target).ceil()),
            sampled_at: sample.map(|sample| since_epoch(sample.wall).as_secs_f64()).map(in_milliseconds),
            streams: self.streams.load(Ordering::Relaxed),
            wake: match (wanted, self.is_listened_to() && !active) {
                (_, true) => Wake::Armed,
                (true, false) => Wake::Looking,
                (false, false) => Wake::Resting,
            },
            error: state.failure.as_ref().map(|failure| failure.error.kind.as_str().to_owned()),
        }
    }
}

pub(super) fn seconds(duration: Duration) -> f64 {
    in_milliseconds(duration.as_secs_f64())
}

/// When `instant` was: Unix time in seconds.
pub(super) fn unix(clock: Clock, instant: Instant) -> f64 {
    in_milliseconds(since_epoch(clock.wall(instant)).as_secs_f64())
}

fn in_milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
