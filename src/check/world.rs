//! All objects of the input, where the checks find them.
//!
//! Not for: what is in the cluster besides. What is not in the input is unknown, never missing.

use std::collections::{BTreeSet, HashMap};

use crate::manifest::{Manifest, Node, Object, Scaled, Seen};

/// What the input holds.
#[derive(Debug, Default)]
pub struct World<'m, 't> {
    /// With triggers.
    pub scaled: Vec<Scaled<'m, 't>>,
    /// TriggerAuthentications and ClusterTriggerAuthentications.
    pub authentications: Vec<Object<'m, 't>>,
    /// All others.
    pub others: Vec<Object<'m, 't>>,
    /// Documents and elements of lists that were looked at.
    pub objects: usize,
    /// All but those with triggers, by kind and name.
    named: HashMap<&'m str, HashMap<&'m str, Vec<Object<'m, 't>>>>,
}

impl<'m, 't> World<'m, 't> {
    /// What `manifests` hold.
    #[must_use]
    pub fn of(manifests: &'m [Manifest<'t>]) -> Self {
        let mut world = Self::default();
        for object in manifests.iter().flat_map(Manifest::objects) {
            world.objects += 1;
            if object.scaled().is_none() {
                let kind = world.named.entry(object.kind).or_default();
                kind.entry(object.name).or_default().push(object);
            }
            match object.scaled() {
                Some(scaled) => world.scaled.push(scaled),
                None if object.is_keda() && object.kind.ends_with("TriggerAuthentication") => {
                    world.authentications.push(object);
                }
                None => world.others.push(object),
            }
        }
        world
    }

    /// All objects of this kind and name, whatever their namespaces.
    #[must_use]
    pub fn named(&self, kind: &str, name: &str) -> &[Object<'m, 't>] {
        self.named.get(kind).and_then(|names| names.get(name)).map_or(&[], Vec::as_slice)
    }

    /// The object of this kind and name beside `from`.
    #[must_use]
    pub fn beside(&self, from: &Object<'_, '_>, kind: &str, name: &str) -> Option<Object<'m, 't>> {
        self.named(kind, name).iter().find(|object| object.is_beside(from)).copied()
    }

    /// The workload that `scaled` scales.
    #[must_use]
    pub fn workload(&self, scaled: &Scaled<'_, '_>) -> Option<Object<'m, 't>> {
        let reference = scaled.field(&["scaleTargetRef"])?;
        let kind = reference.get("kind").and_then(Node::written).unwrap_or("Deployment");
        self.beside(&scaled.object, kind, reference.get("name")?.written()?)
    }

    /// The pod's `spec` of that workload, or of the jobs.
    #[must_use]
    pub fn pod(&self, scaled: &Scaled<'m, 't>) -> Option<Node<'m, 't>> {
        if scaled.is_job() {
            return scaled.field(&["jobTargetRef", "template", "spec"]);
        }
        self.workload(scaled)?.node.at_path(&["spec", "template", "spec"])
    }
}

/// The keys of a Secret or a ConfigMap.
#[must_use]
pub fn keys<'m>(object: &Object<'m, '_>) -> BTreeSet<&'m str> {
    let parts = ["data", "stringData", "binaryData"].into_iter().filter_map(|part| object.node.get(part));
    let entries = parts.filter(|part| part.seen() == Seen::Mapping).flat_map(Node::entries);
    entries.filter_map(|(key, _)| key.written()).collect()
}
