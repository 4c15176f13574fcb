//! The changes that make a built-in trigger one of this server's, or why they cannot be made.
//!
//! Not for: whether the result is right, which is looked at afterwards (`mod.rs`).

use std::ops::Range;

use super::{
    edits::{Edit, Line},
    notes::Note,
};
use crate::{
    check::Options,
    keda::{self, Change, Key},
    manifest::{Manifest, Node, Scaled, Seen, Trigger},
};

/// Why a trigger is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is in the way.
    pub why: String,
    /// What to do.
    pub cure: String,
}

/// What is to be done to one trigger.
#[derive(Debug)]
pub struct Plan {
    /// The changes.
    pub edits: Vec<Edit>,
    /// What differs afterwards.
    pub notes: Vec<Note>,
    /// Pushes are turned off.
    pub silent: bool,
}

/// All triggers of one input that are to be moved, by their metadata.
pub type Movable<'m, 't> = [(Scaled<'m, 't>, Trigger<'m, 't>)];

fn refuse<T>(why: impl Into<String>, cure: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into(), cure: cure.into() })
}

/// The plan for `trigger`.
pub fn plan<'m, 't>(
    options: &Options,
    address: &str,
    manifest: &'m Manifest<'t>,
    movable: &Movable<'m, 't>,
    scaled: &Scaled<'m, 't>,
    trigger: &Trigger<'m, 't>,
) -> Result<Plan, Refusal> {
    alone(scaled, trigger)?;
    let own = |name: &str| trigger.node.own_entries().find(|(key, _)| key.written() == Some(name));
    let Some((_, kind)) = own("type") else {
        return refuse("its `type` comes by a merge key (`<<`)", "write `type` into the trigger");
    };
    if kind.is_alias() || kind.is_aliased() || kind.is_block_text() || kind.source() == "" {
        return refuse("its `type` is shared by an anchor, or not on one line", "write the word itself");
    }
    let Some((_, metadata)) = own("metadata") else {
        return refuse("it has no `metadata` of its own", "write its `metadata` out");
    };
    if metadata.is_alias() {
        return refuse(format!("its `metadata` is the alias `{}`", metadata.source()), "write it out");
    }
    if metadata.seen() != Seen::Mapping {
        return refuse("its `metadata` is no mapping", "write `key: \"value\"` below it");
    }
    if metadata.is_aliased() {
        shared(manifest, movable, trigger, metadata)?;
    }
    let mut made =
        Made { options, manifest, trigger, metadata, edits: Vec::new(), notes: Vec::new(), first_gone: None };
    let push = scaled.field(&["advanced", "scalingModifiers", "activationTarget"]).and_then(Node::written);
    let silent = !scaled.is_job() && push.is_some_and(|text| !text.trim().is_empty()) && metadata.get("push").is_none();
    let new = if scaled.is_job() { "external" } else { "external-push" };
    made.edits.push(Edit::replace(kind, quoted_like(kind, new)));
    made.keys(movable)?;
    made.insert(address, silent)?;
    Ok(Plan { edits: made.edits, notes: made.notes, silent })
}

/// No alias leads here, so that nothing else is changed.
fn alone(scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>) -> Result<(), Refusal> {
    let above = [Some(scaled.object.node), scaled.spec, scaled.field(&["triggers"])];
    let all = above.into_iter().flatten().chain([trigger.node]);
    for node in all {
        if node.is_alias() {
            return refuse(
                format!("it is written elsewhere and stands here as the alias `{}`", node.source()),
                "write it out",
            );
        }
        if node.is_aliased() {
            return refuse(
                "it has an anchor (`&`) that an alias names: a change would be one there too",
                "write out what the alias stands for",
            );
        }
    }
    Ok(())
}

/// Metadata that others merge: those must be triggers of the same kind that are moved too.
fn shared<'m, 't>(
    manifest: &Manifest<'t>,
    movable: &Movable<'m, 't>,
    trigger: &Trigger<'m, 't>,
    metadata: Node<'m, 't>,
) -> Result<(), Refusal> {
    let merging =
        movable.iter().filter(|(_, other)| other.kind == trigger.kind).filter_map(|(_, other)| other.metadata);
    let merges =
        merging.map(|other| other.merges().filter(|source| source.is_alias_of(metadata)).count()).sum::<usize>();
    if merges == manifest.uses(metadata) {
        return Ok(());
    }
    refuse(
        "its `metadata` has an anchor (`&`) that is used for something else too",
        "write out what the alias stands for",
    )
}

/// What the value of a key says: a truth value has many spellings, and KEDA knows fewer of them than YAML.
pub fn meant<'m>(value: Node<'m, '_>) -> Option<&'m str> {
    match value.seen() {
        Seen::Boolean(on) => Some(if on { "true" } else { "false" }),
        _ => value.written(),
    }
}

/// `text` with the quotes of `node`.
fn quoted_like(node: Node<'_, '_>, text: &str) -> String {
    match node.quote() {
        Some(quote) => format!("{quote}{text}{quote}"),
        None => text.to_owned(),
    }
}

struct Made<'a, 'm, 't> {
    options: &'a Options,
    manifest: &'m Manifest<'t>,
    trigger: &'a Trigger<'m, 't>,
    metadata: Node<'m, 't>,
    edits: Vec<Edit>,
    notes: Vec<Note>,
    /// The bytes of the first entry, where that is taken away.
    first_gone: Option<Range<usize>>,
}

impl<'m, 't> Made<'_, 'm, 't> {
    /// Each key of the metadata.
    fn keys(&mut self, movable: &Movable<'m, 't>) -> Result<(), Refusal> {
        for taken in ["scalerAddress", "scalerType"] {
            if self.metadata.get(taken).is_some() {
                return refuse(format!("its metadata has a key `{taken}` already"), "take it away");
            }
        }
        let entries: Vec<_> = self.metadata.entries().collect();
        for (key, value) in entries {
            let (Some(name), Some(text)) = (key.written(), meant(value)) else { continue };
            let ours = self.options.has_key(self.trigger.kind, name);
            let change = keda::moved(self.trigger.kind, Key { name, value: text, ours });
            let own = self.metadata.own_entries().any(|(known, _)| known == key);
            if !own && matches!(change, Change::Rename { .. } | Change::Drop(_)) {
                // Where it stands it is changed with that trigger's metadata.
                let moves = movable.iter().filter(|(_, other)| other.kind == self.trigger.kind);
                let there = moves
                    .filter_map(|(_, other)| other.metadata)
                    .any(|other| other.own_entries().any(|(known, _)| known == key));
                if !there {
                    return refuse(
                        format!("`{name}` comes by a merge key (`<<`) and gets another name here"),
                        "write it into the metadata",
                    );
                }
            }
            if own && !matches!(change, Change::Drop(_) | Change::Rename { value: Some(_), .. }) {
                self.put_in_quotes(name, value, text);
            }
            match change {
                Change::Keep => {}
                Change::Awakened => self.notes.push(Note::awakened(self.trigger.kind, name)),
                Change::Rename { to, value: new, why } => {
                    if self.metadata.get(to).is_some() {
                        return refuse(
                            format!("it has both `{name}` and `{to}`, which are one key here"),
                            format!("take one away; KEDA reads `{name}` here"),
                        );
                    }
                    self.notes.push(Note::renamed(name, to, new, why));
                    if own {
                        self.rename(key, value, to, new)?;
                    }
                }
                Change::Drop(why) => {
                    self.notes.push(Note::dropped(self.trigger.kind, name, why));
                    if own {
                        self.drop(key, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A number or a truth value, which Kubernetes refuses here. What an alias shares stays as it is.
    fn put_in_quotes(&mut self, name: &str, value: Node<'m, 't>, text: &str) {
        let is_text = !matches!(value.seen(), Seen::Boolean(_) | Seen::Integer(_) | Seen::Float);
        if is_text || value.is_alias() || value.is_aliased() {
            return;
        }
        self.edits.push(Edit::replace(value, format!("\"{text}\"")));
        self.notes.push(Note::in_quotes(name));
    }

    fn rename(&mut self, key: Node<'m, 't>, value: Node<'m, 't>, to: &str, new: Option<&str>) -> Result<(), Refusal> {
        if key.is_aliased() || key.is_alias() {
            return refuse(format!("the key `{}` has an anchor", key.source()), "write it out");
        }
        self.edits.push(Edit::replace(key, quoted_like(key, to)));
        let Some(new) = new else { return Ok(()) };
        if value.is_aliased() || value.is_block_text() {
            return refuse(
                format!("the value of `{}` has an anchor, or is a block of lines", key.source()),
                "write it in its place",
            );
        }
        self.edits.push(Edit::replace(value, quoted_like(value, new)));
        Ok(())
    }

    fn drop(&mut self, key: Node<'m, 't>, value: Node<'m, 't>) -> Result<(), Refusal> {
        if key.is_aliased() || value.is_aliased() {
            return refuse(
                format!("`{}` has to go, and has an anchor that an alias names", key.source()),
                "write out what the alias stands for",
            );
        }
        let text = self.manifest.text;
        let is_first = self.metadata.own_entries().next().is_some_and(|(first, _)| first == key);
        let range = key.at().byte..value.end().max(key.end() + 1);
        if is_first {
            self.first_gone = Some(range);
            return Ok(());
        }
        let range = if self.metadata.is_flow() {
            // With the comma before it.
            let before = text.get(..range.start).unwrap_or_default();
            let start = before.trim_end().strip_suffix(',').map_or(range.start, str::len);
            start..range.end
        } else {
            let (start, end) = (Line::of(text, range.start).start(), Line::of(text, range.end).end());
            let last = !text.get(..end).unwrap_or_default().ends_with(['\n', '\r']);
            let break_before = Line::of(text, range.start).line_break();
            if last { start.saturating_sub(break_before.len())..end } else { start..end }
        };
        self.edits.push(Edit { range, text: String::new() });
        Ok(())
    }

    /// Where to ask, and for what, before all other keys.
    fn insert(&mut self, address: &str, silent: bool) -> Result<(), Refusal> {
        let text = self.manifest.text;
        let mut pairs = vec![("scalerAddress", address), ("scalerType", self.trigger.kind)];
        if silent {
            pairs.push(("push", "false"));
            self.notes.push(Note::silent());
        }
        for (key, _) in self.metadata.own_entries() {
            let before = text.get(..key.at().byte).unwrap_or_default().trim_end();
            if before.ends_with('?') {
                return refuse("its metadata has a key in the long form (`? key`)", "write `key: value`");
            }
        }
        let Some((first, value)) = self.metadata.own_entries().next() else {
            // `{}`: between the braces.
            if !self.metadata.is_flow() {
                return refuse("its metadata is empty", "give it its keys");
            }
            let at = self.metadata.at().byte + 1;
            self.edits.push(Edit { range: at..at, text: joined(&pairs, false, ", ", ": ") });
            return Ok(());
        };
        let at = first.at().byte;
        let line = Line::of(text, at);
        let alone = line.before().chars().all(|c| c == ' ');
        let in_quotes = first.quote() == Some('"');
        let tight = self.metadata.is_flow() && text.get(first.end()..value.at().byte) == Some(":");
        let colon = if tight { ":" } else { ": " };
        let separator = match (self.metadata.is_flow(), alone) {
            (false, false) => {
                return refuse("the first key of its metadata does not begin a line", "put it on a line of its own");
            }
            (false, true) => format!("{}{}", line.line_break(), line.before()),
            (true, true) => format!(",{}{}", line.line_break(), line.before()),
            (true, false) => if tight { "," } else { ", " }.to_owned(),
        };
        let mut made = joined(&pairs, in_quotes, &separator, colon);
        let range = match self.first_gone.take() {
            Some(range) => range,
            None => {
                made.push_str(&separator);
                at..at
            }
        };
        self.edits.push(Edit { range, text: made });
        Ok(())
    }
}

/// Keys with their values.
fn joined(pairs: &[(&str, &str)], in_quotes: bool, separator: &str, colon: &str) -> String {
    let pair = |(key, value): &(&str, &str)| {
        let plain = value.starts_with(|c: char| c.is_ascii_alphabetic())
            && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '/'))
            && !value.ends_with(':')
            && !matches!(*value, "true" | "false" | "yes" | "no" | "on" | "off" | "null");
        let value = if plain && !in_quotes { (*value).to_owned() } else { format!("{value:?}") };
        if in_quotes { format!("\"{key}\"{colon}{value}") } else { format!("{key}{colon}{value}") }
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join(separator)
}
