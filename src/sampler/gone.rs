//! An object that the cluster has deleted asks no more: what was observed for it alone goes at once.
//!
//! Not for: objects that have only stopped asking (`observe.rs`).

use std::sync::{Arc, Weak};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Core, entry::Entry, table::Slot};
use crate::object::ObjectRef;

/// Lets go of what each deleted object had.
pub(super) async fn follow(mut gone: Receiver<ObjectRef>, core: Weak<Core>) {
    loop {
        match gone.recv().await {
            Ok(object) => {
                if let Some(core) = core.upgrade() {
                    core.let_go(object.borrowed());
                }
            }
            // Those that were missed are forgotten when nobody has asked for a while.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

impl Core {
    fn let_go(&self, object: ObjectRef<&str>) {
        self.refused.let_go(object);
        let mut table = self.table.write();
        let alone = |slot: &&Slot| slot.entry.askers.let_go(object);
        let alone: Vec<Arc<Entry>> = table.slots().filter(alone).map(|slot| Arc::clone(&slot.entry)).collect();
        let slots: Vec<Slot> = alone.iter().filter_map(|entry| table.remove(entry)).collect();
        drop(table);
        self.metrics.triggers.dec_by(i64::try_from(slots.len()).unwrap_or(i64::MAX));
        for entry in alone {
            entry.retire();
        }
    }
}
