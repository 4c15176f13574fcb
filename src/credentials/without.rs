//! In place of `cluster` in a build without the feature `kubernetes`: nothing of it can be made.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::{
    credentials::{Asked, Facts, Unasked},
    error::ReadError,
    metadata::{Metadata, Parameters},
    object::ObjectRef,
};

/// KEDA's objects in the cluster.
#[derive(Debug, Clone)]
pub struct Cluster(Infallible);

/// A trigger's reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference(Infallible);

/// Why it is not known which trigger asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "as in `cluster`")]
pub enum Unbound {
    #[error("{namespace}/{name}")]
    NoObject { namespace: String, name: String },
    #[error("{namespace}/{name}")]
    NoTrigger { namespace: String, name: String },
    #[error("{namespace}/{name}")]
    Ambiguous { namespace: String, name: String, triggers: String },
    #[error("both")]
    Both,
    #[error("{namespace}: {why}")]
    NotSynced { namespace: String, why: String },
}

#[allow(missing_docs, clippy::unused_async, reason = "as in `cluster`")]
impl Cluster {
    pub fn follow(&self, _policy: crate::net::Policy) {
        match self.0 {}
    }

    pub fn bind(
        &self,
        _object: ObjectRef<&str>,
        _metadata: &Metadata,
    ) -> Result<(Option<Reference>, Duration, bool), Unbound> {
        match self.0 {}
    }

    #[must_use]
    pub fn gone(&self) -> broadcast::Receiver<ObjectRef> {
        match self.0 {}
    }

    #[must_use]
    pub fn facts(&self, _object: ObjectRef<&str>, _metadata: &Metadata) -> Option<Facts> {
        match self.0 {}
    }

    #[must_use]
    pub fn state(&self) -> (usize, bool) {
        match self.0 {}
    }

    #[must_use]
    pub fn unasked(&self, _asked: &Asked) -> Vec<Unasked> {
        match self.0 {}
    }

    pub async fn look_again(&self, _object: ObjectRef<&str>) {
        match self.0 {}
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {}
    }
}

#[allow(missing_docs, clippy::unused_async, reason = "as in `cluster`")]
impl Reference {
    pub async fn parameters(&self) -> Result<Arc<Parameters>, ReadError> {
        match self.0 {}
    }

    #[must_use]
    pub fn read(&self) -> Option<tokio::time::Instant> {
        match self.0 {}
    }

    #[must_use]
    pub fn away(&self) -> Option<(Duration, String)> {
        match self.0 {}
    }

    #[must_use]
    pub fn at_hand(&self) -> Option<Arc<Parameters>> {
        match self.0 {}
    }

    pub async fn refused(&self, _seen: &Arc<Parameters>) -> Option<Arc<Parameters>> {
        match self.0 {}
    }
}
