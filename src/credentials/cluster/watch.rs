//! Follows one kind in one namespace, or in all: a list, then what changes, for ever. A watch that breaks goes on where it
//! was; one that has fallen behind lists again.
//!
//! Not for: what is kept (`view.rs`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::{
    api::{Api, ApiError, Lines},
    auth::Auth,
    path::{Kind, escape},
    scaled::Scaled,
    view::{Scope, Standing, Trouble, View},
    wire,
};
use crate::{error::quoted, limits, task::Backoff};

/// How long a watch may last; with it end those of an API server that is overworked.
const WATCH: (u64, u64) = (240, 300);
/// What a watch may be late by.
const LATE: Duration = Duration::from_secs(20);
/// API servers say every minute where a watch is, even if nothing happens: one that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(150);
/// A watch that lasted for so long was well.
const WELL: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Follows `scope`, objects with these labels alone.
pub async fn follow(api: Arc<Api>, view: Arc<View>, scope: Scope, labels: Option<String>) {
    let follower = Follower { api, view, scope, labels };
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut from: Option<String> = None;
    loop {
        let began = Instant::now();
        let listing = from.is_none();
        let ended = match from.take() {
            None => follower.list().await,
            Some(version) => follower.watch(version).await,
        };
        match ended {
            Ok(version) => {
                follower.stands(Standing::Live);
                from = Some(version);
                // A watch that ends at once is no reason to ask for another at once.
                if listing || began.elapsed() > WELL {
                    backoff.reset();
                    continue;
                }
            }
            Err((error, version)) => {
                // Where it was is known only as long as the API server remembers.
                from = version.filter(|_| error != ApiError::Expired);
                if error != ApiError::Expired {
                    follower.stands(follower.lost(&error));
                }
            }
        }
        sleep(backoff.pause()).await;
    }
}

struct Follower {
    api: Arc<Api>,
    view: Arc<View>,
    scope: Scope,
    labels: Option<String>,
}

type Ended = Result<String, (ApiError, Option<String>)>;

impl Follower {
    fn selection(&self) -> String {
        self.scope.0.selection(self.scope.1.as_deref(), self.labels.as_deref())
    }

    /// Reads everything; the answer is from where to watch.
    async fn list(&self) -> Ended {
        let known = self.view.names(&self.scope).into_iter();
        let mut unseen: HashSet<(String, String)> = known.map(|known| (known.namespace, known.name)).collect();
        let selection = self.selection();
        let listed = self.api.list(&selection, |item| {
            if let Some(seen) = self.take_in(item) {
                unseen.remove(&seen);
            }
        });
        let version = listed.await.map_err(|error| (error, None))?;
        for (namespace, name) in unseen {
            self.view.remove(self.scope.0, &namespace, &name);
        }
        Ok(version)
    }

    /// Takes in what changes after `version`, until the watch ends; the answer is from where to go on.
    async fn watch(&self, mut version: String) -> Ended {
        let seconds = rand::rng().random_range(WATCH.0..=WATCH.1);
        let until = Instant::now() + Duration::from_secs(seconds) + LATE;
        let from = escape(&version);
        let parameters = format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={from}");
        let lines = self.api.watch(&format!("{}{parameters}", self.selection())).await;
        let mut lines: Lines = lines.map_err(|error| (error, Some(version.clone())))?;
        // It stands again, from here on.
        self.stands(Standing::Live);
        loop {
            let line = match timeout_at(until.min(Instant::now() + SILENCE), lines.next()).await {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) | Err(_) => return Ok(version),
                Ok(Err(error)) => return Err((error, Some(version))),
            };
            let Ok(event) = serde_json::from_slice::<wire::Event<'_>>(&line) else {
                return Err((ApiError::Away("its watch says what we do not know".to_owned()), None));
            };
            let object = event.object.get();
            if event.kind == "ERROR" {
                let status = serde_json::from_str::<wire::Status>(object)
                    .unwrap_or(wire::Status { code: 0, message: String::new() });
                return Err(match status.code {
                    410 | 0 => (ApiError::Expired, None),
                    code => (ApiError::Refused(code, quoted(&status.message)), None),
                });
            }
            let Ok(wire::Headed { metadata }) = serde_json::from_str(object) else { continue };
            match event.kind {
                "DELETED" => self.view.remove(self.scope.0, &metadata.namespace, &metadata.name),
                "ADDED" | "MODIFIED" => drop(self.take_in(object)),
                _ => {}
            }
            version = metadata.resource_version;
        }
    }

    fn take_in(&self, object: &str) -> Option<(String, String)> {
        take_in(&self.view, self.scope.0, object)
    }

    fn lost(&self, error: &ApiError) -> Standing {
        let (kind, within) = &self.scope;
        let place = within.as_deref().map_or("the cluster".to_owned(), |namespace| format!("namespace `{namespace}`"));
        let text = match error {
            ApiError::Forbidden => format!(
                "this server may not list and watch {} in {place}, grant its ServiceAccount get, list and watch on them",
                kind.plural()
            ),
            ApiError::Missing => format!("the API server has no {}, install KEDA's CRDs", kind.plural()),
            error => error.to_string(),
        };
        let why = Trouble { of_rights: matches!(error, ApiError::Forbidden | ApiError::Missing), text };
        match self.view.standing(*kind, within.as_deref().unwrap_or_default()) {
            Some(Standing::Live) => Standing::Lost(Instant::now(), why),
            Some(Standing::Lost(since, _)) => Standing::Lost(since, why),
            _ => Standing::Waiting(Some(why)),
        }
    }

    /// A change of how it stands is a line in the log.
    fn stands(&self, now: Standing) {
        let before = self.view.set_standing(&self.scope, now.clone());
        let (kind, namespace) = (self.scope.0.as_str(), self.scope.1.as_deref().unwrap_or("*"));
        match (before, now) {
            (Some(before), now) if before == now => {}
            (Some(Standing::Lost(since, _)), Standing::Live) => {
                info!(kind, namespace, lasted = ?since.elapsed(), "watching again");
            }
            (_, Standing::Live) => debug!(kind, namespace, "watching"),
            (Some(Standing::Lost(..)), Standing::Lost(_, why)) => {
                debug!(kind, namespace, why = why.text, "still not watching");
            }
            (_, Standing::Lost(_, why) | Standing::Waiting(Some(why))) => {
                warn!(
                    kind,
                    namespace,
                    why = why.text,
                    "cannot watch, what was read before serves: see whether the API server is up and the rights are given"
                );
            }
            (_, Standing::Waiting(None)) => {}
        }
    }
}

/// Takes in one object as the API server sends it; the answer is its namespace and name.
pub fn take_in(view: &View, kind: Kind, object: &str) -> Option<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Specified {
        #[serde(default)]
        spec: Auth,
    }
    let wire::Headed { metadata } = serde_json::from_str(object).ok()?;
    let (namespace, name) = (metadata.namespace.as_str(), metadata.name.as_str());
    let kept = match kind {
        Kind::ScaledObject | Kind::ScaledJob => {
            let object = serde_json::from_str(object).ok().and_then(|object| Scaled::new(kind, &metadata, object));
            object.map(|object| view.put_scaled(kind, namespace, name, object))
        }
        Kind::TriggerAuthentication | Kind::ClusterTriggerAuthentication => {
            let (bytes, known) = (object.len(), serde_json::from_str(object).ok());
            let known = known.filter(|_| bytes <= limits::KUBERNETES_AUTH);
            known.map(|Specified { spec }| view.put_auth(kind, namespace, name, spec, bytes))
        }
    };
    if kept != Some(true) {
        // What it was before would be wrong now.
        view.remove(kind, namespace, name);
        warn!(
            kind = kind.as_str(),
            namespace,
            name,
            "an object is not of the form we know, too large, or one too many, and is left out: its triggers are refused until \
             it is corrected, made shorter, or others are taken away"
        );
    }
    Some((metadata.namespace, metadata.name))
}
