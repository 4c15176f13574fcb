//! The triggers under observation, found by what identifies them: their metadata, what gives them their login, and what their
//! namespace may reach.
//!
//! It also counts them and their connections, in all and for each namespace, and says when there is room for no more.
//! Who made an entry or opened a connection has it counted, whoever else uses it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::entry::Entry;
use crate::{
    backend::ConnectionId,
    credentials::Binding,
    limits::{self, Limit},
    metadata::Metadata,
    net::Reach,
    task::Task,
};

/// How much may be observed at a time.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Triggers.
    pub triggers: Room,
    /// Connections that they use.
    pub connections: Room,
}

/// So many, in all and for each namespace.
#[derive(Debug, Clone)]
pub struct Room {
    /// In all.
    pub in_all: usize,
    /// For each namespace.
    pub per_namespace: usize,
}

/// There is no room for a trigger; the text says what to raise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Full(String);

impl Default for Allowance {
    fn default() -> Self {
        let room = |(in_all, per_namespace)| Room { in_all, per_namespace };
        Self { triggers: room(limits::TRIGGERS), connections: room(limits::CONNECTIONS) }
    }
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: HashMap<Arc<Metadata>, Vec<Slot>>,
    /// By the number of each: the order of the pages.
    numbers: BTreeMap<u64, Arc<Entry>>,
    triggers: Used,
    /// Bytes of metadata.
    metadata: Used,
    connections: HashMap<ConnectionId, Connection>,
    connections_used: Used,
}

/// One entry, with the loop that refreshes it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) entry: Arc<Entry>,
    pub(super) reach: Reach,
    /// Under which it is counted.
    pub(super) connection: ConnectionId,
    /// Of whoever asked first.
    pub(super) namespace: Arc<str>,
    pub(super) _loop: Task,
}

#[derive(Debug)]
struct Connection {
    namespace: Arc<str>,
    entries: usize,
}

#[derive(Debug, Default)]
struct Used {
    in_all: usize,
    by_namespace: HashMap<Arc<str>, usize>,
}

impl Table {
    /// The entry of a trigger, if it is observed.
    pub(super) fn find(&self, metadata: &Metadata, reach: &Reach, binding: &Binding) -> Option<&Arc<Entry>> {
        let same = |slot: &&Slot| slot.reach == *reach && slot.entry.trigger.binding == *binding;
        self.slots.get(metadata)?.iter().find(same).map(|slot| &slot.entry)
    }

    /// Whether `namespace` may have one more trigger.
    pub(super) fn room_for_trigger(&self, namespace: &str, allowed: &Allowance) -> Result<(), Full> {
        self.triggers.room(namespace, &allowed.triggers, Limit::Triggers)?;
        if self.metadata.in_all < limits::METADATA && self.metadata.of(namespace) < limits::METADATA_OF_NAMESPACE {
            return Ok(());
        }
        Limit::Triggers.crossed();
        let text = "the server holds as many bytes of metadata as it can: shorten long values (a `ca` that is the same in \
                    thousands of triggers, say), or take some triggers away";
        Err(Full(text.to_owned()))
    }

    /// Whether `namespace` may use one more connection, unless `connection` is in use already.
    pub(super) fn room_for_connection(
        &self,
        connection: &ConnectionId,
        namespace: &str,
        allowed: &Allowance,
    ) -> Result<(), Full> {
        if self.connections.contains_key(connection) {
            return Ok(());
        }
        self.connections_used.room(namespace, &allowed.connections, Limit::Connections)
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let (entry, namespace) = (Arc::clone(&slot.entry), Arc::clone(&slot.namespace));
        let connection = slot.connection.clone();
        self.slots.entry(Arc::clone(&entry.trigger.metadata)).or_default().push(slot);
        self.triggers.add(&namespace, 1);
        self.metadata.add(&namespace, entry.trigger.metadata.bytes());
        self.enter(&connection, &namespace);
        self.numbers.insert(entry.number, entry);
    }

    /// Takes an entry out, with its loop. None if it is not in there.
    pub(super) fn remove(&mut self, entry: &Entry) -> Option<Slot> {
        let slots = self.slots.get_mut(&entry.trigger.metadata)?;
        let at = slots.iter().position(|slot| slot.entry.number == entry.number)?;
        let slot = slots.swap_remove(at);
        if slots.is_empty() {
            self.slots.remove(&entry.trigger.metadata);
        }
        self.numbers.remove(&entry.number);
        self.triggers.subtract(&slot.namespace, 1);
        self.metadata.subtract(&slot.namespace, entry.trigger.metadata.bytes());
        self.leave(&slot.connection);
        Some(slot)
    }

    /// Counts an entry under another connection than so far, if there is room for that.
    pub(super) fn move_to(
        &mut self,
        entry: &Entry,
        connection: &ConnectionId,
        allowed: &Allowance,
    ) -> Result<(), Full> {
        let slots = self.slots.get(&entry.trigger.metadata);
        let Some(slot) = slots.and_then(|slots| slots.iter().find(|slot| slot.entry.number == entry.number)) else {
            return Ok(());
        };
        if slot.connection == *connection {
            return Ok(());
        }
        let (left, namespace) = (slot.connection.clone(), Arc::clone(&slot.namespace));
        self.leave(&left);
        let room = self.room_for_connection(connection, &namespace, allowed);
        let taken = if room.is_ok() { connection } else { &left };
        self.enter(taken, &namespace);
        let taken = taken.clone();
        let slots = self.slots.get_mut(&entry.trigger.metadata);
        if let Some(slot) = slots.and_then(|slots| slots.iter_mut().find(|slot| slot.entry.number == entry.number)) {
            slot.connection = taken;
        }
        room
    }

    fn enter(&mut self, connection: &ConnectionId, namespace: &Arc<str>) {
        match self.connections.get_mut(connection) {
            Some(used) => used.entries += 1,
            None => {
                self.connections_used.add(namespace, 1);
                self.connections
                    .insert(connection.clone(), Connection { namespace: Arc::clone(namespace), entries: 1 });
            }
        }
    }

    fn leave(&mut self, connection: &ConnectionId) {
        if let Some(used) = self.connections.get_mut(connection) {
            used.entries -= 1;
            if used.entries == 0 {
                let namespace = Arc::clone(&used.namespace);
                self.connections.remove(connection);
                self.connections_used.subtract(&namespace, 1);
            }
        }
    }

    /// All entries after a number, in the order of their numbers.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.numbers.range(number.saturating_add(1)..).map(|(_, entry)| entry)
    }

    /// The entry of this number.
    pub(super) fn of_number(&self, number: u64) -> Option<&Arc<Entry>> {
        self.numbers.get(&number)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.triggers.in_all
    }

    /// How many connections are in use.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }
}

impl Used {
    fn room(&self, namespace: &str, room: &Room, limit: Limit) -> Result<(), Full> {
        let what = limit.as_str();
        let mine = self.of(namespace);
        let text = if self.in_all >= room.in_all {
            format!("the server has its {} {what}: raise `--max-{what}`, or take some away", room.in_all)
        } else if mine >= room.per_namespace {
            format!(
                "the namespace has its {} {what}: raise `--max-{what}-per-namespace` of the server, or take some away",
                room.per_namespace
            )
        } else {
            return Ok(());
        };
        limit.crossed();
        Err(Full(text))
    }

    fn of(&self, namespace: &str) -> usize {
        self.by_namespace.get(namespace).copied().unwrap_or_default()
    }

    fn add(&mut self, namespace: &Arc<str>, amount: usize) {
        self.in_all += amount;
        *self.by_namespace.entry(Arc::clone(namespace)).or_default() += amount;
    }

    fn subtract(&mut self, namespace: &str, amount: usize) {
        self.in_all -= amount;
        if let Some(count) = self.by_namespace.get_mut(namespace) {
            *count -= amount;
            if *count == 0 {
                self.by_namespace.remove(namespace);
            }
        }
    }
}
