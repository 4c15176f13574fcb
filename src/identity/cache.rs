//! One live identity for all who use the same, whichever backend they come from; it lives as long as one of them does.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

/// Identities by what makes them, held weakly.
pub struct Cache<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K: Eq + Hash, V> Cache<K, V> {
    /// The identity of `key`, made by `make` if nobody holds one. `make` must not block.
    pub fn get(&self, key: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        let mut held = self.0.lock();
        if let Some(identity) = held.get(&key).and_then(Weak::upgrade) {
            return identity;
        }
        // Those that are gone are swept when there is no room left, so that an insertion costs the same on average.
        if held.len() == held.capacity() {
            held.retain(|_, identity| identity.strong_count() > 0);
        }
        let identity = Arc::new(make(&key));
        held.insert(key, Arc::downgrade(&identity));
        identity
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_one_identity_until_the_last_user_is_gone_and_nothing_is_left_behind() {
        let cache = Cache::default();
        let first = cache.get(0, |_| "first");
        assert_eq!(*cache.get(0, |_| "second"), "first");
        drop(first);
        assert_eq!(*cache.get(0, |_| "third"), "third");
        for key in 0..10_000 {
            cache.get(key, |_| "passing");
        }
        assert!(cache.0.lock().len() < 100);
    }
}
