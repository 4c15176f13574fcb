//! What a trigger has besides its metadata, as far as the input tells: its `authenticationRef`, or the reference that is for
//! this server alone.
//!
//! Not for: the cluster's own objects (`credentials::cluster`), or a named connection of the server's.

use std::collections::BTreeSet;

use super::{
    env::{Variable, Variables, value},
    world::World,
};
use crate::{
    credentials::REFERENCES,
    manifest::{Node, Object, Scaled, Seen, Trigger},
    metadata::{Parameter, Parameters, is_secret_name},
};

/// A reference of a trigger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference<'m, 't> {
    /// Where it stands.
    pub node: Node<'m, 't>,
    /// The name; empty where there is none.
    pub name: &'m str,
    /// `TriggerAuthentication` or `ClusterTriggerAuthentication`.
    pub kind: &'m str,
}

/// What a reference gives.
#[derive(Debug, Default)]
pub struct Supply {
    /// With their values.
    pub known: Parameters,
    /// Given, and their values are not in the input.
    pub given: BTreeSet<String>,
    /// It may give others too.
    pub open: bool,
}

/// One parameter of an authentication.
#[derive(Debug, Clone, Copy)]
pub struct Given<'m, 't> {
    /// The parameter's name.
    pub parameter: &'m str,
    /// Where it is named.
    pub node: Node<'m, 't>,
    /// What it is read from: the entry, and the kind of object.
    pub from: Option<(Node<'m, 't>, &'static str)>,
}

/// Stores whose entries say under which parameter a secret is known.
const STORES: [&str; 4] = ["hashiCorpVault", "azureKeyVault", "gcpSecretManager", "awsSecretManager"];

/// The references of a trigger: KEDA's own, and those for this server alone.
#[must_use]
pub fn references<'m, 't>(trigger: &Trigger<'m, 't>) -> Vec<Reference<'m, 't>> {
    let mut found = Vec::new();
    if let Some(node) = trigger.node.get("authenticationRef").filter(|node| node.seen() != Seen::Null) {
        let text = |key: &str| node.get(key).and_then(Node::written);
        let name = text("name").unwrap_or_default().trim();
        found.push(Reference { node, name, kind: text("kind").unwrap_or("TriggerAuthentication") });
    }
    for (key, kind) in REFERENCES.into_iter().zip(["TriggerAuthentication", "ClusterTriggerAuthentication"]) {
        let own = trigger.metadata.filter(|_| trigger.is_external()).and_then(|metadata| metadata.get(key));
        if let Some((node, name)) =
            own.and_then(|node| Some((node, node.written()?.trim()))).filter(|(_, name)| !name.is_empty())
        {
            found.push(Reference { node, name, kind });
        }
    }
    found
}

/// The object that `reference` of `scaled` names, where it is in the input.
#[must_use]
pub fn target<'m, 't>(
    world: &World<'m, 't>,
    scaled: &Scaled<'_, '_>,
    reference: &Reference<'_, '_>,
) -> Option<Object<'m, 't>> {
    let of_cluster = reference.kind == "ClusterTriggerAuthentication";
    let all = world.named(reference.kind, reference.name).iter().filter(|object| object.is_keda());
    all.copied().find(|object| of_cluster || object.is_beside(&scaled.object))
}

/// The parameters that an authentication names, and whether it may give others.
#[must_use]
pub fn parameters<'m, 't>(authentication: &Object<'m, 't>) -> (Vec<Given<'m, 't>>, bool) {
    let Some(spec) = authentication.node.get("spec") else { return (Vec::new(), false) };
    let lists = [("secretTargetRef", "Secret"), ("configMapTargetRef", "ConfigMap"), ("env", "")];
    let entries = lists
        .into_iter()
        .flat_map(|(list, kind)| spec.get(list).into_iter().flat_map(Node::items).map(move |entry| (entry, kind)));
    let stores = STORES.into_iter().filter_map(|store| spec.at_path(&[store, "secrets"])).flat_map(Node::items);
    let tokens = spec.get("boundServiceAccountToken").into_iter().flat_map(Node::items);
    let all = entries.chain(stores.chain(tokens).map(|entry| (entry, "store")));
    let given = all.filter_map(|(entry, kind)| {
        let (node, parameter) = entry.get("parameter").and_then(|node| Some((node, node.written()?)))?;
        Some(Given { parameter, node, from: (kind != "store").then_some((entry, kind)) })
    });
    let given = given.collect();
    let open = ["filePath", "oauth2", "azureServicePrincipal"].iter().any(|field| spec.get(field).is_some());
    (given, open)
}

impl Supply {
    /// What the references of `trigger` give.
    #[must_use]
    pub fn of(
        world: &World<'_, '_>,
        scaled: &Scaled<'_, '_>,
        trigger: &Trigger<'_, '_>,
        variables: &Variables,
    ) -> Self {
        let mut supply = Self::default();
        for reference in references(trigger) {
            match target(world, scaled, &reference) {
                None => supply.open = true,
                Some(object) => supply.take(world, scaled, &object, variables),
            }
        }
        supply
    }

    fn take(&mut self, world: &World<'_, '_>, scaled: &Scaled<'_, '_>, object: &Object<'_, '_>, variables: &Variables) {
        let (given, open) = parameters(object);
        self.open |= open;
        self.identity(object);
        for Given { parameter, from, .. } in given {
            match from.map_or(Variable::Unknown, |(entry, kind)| read(world, scaled, object, entry, kind, variables)) {
                Variable::Value(text) if !text.trim().is_empty() => {
                    let origin = format!("{} `{}`", object.kind, object.name);
                    self.known.set(parameter, Parameter::new(text, origin));
                }
                Variable::Unknown => drop(self.given.insert(parameter.to_owned())),
                Variable::Value(_) | Variable::Missing => {}
            }
        }
    }
}

impl Supply {
    /// `podIdentity`, by the names that our backends read; KEDA's own identity is this server's.
    fn identity(&mut self, object: &Object<'_, '_>) {
        let Some(identity) = object.node.at_path(&["spec", "podIdentity"]) else { return };
        let text = |key: &str| identity.get(key).and_then(Node::written).filter(|text| !text.is_empty());
        let provider = text("provider").unwrap_or_default();
        // The workload's own role is known to the cluster alone.
        let of_workload = provider == "aws-eks" || text("identityOwner") == Some("workload");
        self.open |= of_workload;
        if of_workload || matches!(provider, "" | "none") {
            return;
        }
        let names = [
            ("awsRoleArn", text("roleArn")),
            ("awsExternalID", text("externalID")),
            ("identityId", text("identityId")),
            ("identityTenantId", text("identityTenantId")),
            ("podIdentity", Some(provider)),
        ];
        for (name, value) in names {
            if let Some(value) = value {
                self.known
                    .set(name, Parameter::new(value, format!("`podIdentity` of {} `{}`", object.kind, object.name)));
            }
        }
    }
}

/// The value of one entry of an authentication.
fn read(
    world: &World<'_, '_>,
    scaled: &Scaled<'_, '_>,
    authentication: &Object<'_, '_>,
    entry: Node<'_, '_>,
    kind: &str,
    variables: &Variables,
) -> Variable {
    let text = |key: &str| entry.get(key).and_then(Node::written).unwrap_or_default();
    if kind.is_empty() {
        // Of the workload's first container, which is the one that `…FromEnv` means unless either names one.
        let named = entry.get("containerName").is_some()
            || scaled.field(&["scaleTargetRef", "envSourceContainerName"]).is_some();
        return if named { Variable::Unknown } else { variables.get(text("name")) };
    }
    let place = if authentication.kind == "TriggerAuthentication" { authentication } else { &scaled.object };
    match world.beside(place, kind, text("name")) {
        // A ClusterTriggerAuthentication's are in KEDA's own namespace, wherever that is.
        Some(object) if authentication.kind == "TriggerAuthentication" => value(object.node, text("key")),
        _ => Variable::Unknown,
    }
}

/// Whether the key `name` with this value should not stand where everybody reads it.
#[must_use]
pub fn is_secret(name: &str, text: &str, ours: bool) -> bool {
    const ENDINGS: [&str; 12] = [
        "password",
        "passwd",
        "secret",
        "secretkey",
        "secretaccesskey",
        "token",
        "apikey",
        "appkey",
        "accesskey",
        "connectionstring",
        "keytab",
        "customauthvalue",
    ];
    let text = text.trim();
    if text.is_empty() || text.starts_with("${") || text.starts_with("$(") || text.contains("{{") {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let by_name = ENDINGS.iter().any(|ending| lower.ends_with(ending))
        || matches!(name, "key" | "credentials")
        || (name == "connection" && !ours && is_secret_name(name));
    let has_login = text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| !password.is_empty())
    });
    let header = lower.contains("header")
        && ["bearer ", "basic ", "authorization="].iter().any(|part| text.to_ascii_lowercase().contains(part));
    by_name || has_login || header || text.contains("PRIVATE KEY-----")
}
