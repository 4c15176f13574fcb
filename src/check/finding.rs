//! One thing that was found, and where; and the pen that writes it down.

use serde::Serialize;

use super::rules::{Rule, Severity};
use crate::{
    error::{clean_within, quoted},
    limits,
    manifest::{Node, Object, Place, Trigger},
};

/// One thing that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its kind.
    pub rule: &'static Rule,
    /// The input.
    pub file: String,
    /// Where in it.
    pub at: Place,
    /// The object: `ScaledObject shop/orders`; empty where it is of the file.
    pub object: String,
    /// The trigger, where it is of one.
    pub trigger: Option<String>,
    /// What is wrong and what comes of it.
    pub what: String,
    /// What to do.
    pub cure: String,
}

/// A finding as JSON has it.
#[derive(Debug, Serialize)]
pub struct Shown<'f> {
    code: &'static str,
    severity: Severity,
    title: &'static str,
    file: &'f str,
    line: usize,
    column: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    object: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<&'f str>,
    what: &'f str,
    cure: &'f str,
    docs: String,
}

impl Finding {
    /// As JSON has it.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            code: self.rule.code,
            severity: self.rule.severity,
            title: self.rule.title,
            file: &self.file,
            line: self.at.line,
            column: self.at.column,
            object: &self.object,
            trigger: self.trigger.as_deref(),
            what: &self.what,
            cure: &self.cure,
            docs: self.rule.link(),
        }
    }

    /// Where it belongs, in words: `ScaledObject shop/orders, trigger 1 (kafka)`.
    #[must_use]
    pub fn belongs_to(&self) -> String {
        match &self.trigger {
            Some(trigger) => format!("{}, {trigger}", self.object),
            None => self.object.clone(),
        }
    }
}

/// Writes findings of one object, or of one trigger of it.
pub struct Pen<'o> {
    out: &'o mut Vec<Finding>,
    object: String,
    trigger: Option<String>,
}

impl<'o> Pen<'o> {
    /// Of what is around all objects.
    pub fn of_file(out: &'o mut Vec<Finding>) -> Self {
        Self { out, object: String::new(), trigger: None }
    }

    /// Of `object`.
    pub fn of(out: &'o mut Vec<Finding>, object: &Object<'_, '_>) -> Self {
        Self { out, object: shown(&object.label()), trigger: None }
    }

    /// The same, of its trigger.
    pub fn of_trigger(&mut self, trigger: &Trigger<'_, '_>) -> Pen<'_> {
        Pen { out: self.out, object: self.object.clone(), trigger: Some(shown(&trigger.label())) }
    }

    /// `what` is wrong at `node`; `cure` is what to do.
    pub fn say(&mut self, rule: &'static Rule, node: Node<'_, '_>, what: impl AsRef<str>, cure: impl AsRef<str>) {
        self.say_at(rule, node.manifest().name, node.at(), what, cure);
    }

    /// The same at a place.
    pub fn say_at(&mut self, rule: &'static Rule, file: &str, at: Place, what: impl AsRef<str>, cure: impl AsRef<str>) {
        if self.out.len() >= limits::FINDINGS {
            return;
        }
        let text = |text: &str| clean_within(text, limits::TEXT).into_owned();
        self.out.push(Finding {
            rule,
            file: file.to_owned(),
            at,
            object: self.object.clone(),
            trigger: self.trigger.clone(),
            what: text(what.as_ref()),
            cure: text(cure.as_ref()),
        });
    }
}

/// `text` of the input, short enough for a line.
fn shown(text: &str) -> String {
    clean_within(text, limits::TEXT / 2).into_owned()
}

/// A name of the input in backticks.
pub fn named(text: &str) -> String {
    format!("`{}`", quoted(text))
}

/// Names in backticks with commas between them.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(named).collect::<Vec<_>>().join(", ")
}
