//! One client per connection, however many triggers use it; it lives as long as one of them does.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

/// The clients of one backend, by what makes a connection (`K`: address, credentials, TLS).
///
/// Holds them weakly: when the last source that uses a client is dropped, so is the client.
pub struct Pool<K, C>(Mutex<HashMap<K, Weak<C>>>);

impl<K: Eq + Hash + Clone, C> Pool<K, C> {
    /// The client of `key`, made by `connect` if nobody holds one. `connect` must not block: it starts, it does
    /// not wait.
    pub fn get(&self, key: &K, connect: impl FnOnce() -> C) -> Arc<C> {
        let mut clients = self.0.lock();
        if let Some(client) = clients.get(key).and_then(Weak::upgrade) {
            return client;
        }
        clients.retain(|_, client| client.strong_count() > 0);
        let client = Arc::new(connect());
        clients.insert(key.clone(), Arc::downgrade(&client));
        client
    }

    /// How many clients are alive.
    pub fn len(&self) -> usize {
        self.0.lock().values().filter(|client| client.strong_count() > 0).count()
    }

    /// Whether no client is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, C> Default for Pool<K, C> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone, C> fmt::Debug for Pool<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_one_client_until_the_last_user_is_gone() {
        let pool = Pool::default();
        let first = pool.get(&"a", || 1);
        let second = pool.get(&"a", || 2);
        assert_eq!((*first, *second, pool.len()), (1, 1, 1));
        drop((first, second));
        assert!(pool.is_empty());
        assert_eq!(*pool.get(&"a", || 3), 3);
    }
}
