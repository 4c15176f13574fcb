//! The variables of a workload that is in the input, as KEDA finds them for `…FromEnv`.
//!
//! Not for: what pods see besides. Where a value comes from what is not in the input, it is unknown.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::world::World;
use crate::manifest::{Node, Scaled, Seen};

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// Its value.
    Value(String),
    /// It is there, or may be.
    Unknown,
    /// It is not there.
    Missing,
}

impl Variable {
    /// Where it is unknown, the one of `environment`.
    #[must_use]
    pub fn or_of(self, environment: &HashMap<String, String>, name: &str) -> Self {
        match (self, environment.get(name)) {
            (Self::Unknown, Some(value)) => Self::Value(value.clone()),
            (variable, _) => variable,
        }
    }
}

/// The variables of one workload.
#[derive(Debug, Default)]
pub struct Variables {
    named: HashMap<String, Variable>,
    /// Others may be there.
    open: bool,
}

impl Variables {
    /// Those that KEDA has for the triggers of `scaled`.
    #[must_use]
    pub fn of(world: &World<'_, '_>, scaled: &Scaled<'_, '_>) -> Self {
        let Some(containers) = world.pod(scaled).and_then(|pod| pod.get("containers")) else {
            return Self { named: HashMap::new(), open: true };
        };
        let path: &[&str] =
            if scaled.is_job() { &["envSourceContainerName"] } else { &["scaleTargetRef", "envSourceContainerName"] };
        let wanted = scaled.field(path).and_then(Node::written);
        let is_wanted = |container: &Node<'_, '_>| match wanted {
            Some(name) => container.get("name").and_then(Node::written) == Some(name),
            None => true,
        };
        let Some(container) = containers.items().find(is_wanted) else {
            return Self { named: HashMap::new(), open: wanted.is_none() };
        };
        let mut variables = Self::default();
        for source in container.get("envFrom").into_iter().flat_map(Node::items) {
            variables.take_all(world, scaled, source);
        }
        for variable in container.get("env").into_iter().flat_map(Node::items) {
            let Some(name) = variable.get("name").and_then(Node::written) else { continue };
            let value = match (variable.get("value").and_then(Node::written), variable.get("valueFrom")) {
                // One that refers to others is not worked out here.
                (Some(text), _) if text.contains("$(") => Variable::Unknown,
                (Some(text), _) => Variable::Value(text.to_owned()),
                (None, Some(from)) => from_elsewhere(world, scaled, from),
                (None, None) => Variable::Value(String::new()),
            };
            variables.named.insert(name.to_owned(), value);
        }
        variables
    }

    /// The variable `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Variable {
        let otherwise = if self.open { Variable::Unknown } else { Variable::Missing };
        self.named.get(name).cloned().unwrap_or(otherwise)
    }

    fn take_all(&mut self, world: &World<'_, '_>, scaled: &Scaled<'_, '_>, source: Node<'_, '_>) {
        let prefix = source.get("prefix").and_then(Node::written).unwrap_or_default();
        for (field, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            let Some(name) = source.at_path(&[field, "name"]).and_then(Node::written) else { continue };
            match world.beside(&scaled.object, kind, name) {
                None => self.open = true,
                Some(object) => {
                    for (key, value) in values(object.node) {
                        self.named.insert(format!("{prefix}{key}"), value);
                    }
                }
            }
        }
    }
}

fn from_elsewhere(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, from: Node<'_, '_>) -> Variable {
    for (field, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
        let Some(reference) = from.get(field) else { continue };
        let text = |key: &str| reference.get(key).and_then(Node::written).unwrap_or_default();
        let Some(object) = world.beside(&scaled.object, kind, text("name")) else { return Variable::Unknown };
        return value(object.node, text("key"));
    }
    // What a pod is told of itself, KEDA does not see.
    Variable::Missing
}

fn values<'m>(object: Node<'m, '_>) -> Vec<(&'m str, Variable)> {
    let parts = ["data", "stringData"].into_iter().filter_map(|part| object.get(part));
    let keys = parts.filter(|part| part.seen() == Seen::Mapping).flat_map(Node::entries);
    keys.filter_map(|(key, _)| key.written()).map(|key| (key, value(object, key))).collect()
}

/// The value of `key` in a Secret or a ConfigMap.
#[must_use]
pub fn value(object: Node<'_, '_>, key: &str) -> Variable {
    if let Some(text) = object.at_path(&["stringData", key]).and_then(Node::written) {
        return Variable::Value(text.to_owned());
    }
    let Some(text) = object.at_path(&["data", key]).and_then(Node::written) else {
        return Variable::Missing;
    };
    if object.get("kind").and_then(Node::written) != Some("Secret") {
        return Variable::Value(text.to_owned());
    }
    let bytes: String = text.split_whitespace().collect();
    let decoded = STANDARD.decode(&bytes).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // What is sealed, encrypted or to be filled in is no base64.
    decoded.map_or(Variable::Unknown, Variable::Value)
}
