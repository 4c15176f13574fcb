//! Which trigger asked: KEDA says the object's name and the trigger's metadata, and neither a kind nor an index.
//!
//! A trigger is meant if its metadata is what was sent, byte by byte. Two that are meant and name different authentications
//! are an error, and so is none: a wrong guess would send a password to the wrong broker. Pure, from memory.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    path::Kind,
    scaled::{AuthName, Entry, Scaled, Settings},
    view::{Pair, Standing, View},
};
use crate::{credentials::Facts, metadata::Metadata, object::ObjectRef};

/// The trigger that asked.
#[derive(Debug, Clone)]
pub struct Found {
    pub kind: Kind,
    pub object: Arc<Scaled>,
    /// Where in its entries the trigger is; the first where several are meant that name the same authentication.
    position: usize,
}

impl Found {
    /// The trigger at `position` among the entries of `object`.
    pub fn new(kind: Kind, object: &Arc<Scaled>, position: usize) -> Self {
        Self { kind, object: Arc::clone(object), position }
    }

    /// Whether KEDA acts on a push: never for a ScaledJob, and past an activation target of `scalingModifiers`.
    pub fn pushes(&self) -> bool {
        self.kind != Kind::ScaledJob && !self.object.settings.activation_target
    }

    /// What the objects say besides.
    pub fn facts(&self) -> Facts {
        let Settings { polling_interval, min, max, fallback, paused, .. } = self.object.settings;
        Facts {
            kind: self.kind.as_str(),
            index: self.entry().map_or(0, |entry| entry.index),
            trigger: self.entry().and_then(|entry| entry.name.as_deref()).map(str::to_owned),
            polling_interval,
            min,
            max,
            fallback,
            paused,
            pushes: self.pushes(),
        }
    }

    pub fn entry(&self) -> Option<&Entry> {
        self.object.entries.get(self.position)
    }
}

/// Why it is not known which trigger asked, so that no credentials can be used for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// There is no such object.
    #[error(
        "there is no ScaledObject and no ScaledJob `{namespace}/{name}` that this server can see: let it read the namespace, \
         or remove what still asks"
    )]
    NoObject {
        /// Of the object.
        namespace: String,
        /// Of the object.
        name: String,
    },
    /// No trigger of the object has this metadata.
    #[error(
        "no trigger of `{namespace}/{name}` has the metadata that was sent, so its `authenticationRef` is not known: KEDA \
         sends the new one once it has taken up the edit; where it does not, look at what changes it on the way"
    )]
    NoTrigger {
        /// Of the object.
        namespace: String,
        /// Of the object.
        name: String,
    },
    /// Several have it, and name different authentications.
    #[error(
        "triggers {triggers} of `{namespace}/{name}` have the same metadata and different authentications, and KEDA does not \
         say which one asks: give each a `name`, and the same in its metadata as `triggerName`"
    )]
    Ambiguous {
        /// Of the object.
        namespace: String,
        /// Of the object.
        name: String,
        /// Which ones.
        triggers: String,
    },
    /// It names one of each kind.
    #[error("`triggerAuthentication` and `clusterTriggerAuthentication` exclude each other: drop one")]
    Both,
    /// The objects have not been read yet.
    #[error("the ScaledObjects of namespace `{namespace}` have not been read yet: {why}")]
    NotSynced {
        /// Of the object.
        namespace: String,
        /// What is in the way, and what to do.
        why: String,
    },
}

/// Which trigger of `object` has `metadata`.
pub fn find(view: &View, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Found, Unbound> {
    let (namespace, name) = (object.namespace.to_owned(), object.name.to_owned());
    match view.pair(object, |pair| of_pair(pair, metadata)) {
        Some(Ok(Some(found))) => Ok(found),
        Some(Ok(None)) => Err(Unbound::NoTrigger { namespace, name }),
        Some(Err(Some(triggers))) => Err(Unbound::Ambiguous { namespace, name, triggers }),
        Some(Err(None)) => Err(Unbound::Both),
        None => Err(unseen(view, namespace, name)),
    }
}

/// The one that is meant; the indexes of those between which it cannot be said.
fn of_pair(pair: &Pair, metadata: &Metadata) -> Result<Option<Found>, Option<String>> {
    let now = pair.both().flat_map(|(kind, object)| (0..object.entries.len()).map(move |at| (kind, object, at)));
    let found = only(now, metadata)?;
    if found.is_some() {
        return Ok(found);
    }
    let valid = pair.before.iter().filter(|before| before.until > Instant::now());
    only(valid.map(|before| (before.kind, &before.object, before.position)), metadata)
}

fn only<'v>(
    entries: impl Iterator<Item = (Kind, &'v Arc<Scaled>, usize)>,
    metadata: &Metadata,
) -> Result<Option<Found>, Option<String>> {
    let entries = entries.filter_map(|(kind, object, at)| Some((kind, object, at, object.entries.get(at)?)));
    let mut meant = entries.filter(|(.., entry)| entry.matches(metadata));
    let Some((kind, object, position, entry)) = meant.next() else { return Ok(None) };
    let rest: Vec<&Entry> = meant.map(|(.., other)| other).collect();
    if rest.iter().any(|other| other.auth != entry.auth) {
        let indexes = std::iter::once(entry.index).chain(rest.iter().map(|other| other.index));
        return Err(Some(indexes.map(|index| index.to_string()).collect::<Vec<_>>().join(" and ")));
    }
    if entry.auth == AuthName::Both {
        return Err(None);
    }
    Ok(Some(Found { kind, object: Arc::clone(object), position }))
}

fn unseen(view: &View, namespace: String, name: String) -> Unbound {
    for kind in [Kind::ScaledObject, Kind::ScaledJob] {
        match view.standing(kind, &namespace) {
            Some(Standing::Live) => {}
            Some(Standing::Lost(_, why)) => return Unbound::NotSynced { namespace, why: why.text },
            Some(Standing::Waiting(why)) => {
                let unheard = || "the API server has not answered, wait for it or check it".to_owned();
                let why = why.map_or_else(unheard, |why| why.text);
                return Unbound::NotSynced { namespace, why };
            }
            None => {
                let why =
                    "it is not among those that this server watches, add it to `--kubernetes-namespaces`".to_owned();
                return Unbound::NotSynced { namespace, why };
            }
        }
    }
    Unbound::NoObject { namespace, name }
}
