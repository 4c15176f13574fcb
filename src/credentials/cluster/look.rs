//! A live look at an object that the watch has not told of: it is new, or the watch is behind.
//!
//! Who asks for objects that do not exist must not be able to have the API server asked without end. Not for: following
//! (`watch.rs`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::Shared};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::Instant};

use super::{
    api::Api,
    options::Options,
    path::{Kind, escape, is_name},
    view::View,
    watch::take_in,
};
use crate::{
    limits::{self, Limit},
    object::ObjectRef,
    task,
};

/// The same object is not looked at again before.
const PAUSE: Duration = Duration::from_secs(1);

/// Live looks, those of the last moments.
pub struct Looks {
    api: Arc<Api>,
    view: Arc<View>,
    options: Options,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    looks: HashMap<ObjectRef, (Instant, Shared<oneshot::Receiver<()>>)>,
    /// When all looks are paid for that were had on account.
    paid_at: Option<Instant>,
}

impl Looks {
    pub fn new(api: Arc<Api>, view: Arc<View>, options: Options) -> Self {
        Self { api, view, options, recent: Mutex::default() }
    }

    /// Asks for both objects of this name, unless that was done a moment ago or too many are asked for.
    pub async fn look(&self, object: ObjectRef<&str>) {
        let watched =
            self.options.namespaces.is_empty() || self.options.namespaces.iter().any(|of| of == object.namespace);
        if !watched || !is_name(object.namespace) || !is_name(object.name) {
            return;
        }
        let Some(flight) = self.flight(object) else { return };
        flight.await.ok();
    }

    fn flight(&self, object: ObjectRef<&str>) -> Option<Shared<oneshot::Receiver<()>>> {
        let object = ObjectRef { namespace: object.namespace.to_owned(), name: object.name.to_owned() };
        let (now, mut recent) = (Instant::now(), self.recent.lock());
        if let Some((began, flight)) = recent.looks.get(&object)
            && (now < *began + PAUSE || flight.peek().is_none())
        {
            return Some(flight.clone());
        }
        if recent.looks.len() >= limits::KUBERNETES_LOOKS {
            recent.looks.retain(|_, (began, flight)| now < *began + PAUSE || flight.peek().is_none());
        }
        let each = limits::KUBERNETES_LOOK_EVERY;
        let paid_at = recent.paid_at.unwrap_or(now).max(now);
        let most = each * u32::try_from(limits::KUBERNETES_LOOKS).unwrap_or(u32::MAX);
        if recent.looks.len() >= limits::KUBERNETES_LOOKS || paid_at > now + most {
            Limit::Calls.crossed();
            return None;
        }
        recent.paid_at = Some(paid_at + each);
        let (landed, flight) = oneshot::channel();
        let flight = flight.shared();
        recent.looks.insert(object.clone(), (now, flight.clone()));
        let (api, view, labels) = (Arc::clone(&self.api), Arc::clone(&self.view), self.options.labels.clone());
        task::detach(async move {
            let kinds = [Kind::ScaledObject, Kind::ScaledJob];
            futures::future::join_all(kinds.map(|kind| one(&api, &view, kind, &object, labels.as_deref()))).await;
            landed.send(()).ok();
        });
        Some(flight)
    }
}

/// What it finds is taken in; that it finds nothing is for the watch to say.
async fn one(api: &Api, view: &View, kind: Kind, object: &ObjectRef, labels: Option<&str>) {
    match labels {
        None => {
            let Some(path) = kind.one(&object.namespace, &object.name) else { return };
            if let Ok(found) = api.get::<Box<RawValue>>(&path).await {
                take_in(view, kind, found.get());
            }
        }
        Some(labels) => {
            let field = escape(&format!("metadata.name={}", object.name));
            let selection = format!("{}fieldSelector={field}&", kind.selection(Some(&object.namespace), Some(labels)));
            api.list(&selection, |found| drop(take_in(view, kind, found))).await.ok();
        }
    }
}
