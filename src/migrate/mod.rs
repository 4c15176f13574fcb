//! Makes KEDA's built-in triggers this server's, in their files: only what must change is changed, every other byte stays.
//!
//! What cannot be changed safely is left as it is, and why is said. Not for: reading and writing files (`cli`).

mod edits;
mod notes;
mod plan;

use std::collections::BTreeMap;

use serde::Serialize;

pub use notes::{Note, Weight};

use crate::{
    check::{self, Options, World, rules},
    keda::{self, Change, Key},
    manifest::{Manifest, Node, Place, Scaled, Source, Trigger},
};
use edits::{Edit, apply};
use plan::{Plan, Refusal, plan};

/// What became of one input.
#[derive(Debug)]
pub struct Migrated {
    /// The new text; the old one where nothing was moved.
    pub text: String,
    /// What became of each built-in trigger of ours, in order.
    pub triggers: Vec<Outcome>,
}

/// What became of one trigger.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The input.
    pub file: String,
    /// Where the trigger stood in it.
    pub line: usize,
    /// The object: `ScaledObject shop/orders`.
    pub object: String,
    /// The trigger: `trigger 1 (kafka)`.
    pub trigger: String,
    /// Why it was left as it is; `None` where it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What differs, the most important first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// An input that cannot be changed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{at}: {why}")]
pub struct Unmovable {
    file: String,
    at: Place,
    why: String,
}

/// A trigger with what is to be done to it.
struct Step<'m, 't> {
    /// Which of the input's objects with triggers.
    object: usize,
    scaled: Scaled<'m, 't>,
    trigger: Trigger<'m, 't>,
    planned: Result<Plan, Refusal>,
}

/// Moves all built-in triggers of `source` that this server reads to the server at `address`.
pub fn migrate(options: &Options, source: &Source, address: &str) -> Result<Migrated, Unmovable> {
    let manifests = [Manifest::read(&source.name, &source.text)];
    let [manifest] = &manifests;
    if let Some(trouble) = manifest.troubles.first() {
        let why = if source.text.contains("{{") {
            "this is a template, and what it becomes is not known: change it by hand, docs/migrate.md shows how"
                .to_owned()
        } else {
            format!("this cannot be read as YAML: {}", trouble.text)
        };
        return Err(Unmovable { file: source.name.clone(), at: trouble.at, why });
    }
    let world = World::of(&manifests);
    let mut movable = Vec::new();
    let mut objects = Vec::new();
    for (object, scaled) in world.scaled.iter().enumerate() {
        let ours = |trigger: &Trigger<'_, '_>| options.registry.find(trigger.kind).is_some();
        let before = movable.len();
        movable.extend(scaled.triggers().into_iter().filter(ours).map(|trigger| (*scaled, trigger)));
        objects.extend(std::iter::repeat_n(object, movable.len() - before));
    }
    let mut steps: Vec<Step<'_, '_>> = movable
        .iter()
        .zip(objects)
        .map(|((scaled, trigger), object)| {
            let planned = known(scaled).and_then(|()| plan(options, address, manifest, &movable, scaled, trigger));
            let planned = planned.map(|mut plan| {
                plan.notes.extend(notes::of(&world, scaled, trigger));
                plan.notes.sort_by_key(|note| std::cmp::Reverse(note.weight));
                plan
            });
            Step { object, scaled: *scaled, trigger: *trigger, planned }
        })
        .collect();
    together(&mut steps);
    let text = settle(options, source, address, &mut steps);
    let triggers = steps.iter().map(|step| outcome(source, step)).collect();
    Ok(Migrated { text, triggers })
}

impl Step<'_, '_> {
    /// What its metadata must say once it has been moved.
    fn expected(&self, options: &Options, address: &str) -> Option<BTreeMap<String, String>> {
        let kind = self.trigger.kind;
        let mut expected = BTreeMap::new();
        for (key, value) in self.trigger.metadata?.entries() {
            let (Some(name), Some(text)) = (key.written(), plan::meant(value)) else { continue };
            let ours = options.has_key(kind, name);
            let (name, text) = match keda::moved(kind, Key { name, value: text, ours }) {
                Change::Rename { to, value, .. } => (to, value.unwrap_or(text)),
                Change::Drop(_) => continue,
                Change::Keep | Change::Awakened => (name, text),
            };
            expected.insert(name.to_owned(), text.to_owned());
        }
        let silent = self.planned.as_ref().is_ok_and(|plan| plan.silent);
        let added = [("scalerAddress", Some(address)), ("scalerType", Some(kind)), ("push", silent.then_some("false"))];
        for (name, value) in added {
            if let Some(value) = value {
                expected.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(expected)
    }
}

/// Whether the object is one that can be understood.
fn known(scaled: &Scaled<'_, '_>) -> Result<(), Refusal> {
    if scaled.object.api_version.starts_with("keda.k8s.io") {
        let why = "the object is KEDA 1's".to_owned();
        return Err(Refusal { why, cure: "move it to KEDA 2 first (`plimsoll check` says what is old)".to_owned() });
    }
    let node = scaled.object.node;
    if node.source().contains("{{") {
        let why = "there is a template (`{{`) in its object, and what it becomes is not known".to_owned();
        return Err(Refusal { why, cure: "change it by hand, docs/migrate.md shows how".to_owned() });
    }
    Ok(())
}

/// Who merges the metadata of a trigger that stays must stay too, and the other way round.
fn together(steps: &mut [Step<'_, '_>]) {
    loop {
        let bound = |step: &Step<'_, '_>, other: &Step<'_, '_>| match (step.trigger.metadata, other.trigger.metadata) {
            (Some(one), Some(two)) => {
                one.merges().any(|source| source.is_alias_of(two)) || two.merges().any(|source| source.is_alias_of(one))
            }
            _ => false,
        };
        let stuck = steps.iter().position(|step| {
            step.planned.is_ok() && steps.iter().any(|other| other.planned.is_err() && bound(step, other))
        });
        let Some(step) = stuck.and_then(|index| steps.get_mut(index)) else { return };
        let why = "it shares its metadata with a trigger that stays as it is".to_owned();
        step.planned = Err(Refusal { why, cure: "write out what the alias stands for".to_owned() });
    }
}

/// Changes the text, looks at the result, and takes back what is not right, until all that is left is.
fn settle(options: &Options, source: &Source, address: &str, steps: &mut [Step<'_, '_>]) -> String {
    loop {
        let edits: Vec<Edit> =
            steps.iter().filter_map(|step| step.planned.as_ref().ok()).flat_map(|plan| plan.edits.clone()).collect();
        if edits.is_empty() {
            return source.text.clone();
        }
        let Some(text) = apply(&source.text, edits) else {
            give_up(steps, "its changes cannot be made one after the other");
            return source.text.clone();
        };
        let made = [Source { name: source.name.clone(), text }];
        let manifests = check::read(&made);
        let (report, _) = check::check_read(options, &manifests);
        let world = World::of(&manifests);
        let Some(refused) = wrong(options, address, (&world, &report), steps) else {
            let [Source { text, .. }] = made;
            return text;
        };
        if !refused {
            give_up(steps, "the result would be another document");
            return source.text.clone();
        }
        together(steps);
    }
}

fn give_up(steps: &mut [Step<'_, '_>], why: &str) {
    for step in steps.iter_mut().filter(|step| step.planned.is_ok()) {
        step.planned =
            Err(Refusal { why: why.to_owned(), cure: "change it by hand, docs/migrate.md shows how".to_owned() });
    }
}

/// Whether something is wrong with the result: `Some(true)` where it was a trigger that has been refused for it.
fn wrong(
    options: &Options,
    address: &str,
    (world, report): (&World<'_, '_>, &check::Report),
    steps: &mut [Step<'_, '_>],
) -> Option<bool> {
    let mut found = false;
    for step in steps.iter_mut().filter(|step| step.planned.is_ok()) {
        let triggers = world.scaled.get(step.object).map(Scaled::triggers).unwrap_or_default();
        let moved = triggers.iter().find(|trigger| trigger.index == step.trigger.index && trigger.is_external());
        let Some(moved) = moved.filter(|moved| moved.key("scalerType") == Some(step.trigger.kind)) else {
            return Some(false);
        };
        let found_in = |node: Node<'_, '_>| -> BTreeMap<String, String> {
            let entries = node.entries().filter_map(|(key, value)| Some((key.written()?, plan::meant(value)?)));
            entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        if report.seen.unreadable > 0 || moved.metadata.map(found_in) != step.expected(options, address) {
            return Some(false);
        }
        let within = moved.node.at().byte..moved.node.end();
        let hurts = |finding: &&check::Finding| {
            let rules = [rules::BAD_KEY, rules::MISSING_KEY, rules::UNKNOWN_SCALER, rules::NO_LOGIN];
            rules.iter().any(|rule| rule == finding.rule) && within.contains(&finding.at.byte)
        };
        if let Some(finding) = report.findings.iter().find(hurts) {
            let why = format!("as it is written, this server would refuse it: {}", finding.what);
            step.planned = Err(Refusal { why, cure: finding.cure.clone() });
            found = true;
        }
    }
    found.then_some(true)
}

fn outcome(source: &Source, step: &Step<'_, '_>) -> Outcome {
    let (refused, notes) = match &step.planned {
        Ok(plan) => (None, plan.notes.clone()),
        Err(refusal) => (Some(format!("{}: {}", refusal.why, refusal.cure)), Vec::new()),
    };
    Outcome {
        file: source.name.clone(),
        line: step.trigger.node.at().line,
        object: step.scaled.object.label(),
        trigger: step.trigger.label(),
        refused,
        notes,
    }
}
