//! From a TriggerAuthentication to parameters, in KEDA's order: each source writes its own over those before it.
//!
//! What KEDA takes for empty without a word is empty here too, and told. Not for: keeping what was resolved
//! (`reference.rs`).

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    auth::{Auth, EnvRef, OAuth2},
    draft::{Draft, Resolved},
    env::variables,
    file, identity,
    items::PodSpec,
    options::{Restricted, Rules},
    path::{self, Kind},
    scaled::{Target, TargetKind},
    stored::{self, Stored},
    visit::Visit,
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    net::Reach,
};

/// Whose parameters, and for whom.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    pub kind: Kind,
    /// The object's name.
    pub name: &'c str,
    /// The namespace of whoever asks.
    pub own: &'c str,
    pub target: Option<&'c Target>,
    pub rules: &'c Rules,
    /// Where stores may be.
    pub reach: &'c Reach,
}

impl Case<'_> {
    /// Where what belongs to the object itself is.
    pub fn place(&self) -> &str {
        if self.kind == Kind::TriggerAuthentication { self.own } else { &self.rules.keda_namespace }
    }

    /// For people: ``the TriggerAuthentication `kafka` ``.
    pub fn by(&self) -> String {
        format!("the {} `{}`", self.kind.as_str(), quoted(self.name))
    }

    /// Where its Secrets are; in words, why they are not read.
    fn secrets(&self) -> Result<&str, String> {
        match (self.rules.restricted, self.kind) {
            (Restricted::No, _) => Ok(self.place()),
            (Restricted::ToCluster, Kind::TriggerAuthentication) => Err(format!(
                "no Secret is read for a TriggerAuthentication, since access to Secrets is restricted to namespace `{}`, use a \
                 ClusterTriggerAuthentication",
                self.rules.keda_namespace
            )),
            (Restricted::ToCluster | Restricted::AsKeda, _) => Ok(&self.rules.keda_namespace),
        }
    }

    /// Whether Secrets of the workload's containers are read.
    pub fn secrets_of_workload(&self) -> bool {
        self.rules.restricted == Restricted::No || self.own == self.rules.keda_namespace
    }

    /// The trigger cannot be followed, whatever else stands in the object.
    pub fn invalid(&self, what: &str) -> ReadError {
        ReadError::new(ReadErrorKind::Denied, format!("{what}: {} says so", self.by())).of_source()
    }
}

/// Everything that `auth` leads to.
pub async fn resolve(
    case: Case<'_>,
    auth: &Auth,
    visit: &mut Visit<'_>,
    stored: &mut Stored,
) -> Result<Resolved, ReadError> {
    let mut draft = Draft::new(case.by());
    let mut pod = Pod::default();
    if auth.file_path.is_empty() {
        for variable in &auth.env {
            of_container(case, variable, visit, &mut draft, &mut pod).await?;
        }
        others(case, auth, visit, &mut draft, stored, &mut pod).await?;
    } else {
        // It stands in for all the others.
        file::read(case, &auth.file_path, &mut draft)?;
        visit.was_read(Some(Instant::now()));
    }
    if let Some(of) = &auth.pod_identity {
        identity::resolve(case, of, visit, &mut draft, &mut pod).await?;
    }
    Ok(draft.finish())
}

/// The sources after the variables.
async fn others(
    case: Case<'_>,
    auth: &Auth,
    visit: &mut Visit<'_>,
    draft: &mut Draft,
    stored: &mut Stored,
    pod: &mut Pod,
) -> Result<(), ReadError> {
    for entry in auth.config_map_target_ref.iter().filter(|entry| !Draft::is_of_the_channel(&entry.parameter)) {
        let value = visit.config_map_key(case.place(), &entry.name, &entry.key).await?;
        let origin = format!("ConfigMap `{}/{}`, key `{}`", case.place(), quoted(&entry.name), quoted(&entry.key));
        draft.found(&entry.parameter, value, origin);
    }
    for entry in auth.secret_target_ref.iter().filter(|entry| !Draft::is_of_the_channel(&entry.parameter)) {
        let (value, origin) = secret_key(case, visit, &entry.name, &entry.key).await?;
        draft.found(&entry.parameter, value, origin);
    }
    stored::read(case, auth, visit, draft, stored, pod).await?;
    for entry in &auth.bound_service_account_token {
        let name = &entry.service_account_name;
        let value = token(case, visit, case.place(), name).await?;
        draft.found(&entry.parameter, value, format!("a token of ServiceAccount `{}/{}`", case.place(), quoted(name)));
    }
    if let Some(client) = &auth.oauth2 {
        oauth(case, client, visit, draft).await?;
    }
    Ok(())
}

/// A key of a Secret that the object names, and its origin for people.
pub async fn secret_key(
    case: Case<'_>,
    visit: &mut Visit<'_>,
    name: &str,
    key: &str,
) -> Result<(super::visit::Value, String), ReadError> {
    let namespace = match case.secrets() {
        Ok(namespace) => namespace,
        Err(why) => return Ok((Err(why), String::new())),
    };
    let value = visit.secret_key(namespace, name, key).await?;
    Ok((value, format!("Secret `{namespace}/{}`, key `{}`", quoted(name), quoted(key))))
}

/// A token of a ServiceAccount: with it one is that account, so it is asked for only where the server's operator allows it.
pub async fn token(
    case: Case<'_>,
    visit: &mut Visit<'_>,
    namespace: &str,
    name: &str,
) -> Result<super::visit::Value, ReadError> {
    if !case.rules.tokens {
        return Ok(Err(format!(
            "no token of ServiceAccount `{namespace}/{}` is asked for, allow it by `--kubernetes-tokens`",
            quoted(name)
        )));
    }
    let token = visit.token(namespace, name).await?;
    Ok(token.map(|token| Zeroizing::new(token.0.as_bytes().to_vec())))
}

/// The template of the workload's pods, read once for a resolution.
#[derive(Default)]
pub struct Pod(Option<Result<std::sync::Arc<super::items::Workload>, String>>);

impl Pod {
    /// The pods' spec; in words, why there is none.
    pub async fn of(&mut self, case: Case<'_>, visit: &mut Visit<'_>) -> Result<Result<&PodSpec, String>, ReadError> {
        if self.0.is_none() {
            self.0 = Some(read_workload(case, visit).await?);
        }
        Ok(match &self.0 {
            Some(Ok(workload)) => workload.pod().ok_or_else(|| {
                let name = case.target.map_or("", |target| &target.name);
                format!("the scaled workload `{}/{}` has no pod template with containers", case.own, quoted(name))
            }),
            Some(Err(why)) => Err(why.clone()),
            None => Err(String::new()),
        })
    }
}

async fn read_workload(
    case: Case<'_>,
    visit: &mut Visit<'_>,
) -> Result<Result<std::sync::Arc<super::items::Workload>, String>, ReadError> {
    let Some(target) = case.target else {
        let text = format!("{} has just changed: ask again", case.by());
        return Err(ReadError::new(ReadErrorKind::Unreachable, text).of_source());
    };
    let path = match &target.kind {
        TargetKind::Job => Kind::ScaledJob.one(case.own, &target.name),
        TargetKind::Scaled(group, version, plural) => path::any(group, version, plural, case.own, &target.name),
        TargetKind::Unknown(kind) => {
            return Ok(Err(format!(
                "how to read the scaled workload `{}/{}`, a {}, is not known, KEDA writes it into the ScaledObject's status",
                case.own,
                quoted(&target.name),
                quoted(kind)
            )));
        }
    };
    visit.workload(path, case.own, &target.name).await
}

async fn of_container(
    case: Case<'_>,
    entry: &EnvRef,
    visit: &mut Visit<'_>,
    draft: &mut Draft,
    pod: &mut Pod,
) -> Result<(), ReadError> {
    if Draft::is_of_the_channel(&entry.parameter) {
        return Ok(());
    }
    let shown = quoted(&entry.name);
    let spec = match pod.of(case, visit).await? {
        Ok(spec) => spec,
        Err(why) => {
            draft.lack(&entry.parameter, &format!("variable `{shown}` is not known, {why}"));
            return Ok(());
        }
    };
    let wanted = entry.container_name.as_str();
    let container = spec.containers.iter().find(|container| wanted.is_empty() || container.name == wanted);
    let Some(container) = container else {
        draft.lack(&entry.parameter, &format!("the scaled workload has no container `{}`", quoted(wanted)));
        return Ok(());
    };
    let defined = variables(visit, case.own, container, case.secrets_of_workload()).await?;
    let value = defined.and_then(|mut defined| {
        defined.remove(&entry.name).ok_or_else(|| {
            let elsewhere = case.target.and_then(|target| target.container.as_deref());
            let hint = match elsewhere.filter(|elsewhere| wanted.is_empty() && **elsewhere != container.name) {
                Some(elsewhere) => {
                    format!(", without `containerName` it is looked for in the first, not in `{}`", quoted(elsewhere))
                }
                None => String::new(),
            };
            format!("container `{}` defines no variable `{shown}`{hint}", quoted(&container.name))
        })
    });
    draft.found(&entry.parameter, value, format!("variable `{shown}` of container `{}`", quoted(&container.name)));
    Ok(())
}

async fn oauth(case: Case<'_>, client: &OAuth2, visit: &mut Visit<'_>, draft: &mut Draft) -> Result<(), ReadError> {
    let origin = format!("`oauth2` of {}", case.by());
    draft.set_text("oauthTokenURI", &client.token_url, &*origin);
    draft.set_text("clientID", &client.client_id, &*origin);
    match &client.client_secret {
        None => draft.set_text("clientSecret", "", &*origin),
        Some(secret) => {
            let at = &secret.value_from.secret_key_ref;
            let (value, origin) = secret_key(case, visit, &at.name, &at.key).await?;
            draft.found("clientSecret", value, origin);
        }
    }
    if !client.scopes.is_empty() {
        draft.set_text("scopes", &client.scopes.join(","), &*origin);
    }
    if !client.token_url_params.is_empty() {
        let pairs = client.token_url_params.iter().map(|(name, value)| format!("{}={}", form(name), form(value)));
        draft.set_text("endpointParams", &pairs.collect::<Vec<_>>().join("&"), &*origin);
    }
    Ok(())
}

/// `text` as Go writes it into a form.
fn form(text: &str) -> String {
    path::escape(text).replace("%20", "+")
}
