//! What two objects must not both have: one workload, one HPA, one name.
//!
//! Not for: what one object says by itself.

use std::collections::HashMap;

use super::{
    finding::{Finding, Pen, named},
    rules,
    world::World,
};
use crate::manifest::{Node, Object, Scaled};

/// Namespace, kind and name.
type Place<'m> = (&'m str, String, &'m str);

/// All of it.
pub fn check(world: &World<'_, '_>, out: &mut Vec<Finding>) {
    same_object(world, out);
    let mut targets: HashMap<Place<'_>, Object<'_, '_>> = HashMap::new();
    let mut hpas: HashMap<(&str, String), Object<'_, '_>> = HashMap::new();
    let objects = world.scaled.iter().filter(|scaled| !scaled.is_job());
    for scaled in objects {
        let object = scaled.object;
        if let (Some(place), Some(node)) = (target(scaled), scaled.field(&["scaleTargetRef", "name"])) {
            let (kind, name) = (place.1.clone(), place.2);
            if let Some(other) = targets.insert(place, object).filter(|other| other.name != object.name) {
                let what = format!("{} scales {kind} {} too: KEDA refuses the second", other.label(), named(name));
                Pen::of(out, &object).say(
                    &rules::SAME_TARGET,
                    node,
                    what,
                    "put the triggers of both into one ScaledObject",
                );
            }
        }
        let given = scaled.field(&["advanced", "horizontalPodAutoscalerConfig", "name"]);
        let hpa = given.and_then(Node::written).map_or_else(|| format!("keda-hpa-{}", object.name), str::to_owned);
        if let Some(other) =
            hpas.insert((object.namespace, hpa.clone()), object).filter(|other| other.name != object.name)
        {
            let what = format!("{} has the HPA {} too: KEDA refuses the second", other.label(), named(&hpa));
            Pen::of(out, &object).say(&rules::SAME_HPA, given.unwrap_or(object.node), what, "give each its own name");
        }
    }
    autoscalers(world, out);
}

/// What a ScaledObject scales.
fn target<'m>(scaled: &Scaled<'m, '_>) -> Option<Place<'m>> {
    let reference = scaled.field(&["scaleTargetRef"])?;
    of_reference(scaled.object.namespace, reference)
}

fn of_reference<'m>(namespace: &'m str, reference: Node<'m, '_>) -> Option<Place<'m>> {
    let text = |key: &str| reference.get(key).and_then(Node::written).filter(|text| !text.is_empty());
    let group = text("apiVersion").unwrap_or("apps/v1").split('/').next().unwrap_or_default();
    let kind = text("kind").unwrap_or("Deployment");
    let kind = if group == "apps" { kind.to_owned() } else { format!("{kind}.{group}") };
    Some((namespace, kind, text("name")?))
}

/// A HorizontalPodAutoscaler in the input that is nobody's, or a person's.
fn autoscalers(world: &World<'_, '_>, out: &mut Vec<Finding>) {
    let annotation = |object: &Object<'_, '_>, key: &str| {
        let annotations = object.node.at_path(&["metadata", "annotations"]);
        annotations.and_then(|node| node.get(key)).and_then(Node::written).map(str::to_owned)
    };
    let mut by_target: HashMap<Place<'_>, Object<'_, '_>> = HashMap::new();
    for hpa in world.others.iter().filter(|object| object.kind == "HorizontalPodAutoscaler") {
        let owners = hpa.node.at_path(&["metadata", "ownerReferences"]).into_iter().flat_map(Node::items);
        let of_keda = owners.into_iter().any(|owner| owner.get("kind").and_then(Node::written) == Some("ScaledObject"));
        let left_alone = annotation(hpa, "validations.keda.sh/hpa-ownership").as_deref() == Some("false");
        let reference = hpa.node.at_path(&["spec", "scaleTargetRef"]).filter(|_| !of_keda && !left_alone);
        if let Some(place) = reference.and_then(|reference| of_reference(hpa.namespace, reference)) {
            by_target.insert(place, *hpa);
        }
    }
    for scaled in world.scaled.iter().filter(|scaled| !scaled.is_job()) {
        let handed_over =
            annotation(&scaled.object, "scaledobject.keda.sh/transfer-hpa-ownership").as_deref() == Some("true");
        let Some(place) = target(scaled).filter(|_| !handed_over) else { continue };
        if let Some(hpa) = by_target.get(&place) {
            let node = scaled.field(&["scaleTargetRef"]).unwrap_or(scaled.object.node);
            let what = format!(
                "{} scales {} {} already: the two would work against each other, and KEDA refuses it",
                hpa.label(),
                place.1,
                named(place.2)
            );
            let cure = "take the HPA away; or hand it over: annotation `scaledobject.keda.sh/transfer-hpa-ownership: \"true\"` and its name in `advanced.horizontalPodAutoscalerConfig.name`";
            Pen::of(out, &scaled.object).say(&rules::SAME_TARGET, node, what, cure);
        }
    }
}

fn same_object(world: &World<'_, '_>, out: &mut Vec<Finding>) {
    let mut seen: HashMap<Place<'_>, Object<'_, '_>> = HashMap::new();
    let scaled = world.scaled.iter().map(|scaled| &scaled.object);
    for object in scaled.chain(&world.authentications).filter(|object| !object.name.is_empty()) {
        let place = (object.namespace, object.kind.to_owned(), object.name);
        if let Some(other) = seen.insert(place, *object) {
            let what = format!(
                "{} stands at {}:{} too: the later one applied wins",
                object.label(),
                other.node.manifest().name,
                other.node.at().line
            );
            let node = object.node.at_path(&["metadata", "name"]).unwrap_or(object.node);
            Pen::of(out, object).say(&rules::SAME_OBJECT, node, what, "take one away, or give it another name");
        }
    }
}
