//! Whether this server may read what the cluster's objects lead to: asked at the start, and every few minutes while something
//! is off. One line in the log says what, and whom it concerns.
//!
//! Not for: using a right. What may not be read is said again by the trigger that needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    api::{Api, ApiError},
    auth::{Auth, Needs},
    options::Restricted,
    path::Kind,
    reference::References,
    view::Standing,
};
use crate::{
    error::clean,
    limits,
    task::{self, Task},
};

/// By then the objects are mostly known.
const FIRST: Duration = Duration::from_secs(10);
/// While something is off.
const OFF: Duration = Duration::from_secs(240);
/// While nothing is.
const WELL: Duration = Duration::from_secs(1800);
/// How many objects are named for one right.
const NAMED: usize = 3;

/// Something that we need to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: &'static str,
    pub group: String,
    /// `serviceaccounts/token` has two parts.
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

/// Asks for as long as the handle is held.
pub fn watching(api: &Arc<Api>, references: &Arc<References>) -> Task {
    let (api, references) = (Arc::clone(api), Arc::downgrade(references));
    task::supervise("kubernetes rights", move || watch(Arc::clone(&api), Weak::clone(&references)))
}

async fn watch(api: Arc<Api>, references: Weak<References>) {
    let (mut pause, mut told) = (FIRST, String::new());
    loop {
        sleep(pause).await;
        let Some(references) = references.upgrade() else { return };
        let off = look(&api, &references).await;
        pause = if off.is_empty() { WELL } else { OFF };
        if off == told {
            continue;
        }
        if off.is_empty() {
            info!("every right that the objects need is there");
        } else {
            warn!(
                off,
                "rights are missing, so these triggers have no credentials: grant them to the server's ServiceAccount"
            );
        }
        told = off;
    }
}

/// What is off, in words; empty if nothing is.
pub async fn look(api: &Api, references: &References) -> String {
    let mut off = Vec::new();
    for ((kind, namespace), standing) in references.view.standings() {
        // Those of the cluster can be read by name.
        let by_name = kind == Kind::ClusterTriggerAuthentication && namespace.is_none();
        if let Standing::Waiting(Some(why)) | Standing::Lost(_, why) = standing
            && why.of_rights
            && !by_name
        {
            off.push(why.text);
        }
    }
    let wanted = wanted(references);
    let each = wanted.iter().take(limits::KUBERNETES_REVIEWS).map(|(right, who)| async move {
        let denied = matches!(review(api, right).await, Ok(false));
        denied.then(|| said(right, who))
    });
    off.extend(futures::future::join_all(each).await.into_iter().flatten());
    off.sort();
    off.dedup();
    clean(&off.join("; ")).into_owned()
}

fn said(right: &Right, who: &BTreeSet<String>) -> String {
    let Right { verb, resource, namespace, name, .. } = right;
    let place = if namespace.is_empty() { String::new() } else { format!(" in `{namespace}`") };
    let named: Vec<&str> = who.iter().take(NAMED).map(String::as_str).collect();
    let more = who.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!(" and {more} more"));
    let name = if name.is_empty() { String::new() } else { format!(" `{name}`") };
    format!("{verb} {resource}{name}{place}, for {}{}", named.join(", "), more.unwrap_or_default())
}

/// What the objects lead to, and which of them.
fn wanted(references: &References) -> BTreeMap<Right, BTreeSet<String>> {
    let mut wanted: BTreeMap<Right, BTreeSet<String>> = BTreeMap::new();
    references.view.each_scaled(|namespace, name, pair| {
        for (_, object) in pair.both() {
            for entry in &object.entries {
                let Some((kind, auth)) = entry.auth.named() else { continue };
                let place = if kind == Kind::TriggerAuthentication { namespace } else { "" };
                let who = format!("`{namespace}/{name}`");
                let mut want = |right| {
                    wanted.entry(right).or_default().insert(who.clone());
                };
                match references.view.auth(kind, place, auth) {
                    Some(spec) => of_auth(references, kind, namespace, &spec, &mut want),
                    None => want(right("get", "keda.sh", kind.plural(), place, auth)),
                }
            }
        }
    });
    wanted
}

fn right(verb: &'static str, group: &str, resource: &str, namespace: &str, name: &str) -> Right {
    let [group, resource, namespace, name] = [group, resource, namespace, name].map(str::to_owned);
    Right { verb, group, resource, namespace, name }
}

fn of_auth(references: &References, kind: Kind, own: &str, spec: &Auth, want: &mut impl FnMut(Right)) {
    let rules = &references.options.rules;
    let cluster = kind == Kind::ClusterTriggerAuthentication;
    let place = if cluster { rules.keda_namespace.as_str() } else { own };
    let secrets = if rules.restricted == Restricted::No { place } else { rules.keda_namespace.as_str() };
    if !spec.file_path.is_empty() {
        return;
    }
    if cluster || rules.restricted != Restricted::ToCluster {
        let named = spec.secret_target_ref.iter().map(|entry| &entry.name);
        let oauth = spec.oauth2.iter().filter_map(|client| client.client_secret.as_ref());
        let oauth = oauth.map(|secret| &secret.value_from.secret_key_ref.name);
        named.chain(oauth).for_each(|name| want(right("get", "", "secrets", secrets, name)));
    }
    spec.config_map_target_ref.iter().for_each(|entry| want(right("get", "", "configmaps", place, &entry.name)));
    if rules.tokens {
        for entry in &spec.bound_service_account_token {
            want(right("create", "", "serviceaccounts/token", place, &entry.service_account_name));
        }
    }
    if spec.needs() == Needs::Workload && !spec.env.is_empty() {
        want(right("get", "apps", "deployments", own, ""));
    }
    if spec.pod_identity.as_ref().is_some_and(|identity| identity.is_of_workload()) {
        want(right("get", "", "serviceaccounts", own, ""));
    }
}

async fn review(api: &Api, right: &Right) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Reviewed {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        allowed: bool,
    }
    let Right { verb, group, resource, namespace, name } = right;
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let request = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": namespace, "name": name,
        } },
    });
    let answer = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &request).await?;
    let unknown = |_| ApiError::Away("its review is not of the form we know".to_owned());
    serde_json::from_slice(&answer).map(|Reviewed { status }| status.allowed).map_err(unknown)
}
