//! All that is known of one trigger, from question to answer.
//!
//! Put together when somebody looks. Not for: a row among others (`view.rs`), or all connections (`connection.rs`).

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    AskerView, ConnectionView, Core, History, Sampler, View,
    entry::Entry,
    view::{seconds, unix},
};
use crate::{
    credentials::{Named, cluster::Cluster},
    metadata::Understood,
    net::Reach,
    reading::{Cell, Parts},
    trigger::Push,
};

/// One trigger, each step from question to answer. Times that end in `At` are Unix times in seconds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TriggerDetail")]
pub struct Detail {
    /// Its row among others.
    pub trigger: View,
    /// Since when it is observed; `null` where it is not.
    pub observed_at: Option<f64>,
    /// Who asks, when and by which means.
    pub askers: Vec<AskerView>,
    /// Its metadata as it is understood; no secret is in there.
    pub metadata: Vec<KeyView>,
    /// Where its login is from, besides the metadata.
    pub logins: Vec<String>,
    /// What it wants to be told by push: `always`, `once` or `never`.
    pub push: &'static str,
    /// The connection that it reads from.
    pub connection: Option<ConnectionView>,
    /// The last look.
    pub look: Option<LookView>,
    /// What the value is made of, where that is known.
    pub parts: Option<PartsView>,
    /// The last quarter of an hour.
    pub history: Option<History>,
}

/// A key of the metadata.
pub type KeyView = Understood;

/// A look at a source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Look")]
pub struct LookView {
    /// When it began.
    pub began_at: f64,
    /// How many seconds the last one that has ended took.
    pub took: f64,
    /// How many triggers of the connection were looked at together.
    pub together: u32,
}

/// What a value is made of: a small table.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Parts")]
pub struct PartsView {
    /// How the parts make the value.
    pub rule: String,
    /// The trigger is active above this, where it is so simple.
    pub activation: Option<f64>,
    /// The columns' names.
    pub columns: Vec<&'static str>,
    /// A cell for each column: a text, a number, or `null` for what is not known.
    pub rows: Vec<Vec<Cell>>,
    /// How many rows were left out.
    pub omitted: usize,
}

/// Where logins come from, besides triggers' own metadata.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Credentials")]
pub struct CredentialsView {
    /// The connections that the server's config names.
    pub connections: Vec<NamedView>,
    /// How many of KEDA's objects are known; `null` without `--kubernetes`.
    pub cluster_objects: Option<usize>,
    /// Whether everything that is watched of the cluster was heard of.
    pub cluster_live: Option<bool>,
}

/// A named connection.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NamedConnection")]
pub struct NamedView {
    /// Its name.
    pub name: String,
    /// The scaler types that it is for.
    pub scaler_types: Vec<&'static str>,
    /// Who may use it; `null` is everybody.
    pub namespaces: Option<BTreeSet<String>>,
    /// The keys that it gives; no value.
    pub keys: Vec<String>,
}

impl Sampler {
    /// Where logins come from.
    #[must_use]
    pub fn credentials(&self) -> CredentialsView {
        let credentials = &self.0.settings.credentials;
        let named = |(name, named): (Arc<str>, Named)| NamedView {
            name: name.to_string(),
            scaler_types: named.scaler_types.to_vec(),
            namespaces: named.namespaces,
            keys: named.parameters.iter().map(|(key, _)| key.to_owned()).collect(),
        };
        let state = credentials.cluster.as_ref().map(Cluster::state);
        CredentialsView {
            connections: credentials.connections.shown().into_iter().map(named).collect(),
            cluster_objects: state.map(|(objects, _)| objects),
            cluster_live: state.map(|(_, live)| live),
        }
    }

    /// All of one trigger; `None` where there is none of that number.
    #[must_use]
    pub fn detail(&self, id: u64) -> Option<Detail> {
        let found = {
            let table = self.0.table.read();
            let reach = || table.slots().find(|slot| slot.entry.number == id).map(|slot| slot.reach.clone());
            table.of_number(id).map(|entry| (Arc::clone(entry), reach()))
        };
        match found {
            Some((entry, reach)) => Some(Detail::of(&self.0, &entry, reach.as_ref())),
            None => self.unobserved().into_iter().find(|row| row.id == id).map(Detail::of_unobserved),
        }
    }
}

impl Detail {
    fn of(core: &Core, entry: &Entry, reach: Option<&Reach>) -> Self {
        let (trigger, now) = (&entry.trigger, Instant::now());
        let sample = entry.state.borrow().sample;
        // Those of a look that has just ended may not be those of the sample yet.
        let parts = trigger.source.parts().filter(|parts| sample.is_some_and(|sample| sample.reading == parts.of));
        let wall = |instant| unix(core.clock, instant);
        let mut connection = ConnectionView::of(entry.connection.report(), core.clock);
        let (history, look) = {
            let mut record = entry.record.lock();
            let history = record.ring.shown(entry.age(now), |age| wall(entry.created() + age));
            (history, record.look.clone())
        };
        let took = seconds(entry.state.borrow().last_look_took);
        let default_interval = core.settings.default_interval;
        let metadata = reach.map(|reach| trigger.understood(&core.registry, reach, default_interval));
        if let Some(reach) = reach {
            connection.has(entry, reach, (core.clock, now));
        }
        Self {
            trigger: View::of(core, entry, false),
            observed_at: Some(wall(entry.created())),
            askers: entry.askers.shown(wall),
            metadata: metadata.unwrap_or_default(),
            logins: trigger.binding.sources().into_iter().map(|(source, _)| source).collect(),
            push: match trigger.push {
                Push::Always => "always",
                Push::Once => "once",
                Push::Never => "never",
            },
            connection: Some(connection),
            look: look.map(|(began, together)| LookView {
                began_at: wall(began),
                took,
                together: together.load(Ordering::Relaxed),
            }),
            parts: parts.map(PartsView::of),
            history: Some(history),
        }
    }

    /// Of what is refused, or was never asked for.
    fn of_unobserved(row: View) -> Self {
        Self {
            trigger: row,
            observed_at: None,
            askers: Vec::new(),
            metadata: Vec::new(),
            logins: Vec::new(),
            push: "never",
            connection: None,
            look: None,
            parts: None,
            history: None,
        }
    }
}

impl PartsView {
    fn of(parts: Parts) -> Self {
        let Parts { rule, activation, columns, rows, omitted, .. } = parts;
        Self { rule, activation, columns: columns.to_vec(), rows, omitted }
    }
}
