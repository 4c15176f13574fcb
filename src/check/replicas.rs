//! How many replicas an object allows, and what holds where a trigger fails or only CPU and memory speak: KEDA's own rules.
//!
//! Not for: time (`timing.rs`) or formulas (`modifiers.rs`).

use super::{
    finding::{Pen, named},
    rules,
    world::World,
};
use crate::{
    manifest::{Node, Object, Scaled, Seen, Trigger},
    metadata::parse_boolean,
};

/// What KEDA takes where there is no `maxReplicaCount`.
pub const DEFAULT_MAXIMUM: i64 = 100;
/// Characters of a label's value, which a ScaledObject's name and its HPA's become.
const LABEL: usize = 63;

/// Where a field of `spec` that is not there would be.
pub fn spec_of<'m, 't>(object: &Object<'m, 't>) -> Node<'m, 't> {
    object.node.entry("spec").map_or(object.node, |(key, _)| key)
}

/// The least and the most replicas.
#[must_use]
pub fn bounds(scaled: &Scaled<'_, '_>) -> (i64, i64) {
    let number = |key: &str| scaled.field(&[key]).and_then(Node::integer);
    (number("minReplicaCount").unwrap_or(0), number("maxReplicaCount").unwrap_or(DEFAULT_MAXIMUM))
}

/// Whether a trigger is measured by Kubernetes itself.
fn is_resource(trigger: &Trigger<'_, '_>) -> bool {
    matches!(trigger.kind, "cpu" | "memory")
}

/// All of it.
pub fn check(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, triggers: &[Trigger<'_, '_>], pen: &mut Pen<'_>) {
    counts(scaled, pen);
    fallback(scaled, triggers, pen);
    resources(world, scaled, triggers, pen);
    names(scaled, pen);
    paused(scaled, pen);
}

fn counts(scaled: &Scaled<'_, '_>, pen: &mut Pen<'_>) {
    let (least, most) = bounds(scaled);
    if scaled.field(&["maxReplicaCount"]).is_none() && scaled.spec.is_some() {
        let what = format!(
            "there is no `maxReplicaCount`: KEDA goes up to {DEFAULT_MAXIMUM}, whatever the broker and the nodes can bear"
        );
        pen.say(&rules::NO_MAXIMUM, spec_of(&scaled.object), what, "set `maxReplicaCount`");
    }
    if let Some(node) = scaled.field(&["minReplicaCount"]).filter(|_| least > most) {
        let (what, cure) = if scaled.is_job() {
            (
                format!("`minReplicaCount: {least}` is above `maxReplicaCount: {most}`: KEDA takes {most} for both"),
                "lower it",
            )
        } else {
            (
                format!("`minReplicaCount: {least}` is above the most replicas, {most}: KEDA refuses it"),
                "lower it, or raise `maxReplicaCount`",
            )
        };
        pen.say(&rules::MIN_OVER_MAX, node, what, cure);
    }
    let Some((node, idle)) = scaled.field(&["idleReplicaCount"]).and_then(|node| Some((node, node.integer()?))) else {
        return;
    };
    if idle >= least {
        let what = format!("`idleReplicaCount: {idle}` is not below `minReplicaCount` ({least}): KEDA refuses it");
        let cure = if idle == 0 {
            "set `minReplicaCount` to 1 or more, or take `idleReplicaCount` away: without it 0 is what idle means"
        } else {
            "set it to 0"
        };
        pen.say(&rules::IDLE_NOT_BELOW_MIN, node, what, cure);
    } else if idle != 0 {
        let what = format!(
            "`idleReplicaCount: {idle}`: the HPA is at work from 1 replica on and goes to `minReplicaCount` at once, so only 0 works"
        );
        pen.say(&rules::IDLE_NOT_ZERO, node, what, "set it to 0");
    }
}

fn fallback(scaled: &Scaled<'_, '_>, triggers: &[Trigger<'_, '_>], pen: &mut Pen<'_>) {
    if scaled.is_job() || triggers.is_empty() {
        return;
    }
    let modifiers = scaled.field(&["advanced", "scalingModifiers"]);
    let formula = modifiers.and_then(|modifiers| modifiers.get("formula")).is_some();
    let Some((key, fallback)) = scaled.spec.and_then(|spec| spec.entry("fallback")) else {
        if triggers.iter().any(|trigger| !is_resource(trigger)) {
            let what = "there is no `fallback`: while the source cannot be read the number of replicas stays as it is, and a workload at zero stays there";
            pen.say(
                &rules::NO_FALLBACK,
                spec_of(&scaled.object),
                what,
                "add `fallback` with `failureThreshold` and `replicas`",
            );
        }
        return;
    };
    if triggers.iter().all(is_resource) && !formula {
        let what = "`fallback` needs a trigger other than CPU and memory: KEDA refuses it";
        pen.say(&rules::FALLBACK_UNUSABLE, key, what, "take it away");
    }
    let behaviour = fallback.get("behavior").and_then(Node::written);
    if behaviour == Some("scalingModifiers") && !formula {
        let what = "`behavior: scalingModifiers` needs a `formula`: KEDA refuses it";
        pen.say(
            &rules::FALLBACK_UNUSABLE,
            key,
            what,
            "add `advanced.scalingModifiers.formula`, or take another behaviour",
        );
    }
    let target = modifiers.and_then(|modifiers| modifiers.get("target")).and_then(Node::written);
    if let Some(target) = target.filter(|target| target.trim().parse::<i64>().is_err()) {
        let what =
            format!("`scalingModifiers.target: {}` is no whole number: with it KEDA never falls back", named(target));
        pen.say(&rules::FALLBACK_UNUSABLE, key, what, "make the target a whole number");
    }
    let most = bounds(scaled).1;
    if let Some((node, replicas)) =
        fallback.get("replicas").and_then(|node| Some((node, node.integer()?))).filter(|(_, replicas)| *replicas > most)
    {
        let what =
            format!("`fallback.replicas: {replicas}` is more than the most replicas, {most}: the HPA stops there");
        pen.say(&rules::FALLBACK_UNUSABLE, node, what, "lower it, or raise `maxReplicaCount`");
    }
}

fn resources(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, triggers: &[Trigger<'_, '_>], pen: &mut Pen<'_>) {
    let own: Vec<_> = triggers.iter().filter(|trigger| is_resource(trigger)).collect();
    let Some(first) = own.first().filter(|_| !scaled.is_job()) else { return };
    if own.len() == triggers.len() && bounds(scaled).0 == 0 {
        let what = "CPU and memory of no replicas are not measured, so the workload cannot leave zero: KEDA refuses it";
        pen.of_trigger(first).say(
            &rules::NEVER_ZERO,
            first.node,
            what,
            "set `minReplicaCount` to 1 or more, or add another trigger",
        );
    }
    let Some(pod) = world.pod(scaled) else { return };
    for trigger in own {
        let wanted = trigger.key("containerName").filter(|name| !name.is_empty());
        let has = |node: Node<'_, '_>| {
            ["requests", "limits"].iter().any(|part| node.at_path(&["resources", part, trigger.kind]).is_some())
        };
        if wanted.is_none() && has(pod) {
            continue;
        }
        for container in pod.get("containers").into_iter().flat_map(Node::items) {
            let name = container.get("name").and_then(Node::written).unwrap_or_default();
            if wanted.is_none_or(|wanted| wanted == name) && !has(container) {
                let what = format!(
                    "container {} of the workload has no `resources.requests.{}`: there is nothing to compare with, and KEDA refuses it unless a LimitRange gives one",
                    named(name),
                    trigger.kind
                );
                pen.of_trigger(trigger).say(
                    &rules::NO_REQUESTS,
                    trigger.node,
                    what,
                    "add the request to the container",
                );
            }
        }
    }
}

fn names(scaled: &Scaled<'_, '_>, pen: &mut Pen<'_>) {
    if scaled.is_job() {
        return;
    }
    let node = scaled.object.node.at_path(&["metadata", "name"]);
    let given = scaled.field(&["advanced", "horizontalPodAutoscalerConfig", "name"]);
    let hpa = given.and_then(Node::written).map_or_else(|| format!("keda-hpa-{}", scaled.object.name), str::to_owned);
    let (length, what) = if scaled.object.name.len() > LABEL {
        (scaled.object.name.len(), "the ScaledObject's name")
    } else {
        (hpa.len(), "the HPA's name (`keda-hpa-` and the ScaledObject's)")
    };
    if let Some(node) = given.filter(|_| scaled.object.name.len() <= LABEL).or(node).filter(|_| length > LABEL) {
        let what =
            format!("{what} has {length} characters, and {LABEL} are the most that a label takes: KEDA refuses it");
        pen.say(&rules::LONG_NAME, node, what, "shorten it, or set `advanced.horizontalPodAutoscalerConfig.name`");
    }
}

fn paused(scaled: &Scaled<'_, '_>, pen: &mut Pen<'_>) {
    let annotations = scaled.object.node.at_path(&["metadata", "annotations"]);
    for (key, value) in annotations.filter(|node| node.seen() == Seen::Mapping).into_iter().flat_map(Node::entries) {
        let name = key.written().unwrap_or_default();
        let known = name.strip_prefix("autoscaling.keda.sh/").is_some_and(|name| name.starts_with("paused"));
        let off = value.written().and_then(parse_boolean) == Some(false);
        if known && (!off || name.ends_with("replicas")) {
            pen.say(
                &rules::PAUSED,
                key,
                format!("{} holds the workload: KEDA does not scale it meanwhile", named(name)),
                "take the annotation away to go on",
            );
        }
    }
}
