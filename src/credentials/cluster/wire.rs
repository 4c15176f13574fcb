//! KEDA's objects as the API server sends them: only the fields that we need, so that what is large (`managedFields`,
//! templates, status) is never held.
//!
//! Not for: TriggerAuthentications' `spec`, which is kept as it comes (`auth.rs`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A page of a list.
#[derive(Deserialize)]
pub struct List {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(default)]
    pub items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListMeta {
    pub resource_version: String,
    #[serde(rename = "continue")]
    pub next: Option<String>,
}

/// One line of a watch.
#[derive(Deserialize)]
pub struct Event<'l> {
    #[serde(rename = "type")]
    pub kind: &'l str,
    #[serde(borrow)]
    pub object: &'l RawValue,
}

/// What stands in an `ERROR` event.
#[derive(Deserialize)]
pub struct Status {
    #[serde(default)]
    pub code: u16,
    #[serde(default)]
    pub message: String,
}

/// Any object, without what it says.
#[derive(Deserialize)]
pub struct Headed {
    pub metadata: Meta,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub resource_version: String,
    pub generation: i64,
    pub annotations: Option<Annotations>,
}

/// The annotations that mean something to us, and no other.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    #[serde(rename = "autoscaling.keda.sh/paused")]
    pub paused: Option<String>,
    #[serde(rename = "autoscaling.keda.sh/paused-replicas")]
    pub paused_replicas: Option<String>,
    #[serde(rename = "eks.amazonaws.com/role-arn")]
    pub role_arn: Option<String>,
}

/// A ScaledObject or a ScaledJob.
#[derive(Deserialize)]
pub struct Scaled {
    pub spec: ScaledSpec,
    #[serde(default)]
    pub status: ScaledStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaledSpec {
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    pub scale_target_ref: Option<TargetRef>,
    /// Of a ScaledJob; a ScaledObject has it in `scaleTargetRef`.
    pub env_source_container_name: Option<String>,
    pub polling_interval: Option<i64>,
    pub min_replica_count: Option<i64>,
    pub max_replica_count: Option<i64>,
    pub fallback: Option<serde::de::IgnoredAny>,
    pub advanced: Option<Advanced>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: Option<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    pub authentication_ref: Option<AuthRef>,
}

#[derive(Deserialize)]
pub struct AuthRef {
    #[serde(default)]
    pub name: String,
    pub kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    #[serde(default)]
    pub name: String,
    pub kind: Option<String>,
    pub api_version: Option<String>,
    pub env_source_container_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    pub scaling_modifiers: Option<Modifiers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Modifiers {
    pub activation_target: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScaledStatus {
    #[serde(rename = "scaleTargetGVKR")]
    pub target: Option<Gvkr>,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Gvkr {
    #[serde(default)]
    pub group: String,
    pub version: String,
    #[serde(default)]
    pub kind: String,
    pub resource: String,
}
