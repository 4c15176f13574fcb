//! Whose secrets a trigger may use: named connections of the server's config, and what KEDA's own objects refer to.
//!
//! What is found is a [`Login`]: parameters by the names that scalers have for them. Not for: the order in which a scaler
//! looks at them (`metadata`), or tokens of clouds (`identity`).

#[cfg_attr(not(feature = "kubernetes"), path = "without.rs")]
pub mod cluster;
mod connections;
mod facts;
#[cfg(feature = "kubernetes")]
pub mod stores;

use std::{sync::Arc, time::Duration};

use cluster::{Cluster, Reference};
pub use connections::{Connection, Connections, Named};
pub use facts::{Asked, Facts, Unasked, polling_interval};
use tokio::time::Instant;

use crate::{
    error::{Problem, ReadError, ReadErrorKind, SpecError, quoted},
    identity::held,
    metadata::{Login, Metadata, Parameters},
    object::ObjectRef,
    telemetry,
};

/// The metadata key that names a connection.
pub const CONNECTION: &str = "connection";
/// The metadata keys that name an authentication for this server alone, beside or in place of `authenticationRef`.
pub const REFERENCES: [&str; 2] = ["triggerAuthentication", "clusterTriggerAuthentication"];

/// Where parameters may come from. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Of the config file.
    pub connections: Connections,
    /// KEDA's objects, where they are read.
    pub cluster: Option<Cluster>,
}

/// The credentials that are kept now, by who keeps them: for the series.
#[must_use]
pub fn held() -> Vec<(&'static str, telemetry::Credentials)> {
    let shown =
        |(keeper, held::Ages { held, failing, oldest })| (keeper, telemetry::Credentials { held, failing, oldest });
    held::ages().into_iter().map(shown).collect()
}

/// What gives a trigger its parameters, besides its metadata; equal when they are the same for all time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Binding {
    connection: Option<Connection>,
    reference: Option<Reference>,
    terms: Terms,
}

/// What the object says of its trigger besides a login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// KEDA asks this often, which is more often than a sample lives where nobody says how long.
    pub interval: Option<Duration>,
    /// KEDA does not act on a push, or would by it pass by what its polls decide.
    pub never_pushed: bool,
}

/// Why a trigger has no binding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// The metadata names what is not there, or not for its namespace.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Who asks is not known, or cannot be told from others.
    #[error(transparent)]
    Unknown(#[from] ReadError),
}

impl Credentials {
    /// What gives the trigger of `object` with this metadata its parameters. From memory alone, since it is part of every question.
    pub fn bind(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Binding, Unbound> {
        let (reference, terms) = self.of_object(object, metadata)?;
        let scaler_type = metadata.get("scalerType").map_or("", str::trim);
        let connection = match metadata.get(CONNECTION).map(str::trim).filter(|name| !name.is_empty()) {
            None => None,
            Some(name) => Some(self.connections.find(name, object.namespace, scaler_type).map_err(|text| {
                let problem = Problem::new(CONNECTION, &text);
                SpecError { problems: vec![problem] }
            })?),
        };
        Ok(Binding { connection, reference, terms })
    }

    /// The same; what is not known yet is looked for once.
    pub async fn bind_or_look(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Binding, Unbound> {
        match (self.bind(object, metadata), &self.cluster) {
            (Err(Unbound::Unknown(_)), Some(cluster)) => {
                cluster.look_again(object).await;
                self.bind(object, metadata)
            }
            (bound, _) => bound,
        }
    }

    fn of_object(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<(Option<Reference>, Terms), Unbound> {
        let Some(cluster) = &self.cluster else {
            let named =
                REFERENCES.into_iter().find(|key| metadata.get(key).is_some_and(|name| !name.trim().is_empty()));
            return named.map_or(Ok((None, Terms::default())), |key| {
                let text = format!(
                    "`{key}` is read where the server has `--kubernetes`: start it so, or give the login otherwise"
                );
                Err(Unbound::Spec(SpecError { problems: vec![Problem::new(key, &text)] }))
            });
        };
        let (reference, interval, pushes) = cluster.bind(object, metadata)?;
        Ok((reference, Terms { interval: Some(interval), never_pushed: !pushes }))
    }
}

impl From<cluster::Unbound> for Unbound {
    /// What a look at the API server may mend is of the objects, the rest of the trigger.
    fn from(unbound: cluster::Unbound) -> Self {
        use cluster::Unbound::{Ambiguous, Both, NoObject, NoTrigger, NotSynced};
        let text = unbound.to_string();
        let kind = match &unbound {
            Ambiguous { .. } => return Self::Spec(SpecError { problems: vec![Problem::new("triggerName", &text)] }),
            Both => return Self::Spec(SpecError { problems: vec![Problem::new("triggerAuthentication", &text)] }),
            NoObject { .. } | NoTrigger { .. } => ReadErrorKind::NotFound,
            NotSynced { .. } => ReadErrorKind::Unreachable,
        };
        Self::Unknown(ReadError::new(kind, text).of_source())
    }
}

impl Binding {
    /// Whether the metadata is all there is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.connection.is_none() && self.reference.is_none()
    }

    /// What the object says of its trigger besides.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The same; how often KEDA asks is told only where that is more often than `interval`.
    #[must_use]
    pub fn asked_within(mut self, interval: Duration) -> Self {
        self.terms.interval = self.terms.interval.filter(|asked| *asked < interval);
        self
    }

    /// Where the login is from, for people, and when it was last read there; nothing where the metadata is all there is.
    #[must_use]
    pub fn sources(&self) -> Vec<(String, Option<Instant>)> {
        let connection =
            self.connection.as_ref().map(|named| (format!("connection `{}`", quoted(named.name())), named.read()));
        let reference = self.reference.as_ref().map(|reference| (reference.to_string(), reference.read()));
        connection.into_iter().chain(reference).collect()
    }

    /// That what it says could not be read again, and since when.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        let (age, why) = self.reference.as_ref()?.away()?;
        let reference = self.reference.as_ref()?;
        Some(format!("what {reference} leads to could not be read again for {} s: {why}", age.as_secs()))
    }

    /// What is known now without asking anybody.
    #[must_use]
    pub fn at_hand(&self) -> Option<Login> {
        let reference = match &self.reference {
            None => None,
            Some(reference) => Some(reference.at_hand()?),
        };
        Some(Login { connection: self.of_connection()?, reference })
    }

    /// What is good now: mostly what is at hand, never older than what it came from allows.
    pub async fn login(&self) -> Result<Login, ReadError> {
        let reference = match &self.reference {
            None => None,
            Some(reference) => Some(reference.parameters().await?),
        };
        let connection = self.of_connection().ok_or_else(|| {
            let name = self.connection.as_ref().map_or("", Connection::name);
            connections::gone(name)
        })?;
        Ok(Login { connection, reference })
    }

    /// A broker refuses `login`: another one, if there is one by now.
    pub async fn refused(&self, login: &Login) -> Option<Login> {
        let reference = match (&self.reference, &login.reference) {
            (Some(reference), Some(seen)) => Some(reference.refused(seen).await.unwrap_or_else(|| Arc::clone(seen))),
            _ => None,
        };
        let now = Login { connection: self.of_connection()?, reference };
        (now != *login).then_some(now)
    }

    /// None where there should be one.
    fn of_connection(&self) -> Option<Option<(Arc<str>, Arc<Parameters>)>> {
        self.connection.as_ref().map(Connection::parameters).map_or(Some(None), |found| found.map(Some))
    }
}
