//! Who owns which key of a Redis Cluster: the hash of a key, and the map from slots to nodes.
//!
//! Pure; asking the cluster for its map is `cluster.rs`'s.

use std::sync::Arc;

use crate::backend::redis::{address::Address, reply::Reply};

/// How many slots a cluster has.
const SLOTS: usize = 16_384;
/// A slot without an owner.
const NOBODY: u16 = u16::MAX;

/// Owners by slot.
#[derive(Debug, Clone)]
pub struct Slots {
    owners: Vec<u16>,
    nodes: Vec<Address>,
}

impl Slots {
    /// Reads the reply to `CLUSTER SLOTS` of a node at `host`; `None` when it is no such reply or names no owner.
    pub fn parse(reply: &Reply, host: &Arc<str>) -> Option<Self> {
        let mut slots = Self { owners: vec![NOBODY; SLOTS], nodes: Vec::new() };
        for range in reply.items() {
            let [Reply::Int(first), Reply::Int(last), master, ..] = range.items() else { return None };
            let [name, Reply::Int(port), ..] = master.items() else { return None };
            // A node that does not know its own name means the one we asked it by.
            let name =
                name.text().filter(|name| !name.is_empty() && *name != "?").map_or_else(|| host.clone(), Arc::from);
            let owner = slots.node(Address::new(name, u16::try_from(*port).ok()?))?;
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            slots.owners.get_mut(first..=last)?.fill(owner);
        }
        (!slots.nodes.is_empty()).then_some(slots)
    }

    /// The owner of `key`.
    pub fn owner(&self, key: &str) -> Option<&Address> {
        self.nodes.get(usize::from(*self.owners.get(slot(key))?))
    }

    /// Notes that `key`'s slot is `owner`'s.
    pub fn learn(&mut self, key: &str, owner: Address) {
        let Some(number) = self.node(owner) else { return };
        if let Some(entry) = self.owners.get_mut(slot(key)) {
            *entry = number;
        }
    }

    /// Whether each slot has the same owner in both.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let owner = |slots: &Self, number: &u16| slots.nodes.get(usize::from(*number)).cloned();
        self.owners.iter().zip(&other.owners).all(|(mine, yours)| owner(self, mine) == owner(other, yours))
    }

    /// Every node that owns a slot, or has.
    pub fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    fn node(&mut self, address: Address) -> Option<u16> {
        let known = self.nodes.iter().position(|node| *node == address);
        let number = known.unwrap_or_else(|| {
            self.nodes.push(address);
            self.nodes.len() - 1
        });
        u16::try_from(number).ok().filter(|number| *number != NOBODY)
    }
}

/// The slot of `key`: CRC16 (XMODEM) of the part between the first `{` and the next `}`, if there is one that is
/// not empty, else of all.
fn slot(key: &str) -> usize {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ (if crc & 0x8000 == 0 { 0 } else { 0x1021 }))
    });
    usize::from(crc) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_redis() {
        // From `CLUSTER KEYSLOT`.
        for (key, expected) in [
            ("foo", 12_182),
            ("123456789", 12_739),
            ("", 0),
            ("{user1000}.following", 3_443),
            ("user1000", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn the_map_names_each_slots_master_and_learns() {
        let node = |host: Reply, port| Reply::List(vec![host, Reply::Int(port), Reply::Text("id".to_owned())]);
        let range = |first, last, master| Reply::List(vec![Reply::Int(first), Reply::Int(last), master]);
        let reply = Reply::List(vec![
            range(0, 5_460, node(Reply::Text("a".to_owned()), 1)),
            range(5_461, 16_383, node(Reply::Nil, 2)),
        ]);
        let mut slots = Slots::parse(&reply, &"asked".into()).expect("a map");
        assert_eq!(slots.owner("user1000"), Some(&Address::new("a", 1)));
        assert_eq!(slots.owner("foo"), Some(&Address::new("asked", 2)));
        slots.learn("foo", Address::new("b", 3));
        assert_eq!(slots.owner("{foo}1"), Some(&Address::new("b", 3)));
        let again = Slots::parse(&reply, &"asked".into()).expect("a map");
        assert!(!slots.agrees_with(&again));
        slots.learn("foo", Address::new("asked", 2));
        assert!(slots.agrees_with(&again));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for reply in [Reply::Nil, Reply::List(vec![]), Reply::List(vec![Reply::Int(1)])] {
            assert!(Slots::parse(&reply, &"asked".into()).is_none(), "{reply:?}");
        }
    }
}
