//! KEDA's own objects, read live: which trigger asks, which authentication it names, and what that leads to.
//!
//! The rules are KEDA's, to the letter, but for what `docs/adr/` says we do better. Not for: what a scaler makes of a
//! parameter.

mod api;
mod auth;
mod builtin;
mod draft;
mod env;
mod expand;
mod file;
mod identity;
mod items;
mod kept;
mod look;
mod matching;
mod options;
mod path;
mod reference;
mod resolve;
mod rights;
mod room;
mod scaled;
mod stored;
mod unasked;
mod view;
mod visit;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use self::{
    api::Api,
    auth::Needs,
    look::Looks,
    path::Kind,
    reference::{Id, References},
    view::{Scope, Standing, View},
    visit::Reads,
};
pub use self::{
    builtin::{Builtin, Silent},
    matching::Unbound,
    options::{OnMissing, Options, Restricted, Rules},
    reference::Reference,
};
use crate::{
    credentials::{Asked, Facts, Unasked},
    error::quoted,
    metadata::Metadata,
    object::ObjectRef,
    task::{self, Task},
};

/// KEDA's objects in the cluster. Cheap to clone; the last clone ends what follows them.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    api: Arc<Api>,
    view: Arc<View>,
    references: Arc<References>,
    looks: Looks,
    _followers: Vec<Task>,
}

/// The server does not know where its cluster is.
#[derive(Debug, thiserror::Error)]
#[error("`--kubernetes`: {0}")]
pub struct ConnectError(String);

impl Cluster {
    /// Follows the objects of the cluster that `KUBECONFIG` names, or of the one that this server runs in. Asks nobody yet:
    /// the API server may be away.
    pub async fn connect(options: Options) -> Result<Self, ConnectError> {
        let unusable = |error: &dyn std::fmt::Display| {
            let text = quoted(&error.to_string());
            ConnectError(format!(
                "there is no cluster to read: {text}: run in a pod with a ServiceAccount's token, or set `KUBECONFIG`"
            ))
        };
        let mut config = kube::Config::infer().await.map_err(|error| unusable(&error))?;
        // Whoever asks has deadlines and pauses of its own.
        config.default_retry = false;
        config.connect_timeout = Some(crate::limits::DIAL);
        let client = kube::Client::try_from(config).map_err(|error| unusable(&error))?;
        Ok(Self::with_client(client, options))
    }

    /// The same by this client.
    #[must_use]
    pub fn with_client(client: kube::Client, options: Options) -> Self {
        let api = Arc::new(Api::new(client, options.token_life));
        let view = Arc::new(View::default());
        let reads = Arc::new(Reads::new(&api));
        let references = Arc::new(References::new(Arc::clone(&view), Arc::clone(&reads), options.clone()));
        let mut followers: Vec<Task> =
            scopes(&options).into_iter().map(|scope| followed(&api, &view, scope, &options)).collect();
        let weak = Arc::downgrade(&references);
        followers.push(visit::sweeping(&reads, move || {
            if let Some(references) = weak.upgrade() {
                references.sweep();
            }
        }));
        followers.push(rights::watching(&api, &references));
        let looks = Looks::new(Arc::clone(&api), Arc::clone(&view), options);
        Self(Arc::new(Inner { api, view, references, looks, _followers: followers }))
    }

    /// Stores outside the cluster are reached by `policy`: for a TriggerAuthentication the rules of its namespace hold, for a
    /// ClusterTriggerAuthentication those of KEDA's.
    pub fn follow(&self, policy: crate::net::Policy) {
        self.0.references.follow(policy);
    }

    /// The reference of the trigger of `object` that has `metadata`; none where it needs none. From memory alone.
    pub fn find(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Option<Reference>, Unbound> {
        self.bind(object, metadata).map(|(reference, ..)| reference)
    }

    /// The same with how often KEDA asks, and whether it acts on a push.
    pub fn bind(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<(Option<Reference>, Duration, bool), Unbound> {
        let found = matching::find(&self.0.view, object, metadata)?;
        let reference = self.reference(object, &found);
        Ok((reference, found.object.settings.polling_interval, found.pushes()))
    }

    fn reference(&self, object: ObjectRef<&str>, found: &matching::Found) -> Option<Reference> {
        let (kind, name) = found.entry()?.auth.named()?;
        let needs = self.needs(kind, object.namespace, name);
        let own = kind == Kind::TriggerAuthentication || needs >= Needs::Namespace;
        let namespace = if own { object.namespace } else { "" };
        let target = (needs == Needs::Workload).then(|| Arc::clone(&found.object.target));
        Some(Reference::new(Id { kind, namespace: namespace.into(), name: name.into(), target }, &self.0.references))
    }

    /// Asks the API server about the objects of this name, once for all who ask at the same time.
    pub async fn look_again(&self, object: ObjectRef<&str>) {
        self.0.looks.look(object).await;
    }

    /// What the objects say of the trigger of `object` that has `metadata`, where it is known which one that is.
    #[must_use]
    pub fn facts(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Option<Facts> {
        matching::find(&self.0.view, object, metadata).ok().map(|found| found.facts())
    }

    /// Triggers for a server like this one that are not among `asked`.
    #[must_use]
    pub fn unasked(&self, asked: &Asked) -> Vec<Unasked> {
        unasked::unasked(&self.0.view, asked)
    }

    /// Told of each object that is deleted.
    #[must_use]
    pub fn gone(&self) -> broadcast::Receiver<ObjectRef> {
        self.0.view.gone()
    }

    /// How many objects are known, and whether all that is watched was heard of.
    #[must_use]
    pub fn state(&self) -> (usize, bool) {
        let live = self.0.view.standings().iter().all(|(_, standing)| *standing == Standing::Live);
        (self.0.view.len(), live)
    }

    fn needs(&self, kind: Kind, namespace: &str, name: &str) -> Needs {
        let place = if kind == Kind::TriggerAuthentication { namespace } else { "" };
        if let Some(auth) = self.0.view.auth(kind, place, name) {
            return auth.needs();
        }
        let read = kind.one(place, name).and_then(|path| self.0.references.reads.named.at_hand(&path));
        read.map_or(Needs::Nothing, |named| named.spec.needs())
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({} objects)", self.0.view.len())
    }
}

/// What is followed: each kind in each namespace, or everywhere at once.
fn scopes(options: &Options) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for kind in Kind::ALL {
        if options.namespaces.is_empty() || kind == Kind::ClusterTriggerAuthentication {
            scopes.push((kind, None));
        } else {
            scopes.extend(options.namespaces.iter().map(|namespace| (kind, Some(namespace.as_str().into()))));
        }
    }
    scopes
}

fn followed(api: &Arc<Api>, view: &Arc<View>, scope: Scope, options: &Options) -> Task {
    let of_auth = matches!(scope.0, Kind::TriggerAuthentication | Kind::ClusterTriggerAuthentication);
    let labels = if of_auth { &options.auth_labels } else { &options.labels };
    view.set_standing(&scope, Standing::Waiting(None));
    let (api, view, labels) = (Arc::clone(api), Arc::clone(view), labels.clone());
    task::supervise("kubernetes watch", move || {
        watch::follow(Arc::clone(&api), Arc::clone(&view), scope.clone(), labels.clone())
    })
}
