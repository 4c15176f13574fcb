//! One trigger's metadata: what our backends' parsers say of it, for built-in triggers too, whose grammar they have.
//!
//! Not for: KEDA's way to us (`channel.rs`), or what the trigger's object says (`replicas.rs`, `timing.rs`).

use std::collections::BTreeMap;

use super::{
    Options,
    env::{Variable, Variables},
    finding::{Pen, named},
    guess::{Known, examine_known},
    login::{Supply, is_secret, references},
    rules,
    world::World,
};
use crate::{
    credentials::CONNECTION,
    error::{Problem, did_you_mean, give_login, similar},
    keda::{self, Change, Key},
    manifest::{Node, Scaled, Trigger},
    trigger::Examined,
};

/// What a trigger reads, and how it comes to be known.
#[derive(Debug)]
pub struct Followed {
    /// KEDA's name for it.
    pub scaler_type: &'static str,
    /// What is known of it.
    pub examined: Examined,
    /// As the server would be sent it.
    pub metadata: BTreeMap<String, String>,
    /// What references give.
    pub supply: Supply,
    /// Keys whose values it needs and that are not in the input.
    pub missing: Vec<String>,
}

/// One key of the metadata.
struct Entry<'m, 't> {
    /// As this server would be sent it.
    name: &'m str,
    key: Node<'m, 't>,
    value: Node<'m, 't>,
    text: &'m str,
    /// What it is here, for a built-in trigger.
    change: Change,
}

/// Follows `trigger`; `None` where it is none of ours.
pub fn check(
    options: &Options,
    world: &World<'_, '_>,
    scaled: &Scaled<'_, '_>,
    trigger: &Trigger<'_, '_>,
    variables: &Variables,
    pen: &mut Pen<'_>,
) -> Option<Followed> {
    let registry = &options.registry;
    let wanted = if trigger.is_external() { trigger.key("scalerType").map(str::trim) } else { Some(trigger.kind) };
    let scaler_type = wanted.and_then(|wanted| registry.scaler_types().find(|known| *known == wanted));
    secrets(trigger, scaler_type.is_some(), pen);
    gone(trigger, wanted, pen);
    let Some(scaler_type) = scaler_type else {
        if trigger.is_external() {
            unknown_scaler(options, trigger, wanted, pen);
        } else {
            other_scaler(trigger, pen);
        }
        return None;
    };
    let entries = entries(options, scaler_type, trigger);
    let supply = Supply::of(world, scaled, trigger, variables);
    let connection = entries.iter().find(|entry| entry.name == CONNECTION && trigger.is_external()).map(|entry| {
        let found =
            options.connections.as_ref().map(|all| all.find(entry.text.trim(), scaled.object.namespace, scaler_type));
        match found {
            Some(Err(text)) => {
                pen.say(&rules::BAD_KEY, entry.value, text, "name a connection of the server's config");
                None
            }
            Some(Ok(found)) => found.parameters(),
            None => None,
        }
    });
    // What the one or the other gives may be needed by nobody but the broker.
    let unseen = [("authenticationRef", supply.open), (CONNECTION, matches!(connection, Some(None)))];
    let unseen: Vec<String> = unseen.into_iter().filter(|(_, open)| *open).map(|(name, _)| name.to_owned()).collect();
    let mut known = Known { metadata: BTreeMap::new(), unknown: Default::default(), supply: &supply, connection };
    known.metadata.insert("scalerType".to_owned(), scaler_type.to_owned());
    for entry in &entries {
        let (base, from_environment) = keda::base(entry.name);
        match (from_environment, &entry.change) {
            (_, Change::Drop(_)) => {}
            // Nobody reads it in a built-in trigger.
            (_, Change::Awakened) if !trigger.is_external() => {}
            (false, Change::Rename { to: "tls", value: None, .. }) => {
                let what = format!("{} must be `true` or `false`", named(entry.key.written().unwrap_or_default()));
                pen.say(&rules::BAD_KEY, entry.value, what, "correct it");
            }
            (false, Change::Rename { value: Some(value), .. }) => {
                drop(known.metadata.insert(entry.name.to_owned(), (*value).to_owned()))
            }
            (false, _) => drop(known.metadata.insert(entry.name.to_owned(), entry.text.to_owned())),
            (true, _) => match variables.get(entry.text).or_of(&options.environment, entry.text) {
                Variable::Value(value) => drop(known.metadata.insert(entry.name.to_owned(), value)),
                Variable::Unknown => drop(known.unknown.insert(base.to_owned())),
                Variable::Missing => {
                    let what = format!(
                        "{}: the workload's container has no variable {}, so KEDA has no value for it",
                        named(entry.name),
                        named(entry.text)
                    );
                    known.unknown.insert(base.to_owned());
                    pen.say(
                        &rules::NO_VARIABLE,
                        entry.value,
                        what,
                        "name one of the container's `env`, or add it there",
                    );
                }
            },
        }
    }
    let (examined, guessed) = examine_known(registry, scaler_type, &known);
    let metadata = known.metadata;
    let mut page = Page { trigger, scaler_type, entries, pen, with_reference: !references(trigger).is_empty() };
    page.problems(&examined);
    page.warnings(&examined);
    page.unknown_keys(&examined);
    if !trigger.is_external() {
        page.not_read();
    }
    let mut missing: Vec<String> = guessed.into_iter().collect();
    missing.extend(unseen);
    Some(Followed { scaler_type, examined, metadata, supply, missing })
}

fn entries<'m, 't>(options: &Options, scaler_type: &'static str, trigger: &Trigger<'m, 't>) -> Vec<Entry<'m, 't>> {
    let all = trigger.metadata.into_iter().flat_map(Node::entries);
    let entries = all.filter_map(|(key, value)| {
        let (written, text) = (key.written()?, value.written()?);
        let (name, change) = if trigger.is_external() {
            (written, Change::Keep)
        } else {
            let change = keda::moved(
                scaler_type,
                Key { name: written, value: text, ours: options.has_key(scaler_type, written) },
            );
            match change {
                Change::Rename { to, .. } => (to, change),
                _ => (written, change),
            }
        };
        Some(Entry { name, key, value, text, change })
    });
    entries.collect()
}

/// Says what the parser said, where it belongs.
struct Page<'p, 'o, 'm, 't> {
    trigger: &'p Trigger<'m, 't>,
    scaler_type: &'static str,
    entries: Vec<Entry<'m, 't>>,
    pen: &'p mut Pen<'o>,
    with_reference: bool,
}

impl Page<'_, '_, '_, '_> {
    fn problems(&mut self, examined: &Examined) {
        for problem in &examined.problems {
            let entry =
                self.entries.iter().find(|entry| entry.name == problem.key || keda::base(entry.name).0 == problem.key);
            let text = self.in_its_words(problem);
            let place = entry.map(|entry| entry.value);
            match (place, no_login(problem)) {
                (_, true) if self.with_reference => {
                    let what = format!("`{}` is required, and the `authenticationRef` does not give it", problem.key);
                    let cure = format!("let it name a parameter `{}`", problem.key);
                    self.pen.say(&rules::NO_LOGIN, metadata_of(self.trigger), what, cure);
                }
                (_, true) => {
                    let cure = match self.trigger.is_external() {
                        true => {
                            "add an `authenticationRef` (the server needs `--kubernetes`), a `connection`, or `…FromEnv`"
                        }
                        false => "add an `authenticationRef`",
                    };
                    self.pen.say(&rules::NO_LOGIN, metadata_of(self.trigger), text, cure);
                }
                (Some(node), false) => self.pen.say(&rules::BAD_KEY, node, text, self.see()),
                (None, false) => self.pen.say(&rules::MISSING_KEY, metadata_of(self.trigger), text, self.see()),
            }
        }
    }

    /// The parser calls keys as this server has them.
    fn in_its_words(&self, problem: &Problem) -> String {
        let mut text = problem.text.clone();
        for entry in &self.entries {
            if let (Change::Rename { to, .. }, Some(written)) = (entry.change, entry.key.written()) {
                text = text.replace(&format!("`{to}`"), &format!("`{written}`"));
            }
        }
        // What to do about it is the cure.
        match text.split_once(login_marker()) {
            Some((before, _)) => before.trim_end_matches([':', ' ']).to_owned(),
            None => text,
        }
    }

    fn see(&self) -> String {
        format!("correct it; docs/backends/{}.md has the keys of `{}`", page(self.scaler_type), self.scaler_type)
    }

    fn warnings(&mut self, examined: &Examined) {
        for warning in &examined.warnings {
            // A text begins with the key it is about.
            let key = warning.split('`').nth(1).unwrap_or_default();
            let node = self.entries.iter().find(|entry| entry.name == key).map(|entry| entry.key);
            self.pen.say(&rules::ODD_KEY, node.unwrap_or_else(|| metadata_of(self.trigger)), warning, self.see());
        }
    }

    fn unknown_keys(&mut self, examined: &Examined) {
        for unknown in &examined.unknown {
            let Some(entry) = self.entries.iter().find(|entry| entry.name == unknown.key) else { continue };
            if self.trigger.is_external() && unknown.key == "scalerType"
                || keda::gone(self.scaler_type, &unknown.key).is_some()
            {
                continue;
            }
            self.pen.unknown(entry.key, self.scaler_type, unknown.near);
        }
    }

    /// Keys that this server would read, and KEDA does not from a built-in trigger's metadata.
    fn not_read(&mut self) {
        let Some(keys) = keda::keys(self.scaler_type) else { return };
        for entry in &self.entries {
            let written = entry.key.written().unwrap_or_default();
            let (base, from_environment) = keda::base(written);
            let by_reference = keys.get(base).is_some_and(|from| from.reference);
            match entry.change {
                Change::Awakened if by_reference => {
                    let how = if from_environment { "from a variable" } else { "from the metadata" };
                    let what = format!("KEDA does not read {} {how} here: it has no effect", named(written));
                    let cure = format!("give `{base}` by an `authenticationRef`");
                    self.pen.say(&rules::NOT_FROM_METADATA, entry.key, what, cure);
                }
                Change::Awakened => {
                    let what = format!("KEDA does not know {} in a built-in trigger: it has no effect", named(written));
                    let cure = match written {
                        "pollingInterval" => "write it into `spec`, beside `triggers`",
                        _ => "move the trigger to Plimsoll (`plimsoll migrate`), or take it away",
                    };
                    self.pen.say(&rules::OURS_ALONE, entry.key, what, cure);
                }
                Change::Drop(_) => {
                    let what = format!("`{}` has no key {}: it has no effect", self.scaler_type, named(written));
                    let cure = match (written, keys.contains_key("tls")) {
                        ("enableTLS", true) => "write `tls: enable`",
                        _ => "take it away",
                    };
                    self.pen.say(&rules::UNKNOWN_KEY, entry.key, what, cure);
                }
                Change::Keep | Change::Rename { .. } => {}
            }
        }
    }
}

impl Pen<'_> {
    fn unknown(&mut self, key: Node<'_, '_>, scaler_type: &str, near: Option<&str>) {
        let written = named(key.written().unwrap_or_default());
        let (what, cure) = match near {
            Some(near) => (
                format!("{written} is not a key of `{scaler_type}`, did you mean `{near}`? It has no effect"),
                format!("write `{near}`, or take it away"),
            ),
            None => (format!("{written} is not a key of `{scaler_type}`: it has no effect"), "take it away".to_owned()),
        };
        self.say(&rules::UNKNOWN_KEY, key, what, cure);
    }
}

fn unknown_scaler(options: &Options, trigger: &Trigger<'_, '_>, wanted: Option<&str>, pen: &mut Pen<'_>) {
    let known: Vec<&str> = options.registry.scaler_types().collect();
    let ours = trigger.key("scalerAddress").is_some_and(|address| address.contains("plimsoll"));
    match wanted.filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => {
            let node = trigger.metadata.and_then(|metadata| metadata.get("scalerType")).unwrap_or(trigger.node);
            let near = keda::near_type(wanted).filter(|near| known.contains(near));
            let near = did_you_mean(near);
            let what = format!("this server has no `scalerType` {}{near}", named(wanted));
            pen.say(&rules::UNKNOWN_SCALER, node, what, format!("use one of {}", known.join(", ")));
        }
        // Any other external scaler may be meant.
        None if ours => {
            let what = "`scalerType` is required: it says which backend reads the trigger";
            pen.say(&rules::UNKNOWN_SCALER, metadata_of(trigger), what, format!("add one of {}", known.join(", ")));
        }
        None => {}
    }
}

/// KEDA's scalers besides ours of which it is known for sure what they require.
const WHOLE: [&str; 3] = ["cpu", "memory", "cron"];

/// A scaler of KEDA's own that is none of ours.
fn other_scaler(trigger: &Trigger<'_, '_>, pen: &mut Pen<'_>) {
    let Some(keys) = keda::keys(trigger.kind) else {
        if !trigger.kind.is_empty() {
            let near = keda::near_type(trigger.kind);
            let question = did_you_mean(near);
            let what = format!("KEDA has no trigger type {}{question}", named(trigger.kind));
            let cure =
                near.map_or_else(|| "use a type that KEDA has".to_owned(), |near| format!("write `type: {near}`"));
            pen.say(&rules::UNKNOWN_TYPE, trigger.node.get("type").unwrap_or(trigger.node), what, cure);
        }
        return;
    };
    let Some(metadata) = trigger.metadata else { return };
    // KEDA's table says of some that they are required where another may stand for them.
    let whole = WHOLE.contains(&trigger.kind);
    for (key, _) in keys.iter().filter(|(_, from)| whole && from.required) {
        let given = metadata.get(key).and_then(Node::written).is_some_and(|text| !text.trim().is_empty());
        if !given {
            let what = format!("`{key}` is required by `{}`", trigger.kind);
            pen.say(&rules::MISSING_KEY, metadata_of(trigger), what, "add it to the metadata");
        }
    }
    // The table may lack a key that a part of the scaler reads: only slips of the pen are said.
    for (key, _) in metadata.entries() {
        let base = keda::base(key.written().unwrap_or_default()).0;
        let near = similar(base, keys.keys().copied()).filter(|_| !keys.contains_key(base));
        if near.is_some() && keda::gone(trigger.kind, base).is_none() {
            pen.unknown(key, trigger.kind, near);
        }
    }
}

fn gone(trigger: &Trigger<'_, '_>, wanted: Option<&str>, pen: &mut Pen<'_>) {
    let kind = if trigger.is_external() { wanted.unwrap_or(trigger.kind) } else { trigger.kind };
    for (key, _) in trigger.metadata.into_iter().flat_map(Node::entries) {
        let written = key.written().unwrap_or_default();
        if let Some((since, cure)) = keda::gone(kind, written).or_else(|| keda::gone(trigger.kind, written)) {
            let what = format!("KEDA has not read {} since {since}: it has no effect", named(written));
            pen.say(&rules::DEPRECATED_KEY, key, what, cure);
        }
    }
}

fn secrets(trigger: &Trigger<'_, '_>, ours: bool, pen: &mut Pen<'_>) {
    for (key, value) in trigger.metadata.into_iter().flat_map(Node::entries) {
        let (Some(name), Some(text)) = (key.written(), value.written()) else { continue };
        if !keda::base(name).1 && is_secret(name, text, ours) {
            let what = format!("{} holds a secret: whoever may read this object has it", named(name));
            let cure = "give it by an `authenticationRef`, or as `…FromEnv` from a variable of the workload";
            // The place of the key, not of the value.
            pen.say(&rules::SECRET_IN_METADATA, key, what, cure);
        }
    }
}

/// Where a key that is not there would be.
pub fn metadata_of<'m, 't>(trigger: &Trigger<'m, 't>) -> Node<'m, 't> {
    trigger.node.entry("metadata").map_or(trigger.node, |(key, _)| key)
}

/// The page of docs/backends for a scaler type.
fn page(scaler_type: &str) -> &str {
    match scaler_type {
        "apache-kafka" => "kafka",
        "aws-sqs-queue" => "sqs",
        _ => scaler_type.split('-').next().unwrap_or(scaler_type),
    }
}

fn no_login(problem: &Problem) -> bool {
    problem.text.contains(login_marker())
}

/// With what the text about a missing login begins.
fn login_marker() -> &'static str {
    static MARKER: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| give_login(&[]).split(':').next().unwrap_or_default().to_owned());
    &MARKER
}
