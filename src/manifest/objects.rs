//! The objects in an input, those in lists too, and the triggers of KEDA's.
//!
//! Not for: whether they are right (`check`).

use super::{Manifest, Node, Seen};
use crate::limits;

/// A Kubernetes object.
#[derive(Debug, Clone, Copy)]
pub struct Object<'m, 't> {
    /// All of it.
    pub node: Node<'m, 't>,
    /// `apiVersion`; empty where there is none.
    pub api_version: &'m str,
    /// `kind`; empty where there is none.
    pub kind: &'m str,
    /// Of its metadata; empty where there is none.
    pub name: &'m str,
    /// Of its metadata; empty where there is none, which is the namespace it is applied to.
    pub namespace: &'m str,
}

/// A ScaledObject or a ScaledJob.
#[derive(Debug, Clone, Copy)]
pub struct Scaled<'m, 't> {
    /// The object.
    pub object: Object<'m, 't>,
    /// Its `spec`.
    pub spec: Option<Node<'m, 't>>,
}

/// One entry of its `triggers`.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'m, 't> {
    /// All of it.
    pub node: Node<'m, 't>,
    /// From 0.
    pub index: usize,
    /// `type`; empty where there is none.
    pub kind: &'m str,
    /// `name`.
    pub name: Option<&'m str>,
    /// `metadata`, where it is a mapping.
    pub metadata: Option<Node<'m, 't>>,
}

impl<'t> Manifest<'t> {
    /// Every object, those in lists too.
    #[must_use]
    pub fn objects(&self) -> Vec<Object<'_, 't>> {
        let mut found = Vec::new();
        for document in self.documents() {
            collect(document, 0, &mut found);
        }
        found
    }
}

fn collect<'m, 't>(node: Node<'m, 't>, depth: usize, found: &mut Vec<Object<'m, 't>>) {
    let object = Object::new(node);
    let items = node.get("items").filter(|items| is_list(object.kind) && items.seen() == Seen::Sequence);
    match items {
        // What an alias repeats is not opened: it would be as often as it is repeated.
        Some(items) if depth < limits::MANIFEST_LISTS && !node.is_alias() => {
            for item in items.items() {
                collect(item, depth + 1, found);
            }
        }
        _ if node.seen() == Seen::Mapping => found.push(object),
        _ => {}
    }
}

/// Whether objects of `kind` hold others: `List`, `ScaledObjectList`.
#[must_use]
pub fn is_list(kind: &str) -> bool {
    kind.ends_with("List")
}

impl<'m, 't> Object<'m, 't> {
    fn new(node: Node<'m, 't>) -> Self {
        let text = |path: &[&str]| node.at_path(path).and_then(Node::written).unwrap_or_default();
        Self {
            node,
            api_version: text(&["apiVersion"]),
            kind: text(&["kind"]),
            name: text(&["metadata", "name"]),
            namespace: text(&["metadata", "namespace"]),
        }
    }

    /// Whether it is KEDA's, of any version.
    #[must_use]
    pub fn is_keda(&self) -> bool {
        self.api_version.split('/').next().is_some_and(|group| matches!(group, "keda.sh" | "keda.k8s.io"))
    }

    /// For people: `ScaledObject shop/orders`.
    #[must_use]
    pub fn label(&self) -> String {
        let name = if self.name.is_empty() { "(no name)" } else { self.name };
        match self.namespace {
            "" => format!("{} {name}", self.kind),
            namespace => format!("{} {namespace}/{name}", self.kind),
        }
    }

    /// Whether the two are in one namespace, as far as they say: what has none is applied to any.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.namespace == other.namespace || self.namespace.is_empty() || other.namespace.is_empty()
    }

    /// As one with triggers.
    #[must_use]
    pub fn scaled(self) -> Option<Scaled<'m, 't>> {
        let ours = self.is_keda() && matches!(self.kind, "ScaledObject" | "ScaledJob");
        ours.then(|| Scaled { object: self, spec: self.node.get("spec").filter(|spec| spec.seen() == Seen::Mapping) })
    }
}

impl<'m, 't> Scaled<'m, 't> {
    /// Whether it makes jobs.
    #[must_use]
    pub fn is_job(&self) -> bool {
        self.object.kind == "ScaledJob"
    }

    /// A field of `spec`.
    #[must_use]
    pub fn field(&self, path: &[&str]) -> Option<Node<'m, 't>> {
        self.spec?.at_path(path)
    }

    /// Its triggers.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger<'m, 't>> {
        let list = self.field(&["triggers"]).into_iter().flat_map(Node::items);
        let mappings = list.enumerate().filter(|(_, node)| node.seen() == Seen::Mapping);
        mappings.map(|(index, node)| Trigger::new(index, node)).collect()
    }
}

impl<'m, 't> Trigger<'m, 't> {
    fn new(index: usize, node: Node<'m, 't>) -> Self {
        Self {
            node,
            index,
            kind: node.get("type").and_then(Node::written).unwrap_or_default(),
            name: node.get("name").and_then(Node::written).filter(|name| !name.is_empty()),
            metadata: node.get("metadata").filter(|metadata| metadata.seen() == Seen::Mapping),
        }
    }

    /// Whether KEDA asks another process about it.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.kind, "external" | "external-push")
    }

    /// A key of its metadata, as written.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<&'m str> {
        self.metadata?.get(key)?.written()
    }

    /// For people: `` trigger 2 `kafka` ``.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let kind = match self.key("scalerType") {
            Some(scaler_type) if self.is_external() => format!("{}, {scaler_type}", self.kind),
            _ => self.kind.to_owned(),
        };
        format!("trigger {}{name} ({kind})", self.index + 1)
    }
}
