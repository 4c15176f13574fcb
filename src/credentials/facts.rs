//! What the cluster's objects say of a trigger besides its credentials.
//!
//! Not for: what is made of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{limits, metadata::Metadata, object::ObjectRef};

/// KEDA's default for `pollingInterval`.
const POLLING_INTERVAL: Duration = Duration::from_secs(30);

/// How often KEDA asks, where an object's `pollingInterval` says so many seconds or nothing.
#[must_use]
pub fn polling_interval(seconds: Option<i64>) -> Duration {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(POLLING_INTERVAL, Duration::from_secs).min(limits::DURATION)
}

/// A trigger, and the object that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `ScaledObject` or `ScaledJob`.
    pub kind: &'static str,
    /// Which of the object's triggers.
    pub index: usize,
    /// What the trigger is called, where it has a name.
    pub trigger: Option<String>,
    /// How often KEDA asks.
    pub polling_interval: Duration,
    /// `minReplicaCount`, where it says one.
    pub min: Option<i64>,
    /// `maxReplicaCount`, where it says one.
    pub max: Option<i64>,
    /// Whether it has a `fallback`.
    pub fallback: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether KEDA acts on a push: never for a ScaledJob, and where `scalingModifiers` have an activation target, which a
    /// push would pass by.
    pub pushes: bool,
}

/// What somebody has asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// By the namespace and the name of who asks; nothing where all that it asks for is meant.
    pub by_object: HashMap<(String, String), Vec<Arc<Metadata>>>,
    /// What more ask for than are known by name.
    pub by_many: Vec<Arc<Metadata>>,
}

/// A trigger that nobody has asked for.
#[derive(Debug, Clone)]
pub struct Unasked {
    /// Its object.
    pub object: ObjectRef,
    /// What that says.
    pub facts: Facts,
    /// Its `scalerType`.
    pub scaler_type: String,
}
