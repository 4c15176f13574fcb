//! The rules in force: which [`Reach`] each namespace has. Replaced as a whole when the policy file changes.
//!
//! Not for: what the rules mean (`reach.rs`) or the file's format (`config`).

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::reach::Reach;

/// Who may reach what, by namespace. Cheap to clone; all clones follow the same changes.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: RwLock<Table>,
    changes: watch::Sender<()>,
}

/// A policy at one time.
#[derive(Debug, Clone)]
pub struct Table {
    /// For every namespace that has no rules of its own.
    pub others: Reach,
    /// By namespace.
    pub namespaces: HashMap<String, Reach>,
}

impl Policy {
    /// These rules, until they are replaced.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(Arc::new(Shared { table: RwLock::new(table), changes: watch::Sender::new(()) }))
    }

    /// The same for every namespace.
    #[must_use]
    pub fn same_for_all(reach: Reach) -> Self {
        Self::new(Table { others: reach, namespaces: HashMap::new() })
    }

    /// What `namespace` may reach now.
    #[must_use]
    pub fn reach(&self, namespace: &str) -> Reach {
        let table = self.0.table.read();
        table.namespaces.get(namespace).unwrap_or(&table.others).clone()
    }

    /// Puts other rules into force.
    pub fn replace(&self, table: Table) {
        *self.0.table.write() = table;
        self.0.changes.send_replace(());
    }

    /// Told of each replacement.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::reach::Rules;

    #[test]
    fn a_namespace_has_its_own_rules_or_those_of_all_others() {
        let (open, closed) = (Reach::open(), Reach::new(Rules::default()));
        let policy = Policy::same_for_all(open.clone());
        let changes = policy.changes();
        assert_eq!(policy.reach("shop"), open);
        policy
            .replace(Table { others: open.clone(), namespaces: HashMap::from([("shop".to_owned(), closed.clone())]) });
        assert!(changes.has_changed().expect("the policy lives"));
        assert_eq!((policy.reach("shop"), policy.reach("bank")), (closed, open));
    }
}
