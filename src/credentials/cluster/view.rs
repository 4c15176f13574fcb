//! KEDA's objects as they were last heard of, in small structs, by namespace and name.
//!
//! Not for: where they come from (`watch.rs`, `look.rs`), or which trigger is meant (`matching.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use tokio::{sync::broadcast, time::Instant};

use super::{auth::Auth, path::Kind, room::Room, scaled::Scaled};
use crate::{limits, object::ObjectRef};

/// Everything that is known of the cluster's objects.
#[derive(Debug)]
pub struct View {
    scaled: RwLock<ByName<Pair>>,
    auths: RwLock<HashMap<Kind, ByName<KnownAuth>>>,
    room_of_scaled: Mutex<Room>,
    room_of_auths: Mutex<Room>,
    /// Counts every change of an authentication.
    changes: AtomicU64,
    /// Each watch, and how it stands.
    standing: RwLock<BTreeMap<Scope, Standing>>,
    gone: broadcast::Sender<ObjectRef>,
}

/// An authentication, and how many bytes it came in.
type KnownAuth = (Arc<Auth>, usize);
type ByName<T> = HashMap<Box<str>, HashMap<Box<str>, T>>;

/// What one watch covers: a kind, in one namespace or in all.
pub type Scope = (Kind, Option<Arc<str>>);

/// How a watch stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing was heard yet; why not, where that is known.
    Waiting(Option<Trouble>),
    /// Everything was heard, and changes since.
    Live,
    /// Everything was heard until then; why no longer.
    Lost(Instant, Trouble),
}

/// What is in the way of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// It is for whoever grants rights to mend.
    pub of_rights: bool,
    /// In words, with the cure.
    pub text: String,
}

/// The ScaledObject and the ScaledJob of one name.
#[derive(Debug, Default)]
pub struct Pair {
    pub object: Option<Arc<Scaled>>,
    pub job: Option<Arc<Scaled>>,
    /// Triggers as they were before an edit.
    pub before: Vec<Before>,
}

/// A trigger that has been edited away.
#[derive(Debug)]
pub struct Before {
    pub kind: Kind,
    pub object: Arc<Scaled>,
    /// Where in the object's entries.
    pub position: usize,
    /// When nobody may ask for it any more.
    pub until: Instant,
}

impl Pair {
    pub fn both(&self) -> impl Iterator<Item = (Kind, &Arc<Scaled>)> {
        let object = self.object.iter().map(|object| (Kind::ScaledObject, object));
        object.chain(self.job.iter().map(|job| (Kind::ScaledJob, job)))
    }

    fn slot(&mut self, kind: Kind) -> &mut Option<Arc<Scaled>> {
        if kind == Kind::ScaledJob { &mut self.job } else { &mut self.object }
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            scaled: RwLock::default(),
            auths: RwLock::default(),
            room_of_scaled: Mutex::default(),
            room_of_auths: Mutex::default(),
            changes: AtomicU64::new(0),
            standing: RwLock::default(),
            gone: broadcast::Sender::new(limits::KUBERNETES_NEWS),
        }
    }
}

impl View {
    /// What is known of `object`.
    pub fn pair<T>(&self, object: ObjectRef<&str>, look: impl FnOnce(&Pair) -> T) -> Option<T> {
        let scaled = self.scaled.read();
        scaled.get(object.namespace)?.get(object.name).map(look)
    }

    /// The authentication of this name; `namespace` is "" for one of the cluster.
    pub fn auth(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Auth>> {
        self.auths.read().get(&kind)?.get(namespace)?.get(name).map(|(auth, _)| Arc::clone(auth))
    }

    /// Rises with every change of an authentication.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Told of each object that is deleted.
    pub fn gone(&self) -> broadcast::Receiver<ObjectRef> {
        self.gone.subscribe()
    }

    /// Takes in an object, unless a newer one is known. False where there is no room for it.
    pub fn put_scaled(&self, kind: Kind, namespace: &str, name: &str, new: Scaled) -> bool {
        let mut scaled = self.scaled.write();
        let old = scaled.get_mut(namespace).and_then(|names| names.get_mut(name)?.slot(kind).as_ref());
        if old.is_some_and(|old| old.version > new.version || **old == new) {
            return true;
        }
        let old_size = old.map(|old| old.size());
        if !self.room_of_scaled.lock().swap(namespace, old_size, new.size()) {
            return false;
        }
        let pair = scaled.entry(namespace.into()).or_default().entry(name.into()).or_default();
        let (now, slot) = (Instant::now(), pair.slot(kind));
        let new = Arc::new(new);
        let old = slot.replace(Arc::clone(&new));
        pair.before.retain(|before| before.until > now);
        let Some(object) = old else { return true };
        for (position, entry) in object.entries.iter().enumerate() {
            let still = new.entries.iter().any(|new| new.is_same_question(entry));
            if !still && pair.before.len() < limits::KUBERNETES_TRIGGERS {
                let (object, until) = (Arc::clone(&object), now + object.grace());
                pair.before.push(Before { kind, object, position, until });
            }
        }
        true
    }

    /// Takes in an authentication of `bytes`. False where there is no room for it.
    pub fn put_auth(&self, kind: Kind, namespace: &str, name: &str, new: Auth, bytes: usize) -> bool {
        let mut auths = self.auths.write();
        let names = auths.entry(kind).or_default().entry(namespace.into()).or_default();
        let old = names.get(name);
        if old.is_some_and(|(old, _)| **old == new) {
            return true;
        }
        let old_bytes = old.map(|(_, bytes)| *bytes);
        if !self.room_of_auths.lock().swap(namespace, old_bytes, bytes) {
            return false;
        }
        names.insert(name.into(), (Arc::new(new), bytes));
        self.changes.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// It was deleted.
    pub fn remove(&self, kind: Kind, namespace: &str, name: &str) {
        if matches!(kind, Kind::ScaledObject | Kind::ScaledJob) {
            let mut scaled = self.scaled.write();
            let Some(names) = scaled.get_mut(namespace) else { return };
            let Some(pair) = names.get_mut(name) else { return };
            if let Some(old) = pair.slot(kind).take() {
                self.room_of_scaled.lock().give(namespace, old.size());
            }
            if pair.both().next().is_none() {
                names.remove(name);
                if names.is_empty() {
                    scaled.remove(namespace);
                }
                // Nobody listens: nobody keeps anything for it either.
                self.gone.send(ObjectRef { namespace: namespace.to_owned(), name: name.to_owned() }).ok();
            }
            return;
        }
        let mut auths = self.auths.write();
        let names = auths.get_mut(&kind).and_then(|of| of.get_mut(namespace));
        if let Some((_, bytes)) = names.and_then(|names| names.remove(name)) {
            self.room_of_auths.lock().give(namespace, bytes);
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// All names within `scope`, to see which are no longer listed.
    pub fn names(&self, (kind, within): &Scope) -> Vec<ObjectRef> {
        let inside = |namespace: &str| within.as_ref().is_none_or(|within| **within == *namespace);
        let named = |namespace: &str, name: &str| ObjectRef { namespace: namespace.to_owned(), name: name.to_owned() };
        match kind {
            Kind::ScaledObject | Kind::ScaledJob => {
                let scaled = self.scaled.read();
                let here = scaled.iter().filter(|(namespace, _)| inside(namespace));
                here.flat_map(|(namespace, names)| {
                    let of_kind = names.iter().filter(|(_, pair)| pair.both().any(|(of, _)| of == *kind));
                    of_kind.map(move |(name, _)| named(namespace, name))
                })
                .collect()
            }
            _ => {
                let auths = self.auths.read();
                let here = auths.get(kind).into_iter().flatten().filter(|(namespace, _)| inside(namespace));
                here.flat_map(|(namespace, names)| names.keys().map(move |name| named(namespace, name))).collect()
            }
        }
    }

    /// Looks at all of them.
    pub fn each_scaled(&self, mut look: impl FnMut(&str, &str, &Pair)) {
        for (namespace, names) in &*self.scaled.read() {
            names.iter().for_each(|(name, pair)| look(namespace, name, pair));
        }
    }

    /// How the watch of `kind` in `namespace` stands; `None` where there is none.
    pub fn standing(&self, kind: Kind, namespace: &str) -> Option<Standing> {
        let standing = self.standing.read();
        let of_all = standing.get(&(kind, None));
        of_all.or_else(|| standing.get(&(kind, Some(namespace.into())))).cloned()
    }

    /// Every watch.
    pub fn standings(&self) -> Vec<(Scope, Standing)> {
        self.standing.read().iter().map(|(scope, standing)| (scope.clone(), standing.clone())).collect()
    }

    /// How a watch stands now; the answer is how it stood.
    pub fn set_standing(&self, scope: &Scope, now: Standing) -> Option<Standing> {
        self.standing.write().insert(scope.clone(), now)
    }

    /// Does `look` for each object.
    pub fn each(&self, mut look: impl FnMut(&str, &str, Kind, &Arc<Scaled>)) {
        for (namespace, names) in &*self.scaled.read() {
            for (name, pair) in names {
                pair.both().for_each(|(kind, scaled)| look(namespace, name, kind, scaled));
            }
        }
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.scaled.read().values().map(HashMap::len).sum()
    }
}
