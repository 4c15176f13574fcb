//! `authenticationRef`s: what they lead to in the input, and who gets what from it.
//!
//! Not for: whether a login is whole (`metadata.rs`). What is not in the input may be in the cluster.

use super::{
    finding::{Pen, named},
    login::{self, Reference},
    rules,
    world::{World, keys},
};
use crate::{
    backend::Registry,
    error::{did_you_mean, similar},
    keda,
    manifest::{Node, Object, Scaled, Trigger},
    metadata::{Metadata, Order},
};

use std::collections::HashMap;

const KIND: &str = "TriggerAuthentication";
const CLUSTER_KIND: &str = "ClusterTriggerAuthentication";
/// What KEDA itself takes from the reference of an external trigger.
const CHANNEL: [&str; 3] = ["caCert", "tlsClientCert", "tlsClientKey"];

/// The references of one trigger.
pub fn check(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>, pen: &mut Pen<'_>) {
    let references = login::references(trigger);
    for reference in &references {
        let node = reference.node.get("name").unwrap_or(reference.node);
        if reference.name.is_empty() {
            let what = "`authenticationRef` has no `name`: KEDA looks for one without a name, and asks the broker without a login";
            pen.say(&rules::UNNAMED_REFERENCE, node, what, "set `authenticationRef.name`");
            continue;
        }
        if login::target(world, scaled, reference).is_none() {
            elsewhere(world, scaled, reference, node, pen);
        }
    }
    let own: Vec<_> = references
        .iter()
        .filter(|reference| {
            trigger.metadata.is_some_and(|metadata| metadata.entries().any(|(_, value)| value == reference.node))
        })
        .collect();
    if let [_, second, ..] = own.as_slice() {
        let what = "`triggerAuthentication` and `clusterTriggerAuthentication` exclude each other";
        pen.say(&rules::TWO_REFERENCES, second.node, what, "drop one");
    }
}

/// There is none where it is looked for; maybe it is nearby.
fn elsewhere(
    world: &World<'_, '_>,
    scaled: &Scaled<'_, '_>,
    reference: &Reference<'_, '_>,
    node: Node<'_, '_>,
    pen: &mut Pen<'_>,
) {
    let (name, kind) = (reference.name, reference.kind);
    let all = &world.authentications;
    let other_kind = if kind == KIND { CLUSTER_KIND } else { KIND };
    let same_name = |kind: &str| all.iter().find(|object| object.kind == kind && object.name == name);
    let (rule, what, cure) = if let Some(other) = same_name(kind) {
        (
            &rules::OTHER_NAMESPACE,
            format!(
                "{} {} is in namespace {}, and is looked for in that of the {}: KEDA does not find it",
                kind,
                named(name),
                named(other.namespace),
                scaled.object.kind
            ),
            format!("move it to namespace {}, or make it a {CLUSTER_KIND}", named(scaled.object.namespace)),
        )
    } else if same_name(other_kind).is_some() {
        (
            &rules::WRONG_KIND,
            format!("{} is a {other_kind}, and a {kind} is looked for", named(name)),
            format!("set `kind: {other_kind}`"),
        )
    } else {
        let beside = all
            .iter()
            .filter(|object| object.kind == kind && (kind == CLUSTER_KIND || object.is_beside(&scaled.object)));
        match similar(name, beside.map(|object| object.name)) {
            Some(near) => (
                &rules::REFERENCE_MISSING,
                format!("no {kind} {} is in the input, did you mean `{near}`?", named(name)),
                format!("write `{near}`, or add {} to the input", named(name)),
            ),
            None => (
                &rules::REFERENCE_NOT_HERE,
                format!("{kind} {} is not in the input: what it gives was not looked at", named(name)),
                "add it to the input to have it checked too".to_owned(),
            ),
        }
    };
    pen.say(rule, node, what, cure);
}

/// The twins among the triggers of one object: the same metadata and another login.
pub fn twins(triggers: &[Trigger<'_, '_>], pen: &mut Pen<'_>) {
    let mut seen: HashMap<Metadata, (usize, Login<'_>)> = HashMap::new();
    let external = triggers.iter().filter(|trigger| trigger.is_external() && trigger.key("scalerType").is_some());
    for trigger in external {
        let entries = trigger.metadata.into_iter().flat_map(Node::entries);
        let metadata: Metadata = entries.filter_map(|(key, value)| Some((key.written()?, value.written()?))).collect();
        let login: Login<'_> = login::references(trigger).iter().map(|found| (found.kind, found.name)).collect();
        let (other, theirs) = seen.entry(metadata).or_insert_with(|| (trigger.index, login.clone()));
        if *theirs != login {
            let what = format!(
                "trigger {} has the same metadata and another login: KEDA sends the metadata alone, so nobody can tell the two apart",
                *other + 1
            );
            let cure = "add `triggerName` with the trigger's own `name` to the metadata of both";
            pen.of_trigger(trigger).say(&rules::TWINS, trigger.node, what, cure);
        }
    }
}

/// Kind and name of each reference.
type Login<'m> = Vec<(&'m str, &'m str)>;

/// For each authentication, what the triggers that name it read from it; none where that is not known.
pub type Readers = HashMap<Place, Vec<Option<Vec<&'static str>>>>;

/// Who names which authentication.
#[must_use]
pub fn readers(registry: &Registry, world: &World<'_, '_>) -> Readers {
    let mut readers = Readers::new();
    for scaled in &world.scaled {
        for trigger in scaled.triggers() {
            for reference in login::references(&trigger) {
                if let Some(object) = login::target(world, scaled, &reference) {
                    readers.entry(place(&object)).or_default().push(readable(registry, &trigger));
                }
            }
        }
    }
    readers
}

/// What tells objects of the input apart: the input, and the first byte.
type Place = (String, usize);

fn place(object: &Object<'_, '_>) -> Place {
    (object.node.manifest().name.to_owned(), object.node.at().byte)
}

/// Parameters of `authentication` that no trigger that names it reads, and keys that the objects it names do not have.
pub fn authentication(readers: &Readers, world: &World<'_, '_>, authentication: &Object<'_, '_>, pen: &mut Pen<'_>) {
    let readers = readers.get(&place(authentication)).map_or(&[][..], Vec::as_slice);
    let (given, _) = login::parameters(authentication);
    for given in given {
        let known = readers.iter().any(|keys| keys.as_ref().is_none_or(|keys| keys.contains(&given.parameter)));
        if !readers.is_empty() && !known {
            let all = readers.iter().flatten().flatten().copied();
            let near = similar(given.parameter, all);
            let question = did_you_mean(near);
            let what = format!("no trigger that names this reads a parameter {}{question}", named(given.parameter));
            let cure = near.map_or_else(|| "take it away".to_owned(), |near| format!("write `{near}`"));
            pen.say(&rules::UNKNOWN_PARAMETER, given.node, what, cure);
        }
        let Some((entry, kind)) = given.from.filter(|(_, kind)| !kind.is_empty()) else { continue };
        let text = |key: &str| entry.get(key).and_then(Node::written).unwrap_or_default();
        // A ClusterTriggerAuthentication's are in KEDA's own namespace, wherever that is.
        let target = Some(authentication)
            .filter(|object| object.kind == KIND)
            .and_then(|object| world.beside(object, kind, text("name")));
        if let Some(target) = target.filter(|target| !keys(target).contains(text("key"))) {
            let what = format!(
                "{kind} {} has no key {}: KEDA takes it for empty, this server for missing",
                named(target.name),
                named(text("key"))
            );
            let near = similar(text("key"), keys(&target))
                .map_or_else(|| "add it".to_owned(), |near| format!("write `{near}`, or add it"));
            pen.say(&rules::NO_SUCH_KEY, entry.get("key").unwrap_or(entry), what, near);
        }
    }
    refused(authentication, pen);
}

/// The parameters that a trigger reads from a reference; none where that is not known.
fn readable(registry: &Registry, trigger: &Trigger<'_, '_>) -> Option<Vec<&'static str>> {
    let scaler_type = if trigger.is_external() { trigger.key("scalerType")?.trim() } else { trigger.kind };
    let Some(backend) = registry.find(scaler_type).filter(|_| trigger.is_external()) else {
        // Parts of KEDA's scalers read what its schema does not have: only our own five are known whole.
        registry.find(scaler_type)?;
        let keys = keda::keys(scaler_type)?;
        return Some(keys.iter().filter(|(_, from)| from.reference || from.metadata).map(|(key, _)| *key).collect());
    };
    let orders = backend.orders(scaler_type).iter().filter(|(order, _)| *order != Order::NeverOfReference);
    Some(orders.flat_map(|(_, keys)| keys.iter().copied()).chain(CHANNEL).collect())
}

/// What KEDA's own admission refuses, and what it has given up.
fn refused(authentication: &Object<'_, '_>, pen: &mut Pen<'_>) {
    let Some(spec) = authentication.node.get("spec") else { return };
    if let Some(node) = spec.get("filePath").filter(|_| authentication.kind == KIND) {
        pen.say(&rules::BAD_AUTHENTICATION, node, format!("`filePath` is for a {CLUSTER_KIND} alone"), "move it there");
    }
    identity(spec, pen);
    let Some(oauth) = spec.get("oauth2") else { return };
    let text = |key: &str| oauth.get(key).and_then(Node::written).unwrap_or_default();
    let mut refuse = |what: &str, cure: &str| pen.say(&rules::BAD_AUTHENTICATION, oauth, what, cure);
    if text("type") != "clientCredentials" {
        refuse("`oauth2.type` must be `clientCredentials`: KEDA refuses others", "correct it");
    }
    if text("clientId").is_empty() {
        refuse("`oauth2.clientId` is required: KEDA refuses it", "add it");
    }
    if !["http://", "https://"].iter().any(|scheme| text("tokenUrl").starts_with(scheme)) {
        refuse("`oauth2.tokenUrl` must be an http or https URL: KEDA refuses others", "correct it");
    }
}

fn identity(spec: Node<'_, '_>, pen: &mut Pen<'_>) {
    let Some(identity) = spec.get("podIdentity") else { return };
    let text = |key: &str| identity.get(key).and_then(Node::written);
    let is_empty = |key: &str| text(key).is_some_and(str::is_empty);
    let given = |key: &str| text(key).is_some_and(|text| !text.is_empty());
    let node = identity.get("provider").unwrap_or(identity);
    match text("provider").unwrap_or_default() {
        "aws" if given("roleArn") && text("identityOwner") == Some("workload") => {
            pen.say(
                &rules::BAD_AUTHENTICATION,
                node,
                "`roleArn` and `identityOwner: workload` exclude each other: KEDA refuses it",
                "drop one",
            );
        }
        "aws" if given("externalID") && !given("roleArn") => {
            pen.say(
                &rules::BAD_AUTHENTICATION,
                node,
                "`externalID` needs a `roleArn`: KEDA refuses it",
                "add `roleArn`",
            );
        }
        "azure-workload" if is_empty("identityId") || is_empty("identityTenantId") => {
            pen.say(
                &rules::BAD_AUTHENTICATION,
                node,
                "`identityId` and `identityTenantId` must not be empty: KEDA refuses it",
                "leave them out, or give them",
            );
        }
        "azure-workload" if given("identityAuthorityHost") && !given("identityTenantId") => {
            pen.say(
                &rules::BAD_AUTHENTICATION,
                node,
                "`identityAuthorityHost` needs an `identityTenantId`: KEDA refuses it",
                "add it",
            );
        }
        "aws-eks" => {
            pen.say(
                &rules::OLD_IDENTITY,
                node,
                "`aws-eks` is deprecated since KEDA 2.13 and goes with KEDA 3",
                "write `provider: aws`; with `identityOwner: workload` it is the workload's role as before",
            );
        }
        "azure" => pen.say(
            &rules::OLD_IDENTITY,
            node,
            "`azure` (AAD Pod Identity) is gone since KEDA 2.15",
            "write `provider: azure-workload`",
        ),
        "aws-kiam" => {
            pen.say(&rules::OLD_IDENTITY, node, "`aws-kiam` is gone since KEDA 2.15", "write `provider: aws`")
        }
        "aws" | "azure-workload" | "gcp" | "none" | "" => {}
        other => {
            let near = did_you_mean(similar(other, ["aws", "azure-workload", "gcp", "none"]));
            let what = format!("KEDA has no pod identity {}{near}", named(other));
            pen.say(&rules::BAD_AUTHENTICATION, node, what, "use one of `aws`, `azure-workload`, `gcp`, `none`");
        }
    }
}
