//! What the cluster's objects say of a trigger besides its credentials.
//!
//! Not for: what is made of it.

use std::time::Duration;

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
