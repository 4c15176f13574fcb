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
pub struct Pool<K, C>(Mutex<Clients<K, C>>);

struct Clients<K, C> {
    by_key: HashMap<K, Weak<C>>,
    /// How many there may be before those that are gone are cleared away.
    tidy_at: usize,
}

/// Below that many, nobody need tidy.
const FEW: usize = 32;

impl<K: Eq + Hash + Clone, C> Pool<K, C> {
    /// The client of `key`, made by `connect` if nobody holds one. `connect` must not block: it starts, it does
    /// not wait.
    ///
    /// Those that are gone are cleared away when there are twice as many entries as were alive the last time: a new
    /// client costs the same however many there are.
    pub fn get(&self, key: &K, connect: impl FnOnce() -> C) -> Arc<C> {
        let mut clients = self.0.lock();
        if let Some(client) = clients.by_key.get(key).and_then(Weak::upgrade) {
            return client;
        }
        if clients.by_key.len() >= clients.tidy_at {
            clients.by_key.retain(|_, client| client.strong_count() > 0);
            clients.tidy_at = FEW.max(clients.by_key.len() * 2);
        }
        let client = Arc::new(connect());
        clients.by_key.insert(key.clone(), Arc::downgrade(&client));
        client
    }

    /// How many clients are alive.
    pub fn len(&self) -> usize {
        self.0.lock().by_key.values().filter(|client| client.strong_count() > 0).count()
    }

    /// Whether no client is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, C> Default for Pool<K, C> {
    fn default() -> Self {
        Self(Mutex::new(Clients { by_key: HashMap::new(), tidy_at: FEW }))
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
    #[test]
    fn memory_follows_the_clients_that_are_alive() {
        let pool = Pool::default();
        let held: Vec<_> = (0..1000).map(|n| pool.get(&n, || n)).collect();
        for n in 1000..100_000 {
            pool.get(&n, || n);
        }
        assert_eq!(pool.len(), 1000);
        assert!(pool.0.lock().by_key.len() <= 2001, "{}", pool.0.lock().by_key.len());
        drop(held);
        pool.get(&0, || 0);
        (0..2002).for_each(|n| drop(pool.get(&(n + 200_000), || n)));
        assert!(pool.0.lock().by_key.len() <= 2 * FEW, "{}", pool.0.lock().by_key.len());
    }

    #[test]
    fn a_new_client_costs_the_same_however_many_there_are() {
        let pool = Pool::default();
        let (mut held, mut tidied, mut visited) = (Vec::new(), 0, 0);
        for n in 0..20_000 {
            let before = pool.0.lock().tidy_at;
            held.push(pool.get(&n, || n));
            if pool.0.lock().tidy_at != before {
                (tidied, visited) = (tidied + 1, visited + n);
            }
        }
        assert!(tidied < 12 && visited < 40_000, "tidied {tidied} times, {visited} visits");
    }
}
