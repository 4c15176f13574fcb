//! Which triggers the pages show, in which order, how many at a time. With 20,000 of them each page costs some milliseconds.
//!
//! Not for: what a row says (`view.rs`).

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Change, Sampler, Standing, View, entry::Entry};
use crate::{credentials::Asked, limits, object::ObjectRef};

/// How long it stands which triggers nobody has asked for: to find that out is a look at all objects and all who ask.
const UNASKED_FOR: Duration = Duration::from_secs(2);

/// Which triggers are wanted, and how.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of an object in this namespace.
    pub namespace: Option<String>,
    /// Of this scaler type.
    pub scaler_type: Option<String>,
    /// On this connection.
    pub connection: Option<u64>,
    /// Standing in one of these ways, or with warnings; all of them where nothing is said.
    pub standings: Vec<Standing>,
    /// With warnings; together with `standings`, either is enough.
    pub warned: bool,
    /// With this text, in any case, in the names of their objects, in what is read and where, or in why that fails.
    pub text: Option<String>,
    /// In this order.
    pub sort: Sort,
    /// The other way round.
    pub descending: bool,
    /// So many of them left out at the beginning.
    pub offset: usize,
    /// So many at most.
    pub limit: usize,
    /// With the values of the last quarter of an hour.
    pub recent: bool,
}

/// By what triggers are in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// In the order in which they came.
    #[default]
    Came,
    /// By their objects' names.
    Name,
    /// The worst first.
    State,
    /// By the value; what is not known comes last.
    Value,
    /// By what the HPA makes of it, likewise.
    Replicas,
    /// The freshest sample first, what has none last.
    Age,
}

/// How many triggers stand in which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Of each standing.
    #[serde(flatten)]
    pub standings: BTreeMap<&'static str, usize>,
    /// With warnings, whichever way they stand.
    pub warned: usize,
}

/// Some triggers.
#[derive(Debug, Clone)]
pub struct Listing {
    /// How many there are that were asked for.
    pub total: usize,
    /// How those stand that were asked for but for their standing.
    pub counts: Counts,
    /// The rows.
    pub triggers: Vec<View>,
}

/// One that may be shown.
struct Candidate {
    what: What,
    standing: Standing,
    warned: bool,
    value: Option<f64>,
    replicas: Option<f64>,
    sampled_at: Option<Instant>,
    name: String,
    id: u64,
}

enum What {
    Entry(Arc<Entry>),
    Unobserved(Box<View>),
}

impl Sampler {
    /// Every trigger under observation, and those that were refused of late.
    #[must_use]
    pub fn triggers(&self) -> Vec<View> {
        self.listing(&Query { limit: usize::MAX, ..Query::default() }).triggers
    }

    /// What `query` asks for.
    #[must_use]
    pub fn listing(&self, query: &Query) -> Listing {
        let (found, counts) = self.candidates(query);
        let total = found.len();
        let triggers = query.cut(found).into_iter().map(|candidate| match candidate.what {
            What::Entry(entry) => View::of(&self.0, &entry, query.recent),
            What::Unobserved(view) => *view,
        });
        Listing { total, counts, triggers: triggers.collect() }
    }

    /// The numbers of what `query` asks for, in order, and how all stand.
    #[must_use]
    pub fn ids(&self, query: &Query) -> (Vec<u64>, Counts) {
        let (found, counts) = self.candidates(query);
        (query.cut(found).into_iter().map(|candidate| candidate.id).collect(), counts)
    }

    /// What has changed of a row, or has not; `None` of one that is not observed.
    #[must_use]
    pub fn change(&self, id: u64) -> Option<Change> {
        let entry = Arc::clone(self.0.table.read().of_number(id)?);
        let state = entry.state.borrow().clone();
        Some(entry.change(&self.0, &state, Instant::now()))
    }

    fn candidates(&self, query: &Query) -> (Vec<Candidate>, Counts) {
        // Looked at outside of the lock: a question of KEDA's must not wait for a page.
        let entries: Vec<Arc<Entry>> = self.0.table.read().after(0).cloned().collect();
        let (now, text) = (Instant::now(), query.text.as_ref().map(|text| text.to_lowercase()));
        let wanted = |candidate: &Candidate| query.wants_place(candidate, text.as_deref());
        let entries = entries.into_iter().map(|entry| Candidate::of(entry, now));
        let unobserved = self.unobserved().into_iter().map(Candidate::of_unobserved);
        let mut candidates: Vec<Candidate> = entries.chain(unobserved).filter(wanted).collect();
        let mut counts = Counts::default();
        for standing in Standing::ALL {
            counts.standings.insert(standing.as_str(), 0);
        }
        for candidate in &candidates {
            *counts.standings.entry(candidate.standing.as_str()).or_default() += 1;
            counts.warned += usize::from(candidate.warned);
        }
        candidates.retain(|candidate| query.wants_standing(candidate));
        (candidates, counts)
    }

    /// Triggers that are not observed: those that were refused of late, and those of the cluster that nobody has asked for.
    pub(super) fn unobserved(&self) -> Vec<View> {
        let clock = self.0.clock;
        let mut rows = self.0.refused.show(self.0.settings.forget_after, |row| Some(View::of_refused(row, clock)));
        if let Some(cluster) = &self.0.settings.credentials.cluster {
            let (now, mut unasked) = (Instant::now(), self.0.unasked.lock());
            if unasked.as_ref().is_none_or(|(at, _)| *at + UNASKED_FOR < now) {
                let found = cluster.unasked(&self.asked(&rows));
                *unasked = Some((now, found.into_iter().map(View::of_unasked).collect()));
            }
            rows.extend(unasked.iter().flat_map(|(_, found)| found).cloned());
        }
        rows
    }

    /// What somebody has asked for, of whatever came of it.
    fn asked(&self, refused: &[View]) -> Asked {
        let mut asked = Asked::default();
        let entries: Vec<Arc<Entry>> = self.0.table.read().after(0).cloned().collect();
        for entry in entries {
            let objects = entry.askers.objects();
            if objects.len() >= limits::OBJECTS_OF_TRIGGER {
                asked.by_many.push(Arc::clone(&entry.trigger.metadata));
            }
            for ObjectRef { namespace, name } in objects {
                asked.by_object.entry((namespace, name)).or_default().push(Arc::clone(&entry.trigger.metadata));
            }
        }
        for object in refused.iter().flat_map(|row| &row.scaled_objects) {
            if let Some((namespace, name)) = object.split_once('/') {
                // What was refused is not kept: all that the object has may be meant.
                asked.by_object.insert((namespace.to_owned(), name.to_owned()), Vec::new());
            }
        }
        asked
    }
}

impl Candidate {
    fn of(entry: Arc<Entry>, now: Instant) -> Self {
        let sample = entry.state.borrow().sample;
        let first = entry.askers.first();
        Self {
            standing: entry.standing(now),
            warned: !entry.trigger.warnings().is_empty(),
            value: sample.map(|sample| sample.reading.value),
            replicas: sample.map(|sample| sample.reading.value / entry.trigger.source.metric().target),
            sampled_at: sample.map(|sample| sample.at),
            name: first.map(|object| format!("{}/{}", object.namespace, object.name)).unwrap_or_default(),
            id: entry.number,
            what: What::Entry(entry),
        }
    }

    fn of_unobserved(view: View) -> Self {
        Self {
            standing: view.state,
            warned: !view.warnings.is_empty(),
            value: None,
            replicas: None,
            sampled_at: None,
            name: view.scaled_objects.first().cloned().unwrap_or_default(),
            id: view.id,
            what: What::Unobserved(Box::new(view)),
        }
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        match &self.what {
            What::Entry(entry) => entry.askers.has_namespace(namespace),
            What::Unobserved(view) => {
                view.scaled_objects.iter().any(|name| name.split_once('/').is_some_and(|(of, _)| of == namespace))
            }
        }
    }

    fn scaler_type(&self) -> &str {
        match &self.what {
            What::Entry(entry) => entry.trigger.scaler_type,
            What::Unobserved(view) => &view.scaler_type,
        }
    }

    /// Whether `text`, which is in lower case, is anywhere in what a person would look for.
    fn has_text(&self, text: &str) -> bool {
        let has = |place: &str| place.to_lowercase().contains(text);
        match &self.what {
            What::Entry(entry) => {
                let (trigger, source) = (&entry.trigger, &entry.trigger.source);
                let error = entry.state.borrow().failure.as_ref().map(|failure| failure.error.to_string());
                entry.askers.names().iter().any(|name| has(name))
                    || has(&trigger.describe())
                    || has(&source.metric().name)
                    || has(source.connection().label())
                    || has(trigger.scaler_type)
                    || error.is_some_and(|error| has(&error))
            }
            What::Unobserved(view) => {
                view.scaled_objects.iter().any(|name| has(name))
                    || has(&view.metric)
                    || has(&view.scaler_type)
                    || view.error.as_ref().is_some_and(|error| has(&error.message))
            }
        }
    }
}

impl Query {
    /// What is shown of `found`, in order.
    fn cut(&self, mut found: Vec<Candidate>) -> Vec<Candidate> {
        let to = self.offset.saturating_add(self.limit).min(found.len());
        let order = |one: &Candidate, other: &Candidate| self.order(one, other);
        // Only what is shown need be in order.
        if to > 0 && to < found.len() {
            found.select_nth_unstable_by(to - 1, order);
        }
        found.truncate(to);
        found.sort_unstable_by(order);
        found.drain(..self.offset.min(to));
        found
    }

    fn wants_place(&self, candidate: &Candidate, text: Option<&str>) -> bool {
        let on = |connection: u64| match &candidate.what {
            What::Entry(entry) => entry.connection.number() == connection,
            What::Unobserved(_) => false,
        };
        self.scaler_type.as_deref().is_none_or(|wanted| wanted == candidate.scaler_type())
            && self.connection.is_none_or(on)
            && self.namespace.as_deref().is_none_or(|namespace| candidate.has_namespace(namespace))
            && text.is_none_or(|text| candidate.has_text(text))
    }

    fn wants_standing(&self, candidate: &Candidate) -> bool {
        let any = self.standings.is_empty() && !self.warned;
        any || self.standings.contains(&candidate.standing) || self.warned && candidate.warned
    }

    fn order(&self, one: &Candidate, other: &Candidate) -> Ordering {
        let by_number = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => self.directed(one.total_cmp(&other)),
            // What is not known comes last, whichever way the others stand.
            (known, other) => other.is_some().cmp(&known.is_some()),
        };
        let ordering = match self.sort {
            Sort::Came => self.directed(one.id.cmp(&other.id)),
            Sort::Name => self.directed(one.name.cmp(&other.name)),
            Sort::State => self.directed(one.standing.cmp(&other.standing)),
            Sort::Value => by_number(one.value, other.value),
            Sort::Replicas => by_number(one.replicas, other.replicas),
            Sort::Age => match (one.sampled_at, other.sampled_at) {
                (Some(one), Some(other)) => self.directed(other.cmp(&one)),
                (known, other) => other.is_some().cmp(&known.is_some()),
            },
        };
        ordering.then_with(|| one.name.cmp(&other.name)).then_with(|| one.id.cmp(&other.id))
    }

    fn directed(&self, ordering: Ordering) -> Ordering {
        if self.descending { ordering.reverse() } else { ordering }
    }
}
