//! Our side: each built-in trigger as our own backend reads it, with the login that KEDA's scaler has.
//!
//! Nothing here is but for comparing: the trigger becomes what `migrate` would make of it, and is read as the server reads one.
//! Not for: KEDA's side.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::series::Of;
use crate::{
    backend::{Registry, Source},
    check::{self, Options, Readable},
    cli::{exit::Unusable, inputs},
    credentials::{
        cluster::{Builtin, Cluster},
        polling_interval,
    },
    error::clean,
    keda::{self, Change, Key},
    limits,
    manifest::{Manifest, Node},
    metadata::Metadata,
    net::Reach,
    trigger::Trigger,
};

/// A built-in trigger, and how we read it.
#[derive(Debug)]
pub(super) struct Ours {
    pub of: Of,
    pub name: Option<String>,
    pub scaler_type: String,
    pub polling_interval: Duration,
    pub paused: bool,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    /// As a server would, with a login that is looked after.
    Trigger(Box<Trigger>),
    /// With what is in the file.
    Source(Arc<dyn Source>),
    /// It cannot be: why.
    Not(String),
}

impl Ours {
    /// What we read now.
    pub(super) async fn read(&self) -> Result<f64, String> {
        let source = match &self.reading {
            Reading::Not(why) => return Err(why.clone()),
            Reading::Source(source) => source,
            Reading::Trigger(trigger) => {
                trigger.prepare().await.map_err(|error| format!("{}: {error}", error.kind))?;
                &trigger.source
            }
        };
        let late = |_| format!("timeout: no answer within {} s", limits::LOOK.as_secs());
        let read = timeout(limits::LOOK, source.read()).await.map_err(late)?;
        read.map(|reading| reading.value).map_err(|error| format!("{}: {error}", error.kind))
    }

    /// What KEDA would call our metric.
    pub(super) fn metric(&self) -> Option<String> {
        let name = match &self.reading {
            Reading::Not(_) => return None,
            Reading::Source(source) => source.metric().name.clone(),
            Reading::Trigger(trigger) => trigger.source.metric().name.clone(),
        };
        Some(format!("s{}-{}", self.of.3, clean(&name)))
    }

    /// For people: `ScaledObject shop/orders, trigger 0 (kafka)`.
    pub(super) fn label(&self) -> String {
        let (kind, namespace, object, index) = &self.of;
        let name = self.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
        format!("{kind} {}/{}, trigger {index}{name} ({})", clean(namespace), clean(object), clean(&self.scaler_type))
    }
}

/// Every built-in trigger of the cluster that a backend of ours reads.
pub(super) async fn of_cluster(cluster: &Cluster, registry: &Registry) -> Result<Vec<Ours>, Unusable> {
    let options = Options::new(registry.clone());
    let wanted = |kind: &str| registry.scaler_types().any(|known| known == kind);
    let found = cluster.builtin(wanted).await.map_err(|silent| Unusable(silent.0))?;
    let mut all = Vec::new();
    for builtin in found {
        let reading = of_builtin(cluster, registry, &options, &builtin).await.unwrap_or_else(Reading::Not);
        all.push(Ours {
            of: (builtin.kind, builtin.object.namespace.clone(), builtin.object.name.clone(), builtin.index),
            name: builtin.name.clone(),
            scaler_type: builtin.scaler_type.clone(),
            polling_interval: builtin.polling_interval,
            paused: builtin.paused,
            reading,
        });
    }
    Ok(all)
}

async fn of_builtin(
    cluster: &Cluster,
    registry: &Registry,
    options: &Options,
    builtin: &Builtin,
) -> Result<Reading, String> {
    let scaler_type = registry.scaler_types().find(|known| *known == builtin.scaler_type).unwrap_or_default();
    let mut metadata: BTreeMap<String, String> = BTreeMap::new();
    let mut variables = None;
    for (name, value) in &builtin.metadata {
        let change = keda::moved(scaler_type, Key { name, value, ours: options.has_key(scaler_type, name) });
        let (name, value) = match change {
            // KEDA's own scaler does not read them.
            Change::Drop(_) | Change::Awakened => continue,
            Change::Keep => (name.as_str(), value.as_str()),
            Change::Rename { to, value: other, .. } => (to, other.unwrap_or(value)),
        };
        if !keda::base(name).1 {
            metadata.insert(name.to_owned(), value.to_owned());
            continue;
        }
        // KEDA sends what the variable holds, under the same name.
        if variables.is_none() {
            variables = Some(cluster.variables(builtin).await.map_err(|error| error.to_string())?);
        }
        if let Some(found) = variables.as_ref().and_then(|variables| variables.get(value)) {
            metadata.insert(name.to_owned(), found.clone());
        }
    }
    metadata.insert("scalerType".to_owned(), scaler_type.to_owned());
    let metadata: Metadata = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let trigger = Trigger::with(registry, &metadata, &Reach::open(), builtin.polling_interval, builtin.binding());
    trigger.map(|trigger| Reading::Trigger(Box::new(trigger))).map_err(|error| format!("refused: {error}"))
}

/// Every built-in trigger of these files, with what the files hold of its login; `namespace` is where they are applied.
pub(super) fn of_files(files: &[PathBuf], namespace: &str, registry: &Registry) -> Result<Vec<Ours>, Unusable> {
    let (sources, unusable) = inputs::read(files);
    if let Some(unusable) = unusable.into_iter().next() {
        return Err(unusable);
    }
    let mut options = Options::new(registry.clone());
    let of_process = std::env::vars_os();
    options.environment =
        of_process.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    let manifests: Vec<Manifest<'_>> = check::read(&sources);
    let (report, readable) = check::check_read(&options, &manifests);
    if report.seen.unreadable > 0 {
        return Err(Unusable("a document cannot be read: `plimsoll check` says which and why".to_owned()));
    }
    Ok(readable.iter().filter(|one| !one.trigger.is_external()).map(|one| of_readable(one, namespace)).collect())
}

fn of_readable(readable: &Readable<'_, '_>, applied_to: &str) -> Ours {
    let Readable { scaled, trigger, followed } = readable;
    let object = &scaled.object;
    let namespace = if object.namespace.is_empty() { applied_to } else { object.namespace };
    let kind = if scaled.is_job() { "ScaledJob" } else { "ScaledObject" };
    let reading = match &followed.examined.source {
        _ if !followed.missing.is_empty() => {
            let names: Vec<String> = followed.missing.iter().map(|name| format!("`{}`", clean(name))).collect();
            let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
            Reading::Not(format!("{} {is} not in the input: give the objects that hold {it} too", names.join(" and ")))
        }
        Some(source) => Reading::Source(Arc::clone(source)),
        None => {
            let problems: Vec<String> =
                followed.examined.problems.iter().map(|problem| clean(&problem.text).into_owned()).collect();
            Reading::Not(format!("refused: {}", problems.join("; ")))
        }
    };
    Ours {
        of: (kind, namespace.to_owned(), object.name.to_owned(), trigger.index),
        name: trigger.name.map(str::to_owned),
        scaler_type: trigger.kind.to_owned(),
        polling_interval: polling_interval(scaled.field(&["pollingInterval"]).and_then(Node::integer)),
        paused: false,
        reading,
    }
}
