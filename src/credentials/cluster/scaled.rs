//! What is kept of a ScaledObject or a ScaledJob: some hundred bytes for each of its external triggers.
//!
//! Not for: which of them is meant (`matching.rs`).

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use super::{path::Kind, wire};
use crate::{credentials::polling_interval, limits, metadata::Metadata};

/// What reaches us already resolved: its value is not the object's.
const FROM_ENV: &str = "FromEnv";

/// One object, of one generation.
#[derive(Debug, PartialEq)]
pub struct Scaled {
    pub generation: i64,
    /// `resourceVersion`, which tells the newer of two.
    pub version: u128,
    /// Its triggers of type `external` and `external-push`.
    pub entries: Box<[Entry]>,
    pub target: Arc<Target>,
    pub settings: Settings,
}

/// What an object says besides its triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `pollingInterval`, or KEDA's default.
    pub polling_interval: Duration,
    /// `minReplicaCount`, where it says one.
    pub min: Option<i64>,
    /// `maxReplicaCount`, where it says one.
    pub max: Option<i64>,
    /// It has a `fallback`.
    pub fallback: bool,
    /// It is paused by an annotation.
    pub paused: bool,
    /// Its `scalingModifiers` have an `activationTarget`, which a push would pass by.
    pub activation_target: bool,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place among all triggers of the object.
    pub index: usize,
    pub name: Option<Box<str>>,
    /// Its metadata but for what ends in `FromEnv`, each key and value behind its length, in the keys' order.
    fixed: Box<[u8]>,
    /// The keys that end in `FromEnv`.
    open: Box<[Box<str>]>,
    pub auth: AuthName,
}

/// Which authentication a trigger names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthName {
    None,
    /// A TriggerAuthentication of its namespace.
    Namespaced(Box<str>),
    Cluster(Box<str>),
    /// Both metadata keys at once.
    Both,
}

/// Where the pods come from that are scaled.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub kind: TargetKind,
    pub name: Box<str>,
    /// `envSourceContainerName`.
    pub container: Option<Box<str>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// The ScaledJob has the template itself.
    Job,
    /// group, version, plural.
    Scaled(Cow<'static, str>, Cow<'static, str>, Cow<'static, str>),
    /// A kind whose plural KEDA has not said yet.
    Unknown(Box<str>),
}

impl Scaled {
    /// `None` when it is larger than anything that is meant.
    pub fn new(kind: Kind, meta: &wire::Meta, object: wire::Scaled) -> Option<Self> {
        let wire::Scaled { spec, status } = object;
        let entries: Vec<Entry> = spec.triggers.into_iter().enumerate().filter_map(Entry::new).collect();
        let size: usize = entries.iter().map(Entry::size).sum();
        if entries.len() > limits::KUBERNETES_TRIGGERS || size > limits::REQUEST {
            limits::Limit::Request.crossed();
            return None;
        }
        let annotations = meta.annotations.as_ref();
        let paused = annotations.is_some_and(|of| {
            of.paused_replicas.is_some()
                || of.paused.as_ref().is_some_and(|paused| !paused.eq_ignore_ascii_case("false"))
        });
        let modifiers = spec.advanced.and_then(|advanced| advanced.scaling_modifiers);
        let settings = Settings {
            polling_interval: polling_interval(spec.polling_interval),
            min: spec.min_replica_count,
            max: spec.max_replica_count,
            fallback: spec.fallback.is_some(),
            paused,
            activation_target: modifiers
                .is_some_and(|of| of.activation_target.is_some_and(|target| !target.is_empty())),
        };
        let target = match (kind, spec.scale_target_ref) {
            (Kind::ScaledObject, Some(target)) => Target::scaled(target, status.target),
            _ => Target {
                kind: TargetKind::Job,
                name: meta.name.as_str().into(),
                container: spec.env_source_container_name.filter(|name| !name.is_empty()).map(Into::into),
            },
        };
        Some(Self {
            generation: meta.generation,
            version: meta.resource_version.parse().unwrap_or_default(),
            entries: entries.into(),
            target: Arc::new(target),
            settings,
        })
    }

    /// What it holds, roughly.
    pub fn size(&self) -> usize {
        self.entries.iter().map(Entry::size).sum()
    }

    /// For how long a caller may still ask as the object was before it changed: KEDA polls with what it knew until it has
    /// reconciled.
    pub fn grace(&self) -> Duration {
        (2 * self.settings.polling_interval).max(Duration::from_secs(60))
    }
}

impl Target {
    fn scaled(target: wire::TargetRef, known: Option<wire::Gvkr>) -> Self {
        let kind = target.kind.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "Deployment".to_owned());
        let version = target.api_version.filter(|version| !version.is_empty()).unwrap_or_else(|| "apps/v1".to_owned());
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = match (group, kind.as_str(), known) {
            ("apps", "Deployment", _) if version == "v1" => Self::of_apps("deployments"),
            ("apps", "StatefulSet", _) if version == "v1" => Self::of_apps("statefulsets"),
            (_, _, Some(known)) if known.kind == kind || known.kind.is_empty() => {
                TargetKind::Scaled(known.group.into(), known.version.into(), known.resource.into())
            }
            _ => TargetKind::Unknown(kind.into()),
        };
        let container = target.env_source_container_name.filter(|name| !name.is_empty()).map(Into::into);
        Self { kind, name: target.name.into(), container }
    }

    fn of_apps(plural: &'static str) -> TargetKind {
        TargetKind::Scaled("apps".into(), "v1".into(), plural.into())
    }
}

impl Entry {
    fn new((index, trigger): (usize, wire::Trigger)) -> Option<Self> {
        if !matches!(trigger.kind.as_str(), "external" | "external-push") {
            return None;
        }
        let of_metadata = |key: &str| {
            trigger.metadata.get(key).map(|name| name.trim()).filter(|name| !name.is_empty()).map(Box::from)
        };
        let auth = match (of_metadata("triggerAuthentication"), of_metadata("clusterTriggerAuthentication")) {
            (Some(_), Some(_)) => AuthName::Both,
            (Some(name), None) => AuthName::Namespaced(name),
            (None, Some(name)) => AuthName::Cluster(name),
            (None, None) => AuthName::of(trigger.authentication_ref),
        };
        let (fixed, open) = written(&trigger.metadata);
        let name = trigger.name.filter(|name| !name.is_empty()).map(Into::into);
        Some(Self { index, name, fixed, open, auth })
    }

    fn size(&self) -> usize {
        self.fixed.len() + self.open.iter().map(|key| key.len()).sum::<usize>()
    }

    /// Whether KEDA sends `metadata` for this trigger: byte by byte, but for variables, whose values are the workload's and
    /// which it leaves out where they are undefined.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let mut rest = &*self.fixed;
        for (key, value) in metadata.pairs() {
            if key.ends_with(FROM_ENV) {
                if !self.open.iter().any(|open| **open == *key) {
                    return false;
                }
                continue;
            }
            let Some(after) = without(rest, key).and_then(|rest| without(rest, value)) else { return false };
            rest = after;
        }
        rest.is_empty()
    }

    /// What the metadata says for `key`.
    pub fn value_of(&self, key: &str) -> Option<&str> {
        let mut rest = &*self.fixed;
        while let Some((name, after)) = piece(rest) {
            let (value, after) = piece(after)?;
            if name == key {
                return Some(value);
            }
            rest = after;
        }
        None
    }

    /// Whether callers cannot tell the two apart.
    pub fn is_same_question(&self, other: &Self) -> bool {
        (&self.fixed, &self.open) == (&other.fixed, &other.open)
    }
}

impl AuthName {
    /// The kind of what it names, and the name.
    pub fn named(&self) -> Option<(Kind, &str)> {
        match self {
            Self::None | Self::Both => None,
            Self::Namespaced(name) => Some((Kind::TriggerAuthentication, name)),
            Self::Cluster(name) => Some((Kind::ClusterTriggerAuthentication, name)),
        }
    }

    /// What an `authenticationRef` names.
    pub fn of(named: Option<wire::AuthRef>) -> Self {
        match named {
            Some(named) if !named.name.is_empty() => match named.kind.as_deref() {
                Some("ClusterTriggerAuthentication") => Self::Cluster(named.name.into()),
                _ => Self::Namespaced(named.name.into()),
            },
            _ => Self::None,
        }
    }
}

fn written(metadata: &BTreeMap<String, String>) -> (Box<[u8]>, Box<[Box<str>]>) {
    let (mut fixed, mut open) = (Vec::new(), Vec::new());
    for (key, value) in metadata {
        if key.ends_with(FROM_ENV) {
            open.push(key.as_str().into());
            continue;
        }
        for text in [key, value] {
            fixed.extend_from_slice(&length(text));
            fixed.extend_from_slice(text.as_bytes());
        }
    }
    (fixed.into(), open.into())
}

fn without<'f>(fixed: &'f [u8], text: &str) -> Option<&'f [u8]> {
    fixed.strip_prefix(&length(text))?.strip_prefix(text.as_bytes())
}

/// The first text of `fixed`, and what comes after it.
fn piece(fixed: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = fixed.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// No object that is kept has a longer one: a request to the API server is smaller.
fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes()
}
