//! How much of the cluster's objects is kept, in all and of each namespace: whoever fills one leaves room for the others.
//!
//! Not for: what is kept (`view.rs`).

use std::collections::HashMap;

use crate::limits::{self, Limit};

/// Objects and their bytes.
#[derive(Debug, Default)]
pub struct Room {
    in_all: Used,
    namespaces: HashMap<Box<str>, Used>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    objects: usize,
    bytes: usize,
}

impl Used {
    fn fits(self, bytes: usize, quarters: usize) -> bool {
        self.objects < limits::KUBERNETES_OBJECTS / 4 * quarters
            && self.bytes + bytes <= limits::KUBERNETES_HELD / 4 * quarters
    }
}

impl Room {
    /// Takes room for an object of `new` bytes in the place of one of `old`. False where there is none: then nothing changes.
    pub fn swap(&mut self, namespace: &str, old: Option<usize>, new: usize) -> bool {
        if let Some(old) = old {
            self.give(namespace, old);
        }
        let taken = self.take(namespace, new);
        if let Some(old) = old.filter(|_| !taken) {
            self.take(namespace, old);
        }
        taken
    }

    fn take(&mut self, namespace: &str, bytes: usize) -> bool {
        let used = self.namespaces.get(namespace).copied().unwrap_or_default();
        if !used.fits(bytes, 3) || !self.in_all.fits(bytes, 4) {
            Limit::Triggers.crossed();
            return false;
        }
        let used = self.namespaces.entry(namespace.into()).or_default();
        for used in [&mut self.in_all, used] {
            used.objects += 1;
            used.bytes += bytes;
        }
        true
    }

    /// Gives it back.
    pub fn give(&mut self, namespace: &str, bytes: usize) {
        let Some(used) = self.namespaces.get_mut(namespace) else { return };
        for used in [&mut self.in_all, &mut *used] {
            used.objects = used.objects.saturating_sub(1);
            used.bytes = used.bytes.saturating_sub(bytes);
        }
        if used.objects == 0 {
            self.namespaces.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_fills_its_part_leaves_a_quarter_to_the_others() {
        let mut room = Room::default();
        let of_greedy = (0..).take_while(|_| room.take("greedy", 100)).count();
        assert_eq!(of_greedy, limits::KUBERNETES_OBJECTS / 4 * 3);
        let of_others = (0..).take_while(|n| room.take(&format!("n{n}"), 100)).count();
        assert_eq!(of_others, limits::KUBERNETES_OBJECTS / 4);
        assert!(!room.swap("greedy", Some(100), limits::KUBERNETES_HELD) && !room.take("more", 100));
        assert!(room.swap("greedy", Some(100), 200) && !room.take("more", 100));
        room.give("greedy", 200);
        assert!(room.take("another", 100) && !room.take("more", 100));
        let mut room = Room::default();
        assert!(!room.take("greedy", limits::KUBERNETES_HELD / 4 * 3 + 1));
        assert!(
            room.take("greedy", limits::KUBERNETES_HELD / 4 * 3) && room.take("other", limits::KUBERNETES_HELD / 4)
        );
    }
}
