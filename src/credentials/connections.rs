//! Named connections: what a trigger means by `connection: main`.
//!
//! Not for: the file they stand in (`config`).

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    metadata::Parameters,
};

/// All named connections, as they are now. Cheap to clone; all clones see the same changes.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<RwLock<All>>);

#[derive(Debug, Default)]
struct All {
    named: BTreeMap<Arc<str>, Named>,
    /// When they were read.
    read: Option<Instant>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Named {
    /// The scaler types that it is for.
    pub scaler_types: &'static [&'static str],
    /// What a trigger of it has besides its metadata.
    pub parameters: Arc<Parameters>,
    /// Who may use it; everybody where it does not say.
    pub namespaces: Option<BTreeSet<String>>,
}

/// A trigger's hold on a connection, whatever that says at a time.
#[derive(Debug, Clone)]
pub struct Connection {
    name: Arc<str>,
    all: Connections,
}

impl Connections {
    /// Puts others in their place. Who has the same parameters as before keeps the allocation, by which it is known.
    pub fn replace(&self, mut connections: BTreeMap<Arc<str>, Named>) {
        let mut all = self.0.write();
        for (name, named) in &mut connections {
            if let Some(before) = all.named.get(name).filter(|before| before.parameters == named.parameters) {
                named.parameters = Arc::clone(&before.parameters);
            }
        }
        *all = All { named: connections, read: Some(Instant::now()) };
    }

    /// All of them, for people.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<Arc<str>, Named> {
        self.0.read().named.clone()
    }

    /// The connection `name`, if `namespace` may use it for `scaler_type`; else what is wrong and what to do.
    pub fn find(&self, name: &str, namespace: &str, scaler_type: &str) -> Result<Connection, String> {
        let all = &self.0.read().named;
        let allowed = |named: &Named| named.namespaces.as_ref().is_none_or(|list| list.contains(namespace));
        if let Some((name, named)) = all.get_key_value(name).filter(|(_, named)| allowed(named)) {
            if named.scaler_types.contains(&scaler_type) {
                return Ok(Connection { name: Arc::clone(name), all: self.clone() });
            }
            let types: Vec<String> = named.scaler_types.iter().map(|known| format!("`{known}`")).collect();
            let (shown, types) = (quoted(name), types.join(", "));
            return Err(format!(
                "`connection` names `{shown}`, which is for {types}: use another, or correct `scalerType`"
            ));
        }
        // Names that others may use are not told.
        let usable: Vec<String> =
            all.iter().filter(|(_, named)| allowed(named)).map(|(name, _)| format!("`{name}`")).collect();
        let shown = quoted(name);
        Err(if all.is_empty() {
            format!(
                "`connection` names `{shown}`, and the server has no named connections: give it some with `--config`"
            )
        } else if usable.is_empty() {
            format!(
                "`connection` names `{shown}`, and this namespace may use none of the server's connections: \
                 add it to their `namespaces` in the server's config"
            )
        } else {
            format!(
                "`connection` names `{shown}`, which is not a connection of this namespace: use one of {}",
                usable.join(", ")
            )
        })
    }
}

impl Connection {
    /// How a trigger calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When its present contents were read; none when it is gone.
    #[must_use]
    pub fn read(&self) -> Option<Instant> {
        let all = self.all.0.read();
        all.read.filter(|_| all.named.contains_key(&self.name))
    }

    /// What it says now, with its name; `None` when it is gone.
    #[must_use]
    pub fn parameters(&self) -> Option<(Arc<str>, Arc<Parameters>)> {
        self.all.0.read().named.get(&self.name).map(|named| (Arc::clone(&self.name), Arc::clone(&named.parameters)))
    }
}

/// The server's config has lost the connection `name`.
pub(super) fn gone(name: &str) -> ReadError {
    let text =
        format!("the connection `{}` is no longer in the server's config: put it back, or use another", quoted(name));
    ReadError::new(ReadErrorKind::NotFound, text)
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Connection {}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
