//! What the pages ask: which triggers, in which order, how many at a time.

use std::collections::BTreeMap;

use super::{Sampler, View, askers::Askers, entry::Entry};

/// Which triggers are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of an object in this namespace.
    pub namespace: Option<String>,
    /// Of this scaler type.
    pub scaler_type: Option<String>,
    /// Those that fail or are refused, or those that do not and are not.
    pub failing: Option<bool>,
}

/// Some triggers, in the order in which they came.
#[derive(Debug, Clone)]
pub struct Page {
    /// At most as many as were asked for.
    pub triggers: Vec<View>,
    /// The `id` after which there are more.
    pub next: Option<u64>,
}

impl Sampler {
    /// Every trigger under observation, and those that were refused of late.
    #[must_use]
    pub fn triggers(&self) -> Vec<View> {
        self.page(&Filter::default(), 0, usize::MAX).triggers
    }

    /// The first `limit` triggers after the one of number `after` that pass `filter`.
    #[must_use]
    pub fn page(&self, filter: &Filter, after: u64, limit: usize) -> Page {
        let most = limit.saturating_add(1);
        let mut rows: BTreeMap<u64, View> = {
            // Looked at outside of the lock: a question of KEDA's must not wait for a page.
            let entries: Vec<_> = {
                let table = self.0.table.read();
                table.after(after).filter(|entry| filter.passes_entry(entry)).take(most).cloned().collect()
            };
            let cluster = self.0.settings.credentials.cluster.as_ref();
            entries.iter().map(|entry| (entry.number, View::of(entry, cluster))).collect()
        };
        let refused = self.0.refused.show(self.0.settings.forget_after, |row| {
            let wanted = row.number > after && filter.passes(&row.askers, &row.scaler_type, true);
            wanted.then(|| (row.number, View::of_refused(row)))
        });
        rows.extend(refused);
        let mut triggers: Vec<View> = rows.into_values().take(most).collect();
        let next = (triggers.len() > limit).then(|| {
            triggers.truncate(limit);
            triggers.last().map_or(after, |last| last.id)
        });
        Page { triggers, next }
    }
}

impl Filter {
    fn passes_entry(&self, entry: &Entry) -> bool {
        self.passes(&entry.askers, entry.trigger.scaler_type, entry.state.borrow().failure.is_some())
    }

    fn passes(&self, askers: &Askers, scaler_type: &str, failing: bool) -> bool {
        self.scaler_type.as_deref().is_none_or(|wanted| wanted == scaler_type)
            && self.failing.is_none_or(|wanted| wanted == failing)
            && self.namespace.as_deref().is_none_or(|namespace| askers.has_namespace(namespace))
    }
}
