//! Reads keys from a trigger's metadata and collects every problem on the way, so that one answer names them all.
//!
//! The rules are KEDA's: values are trimmed, a blank one is absent, `<name>FromEnv` (which arrives already
//! resolved) comes after `<name>`. Beyond KEDA, every key may be given as `…FromEnv`. What a reference or a named connection
//! gives besides has its place by KEDA's order for that key.

use std::{collections::BTreeMap, time::Duration};

use super::{Login, Metadata, Order, Orders, Parameters, Secret, values};
use crate::{
    error::{Problem, SpecError, clean, give_login, quoted},
    limits,
};

/// A cursor over one trigger's metadata. Ask for each key once, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Reader<'m> {
    pub(super) metadata: &'m Metadata,
    /// Besides the metadata.
    reference: Option<&'m Parameters>,
    connection: Option<(&'m str, &'m Parameters)>,
    orders: Orders,
    /// Every key that somebody asked for, without the `FromEnv` suffix.
    pub(super) asked: Vec<&'static str>,
    problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    /// What was found for each key, where somebody wants to know.
    trace: Option<Vec<Found<'m>>>,
}

/// What a key was found to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'m> {
    pub(super) name: &'static str,
    pub(super) text: &'m str,
    pub(super) origin: Origin<'m>,
    /// It was asked for as a secret.
    pub(super) secret: bool,
}

/// Where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'m> {
    /// In the metadata itself.
    Metadata,
    /// In the metadata, which has it from the workload's environment.
    Environment,
    /// In a named connection of the server's.
    Connection(&'m str),
    /// In what a reference leads to.
    Reference(&'m str),
}

impl<'m> Reader<'m> {
    /// Starts reading `metadata`.
    #[must_use]
    pub fn new(metadata: &'m Metadata) -> Self {
        Self {
            metadata,
            reference: None,
            connection: None,
            orders: &[],
            asked: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            trace: None,
        }
    }

    /// The same, which remembers what it has found, for [`understood`](Self::understood).
    #[must_use]
    pub fn traced(self) -> Self {
        Self { trace: Some(Vec::new()), ..self }
    }

    pub(super) fn trace(&self) -> &[Found<'m>] {
        self.trace.as_deref().unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> &'m Metadata {
        self.metadata
    }

    /// From now on `login` is looked at too, in the order that `orders` has for each key.
    pub fn use_login(&mut self, login: &'m Login, orders: Orders) {
        self.reference = login.reference.as_deref();
        self.connection = login.connection.as_ref().map(|(name, parameters)| (&**name, &**parameters));
        self.orders = orders;
    }

    /// The trimmed value of `key` or of `<key>FromEnv`; `None` when both are absent or blank.
    pub fn text(&mut self, key: &'static str) -> Option<&'m str> {
        self.first_of(&[key])
    }

    /// The first that is set among several names for one thing: all plain names first, then their `FromEnv` forms.
    pub fn first_of(&mut self, names: &[&'static str]) -> Option<&'m str> {
        let found = self.chosen(names);
        if let (Some(trace), Some(text)) = (&self.trace, found)
            && !trace.iter().any(|known| std::ptr::eq(known.text, text))
        {
            let found = self.origin(names, text).map(|(name, origin)| Found { name, text, origin, secret: false });
            self.trace.iter_mut().for_each(|trace| trace.extend(found));
        }
        found
    }

    /// Where `text` is from, which is one of `names`.
    fn origin(&self, names: &[&'static str], text: &str) -> Option<(&'static str, Origin<'m>)> {
        let is = |found: Option<&str>| found.is_some_and(|found| std::ptr::eq(found, text));
        let of = |parameters: &'m Parameters, name: &str| {
            let parameter = parameters.get(name)?;
            is(parameter.text().map(str::trim)).then(|| parameter.origin())
        };
        names.iter().find_map(|name| {
            let origin = if is(self.raw(name)) {
                Origin::Metadata
            } else if is(self.raw(&format!("{name}FromEnv"))) {
                Origin::Environment
            } else if let Some(origin) = self.reference.and_then(|reference| of(reference, name)) {
                Origin::Reference(origin)
            } else {
                let (connection, parameters) = self.connection?;
                of(parameters, name).map(|_| Origin::Connection(connection))?
            };
            Some((*name, origin))
        })
    }

    fn chosen(&mut self, names: &[&'static str]) -> Option<&'m str> {
        self.asked.extend_from_slice(names);
        let plain = names.iter().find_map(|name| self.raw(name));
        let environment = match plain {
            None => names.iter().find_map(|name| self.raw(&format!("{name}FromEnv"))),
            Some(_) => None,
        };
        let written = plain.or(environment);
        let Some(order) = self.order(names) else { return written };
        let reference = match self.reference.filter(|_| order != Order::NeverOfReference) {
            None => None,
            Some(reference) => self.found(names, set_in(reference, names)),
        };
        if let (Order::Either, Some(_), Some(_), Some(name)) = (order, plain, reference, names.first()) {
            let text = format!(
                "`{name}` is set in the trigger's metadata and in its `authenticationRef`: keep one of the two"
            );
            self.problem_once(name, text);
        }
        let found = match order {
            Order::ReferenceFirst => reference.or(written),
            Order::MetadataFirst => plain.or(reference).or(environment),
            Order::ReferenceLast | Order::Either | Order::NeverOfReference => written.or(reference),
        };
        self.agreed(names, found)
    }

    fn found(&mut self, names: &[&'static str], found: Result<Option<&'m str>, String>) -> Option<&'m str> {
        found.unwrap_or_else(|text| {
            self.problem_once(names.first().copied().unwrap_or_default(), text);
            None
        })
    }

    /// `found`, or what the named connection says: it must not be another thing.
    fn agreed(&mut self, names: &[&'static str], found: Option<&'m str>) -> Option<&'m str> {
        let Some((connection, parameters)) = self.connection else { return found };
        let theirs = self.found(names, set_in(parameters, names));
        if let (Some(found), Some(theirs), Some(name)) = (found, theirs, names.first())
            && found != theirs
        {
            let shown = quoted(connection);
            let text =
                format!("`{name}` is not what the connection `{shown}` says: take it away, or use another connection");
            self.problem_once(name, text);
        }
        found.or(theirs)
    }

    fn order(&self, names: &[&'static str]) -> Option<Order> {
        self.orders.iter().find(|(_, keys)| names.iter().any(|name| keys.contains(name))).map(|(order, _)| *order)
    }

    /// Like [`text`](Self::text), and a problem when absent.
    pub fn required(&mut self, key: &'static str) -> &'m str {
        self.text(key).unwrap_or_else(|| {
            self.problem(key, format!("`{key}` is required: set it in the trigger's metadata"));
            ""
        })
    }

    /// Like [`required`](Self::required) for a part of a login, which a built-in trigger has in its `authenticationRef`.
    pub fn required_login(&mut self, key: &'static str) -> Secret {
        self.secret(key).unwrap_or_else(|| {
            self.problem(key, format!("`{key}` is required: {}", give_login(&[key])));
            Secret::default()
        })
    }

    /// A secret or a PEM text.
    pub fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let text = self.text(key)?;
        let traced = self.trace.iter_mut().flatten().find(|found| std::ptr::eq(found.text, text));
        if let Some(found) = traced {
            found.secret = true;
        }
        Some(Secret::new(text))
    }

    /// An integer in KEDA's grammar.
    pub fn int(&mut self, key: &'static str, default: i64) -> i64 {
        self.parsed(key, values::int, "a whole number such as `10`").unwrap_or(default)
    }

    /// A number in KEDA's grammar; `None` when absent or wrong.
    pub fn float(&mut self, key: &'static str) -> Option<f64> {
        self.parsed(key, values::float, "a number such as `10` or `0.5`")
    }

    /// A boolean in KEDA's grammar.
    pub fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.parsed(key, values::boolean, "`true` or `false`").unwrap_or(default)
    }

    /// A list in KEDA's grammar; `None` when absent.
    pub fn list(&mut self, key: &'static str) -> Option<Vec<&'m str>> {
        self.text(key).map(values::list)
    }

    /// Pairs in KEDA's grammar; `None` when absent or wrong.
    pub fn map(&mut self, key: &'static str) -> Option<BTreeMap<String, String>> {
        self.parsed(key, values::map, "`name=value` pairs with commas between them")
    }

    /// How long to wait for an answer in KEDA's grammar, where a bare number is milliseconds; `None` when absent, 0
    /// or wrong.
    pub fn timeout(&mut self, key: &'static str) -> Option<Duration> {
        let timeout = self.parsed(key, values::timeout, "milliseconds (`3000`) or a duration (`3s`)")?;
        self.bounded(key, timeout).filter(|timeout| !timeout.is_zero())
    }

    /// A duration: seconds or Go's syntax.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let duration = self.parsed(key, values::duration, "seconds (`15`) or a duration (`500ms`)")?;
        self.bounded(key, duration)
    }

    /// `duration` unless it is longer than a day, which `key` must not say.
    pub fn bounded(&mut self, key: &str, duration: Duration) -> Option<Duration> {
        if duration <= limits::DURATION {
            return Some(duration);
        }
        limits::Limit::Request.crossed();
        self.problem(key, format!("`{key}` must be a day (`24h`) at most"));
        None
    }

    /// Checks the target per replica that `key` has set.
    pub fn check_target(&mut self, key: &str, target: f64) {
        // KEDA sends three decimals, and Kubernetes refuses a target of 0.
        if target.is_nan() || target < 0.0005 {
            self.problem(key, format!("`{key}` must be greater than 0, at least 0.001: it is the target per replica"));
        }
    }

    /// One word out of a fixed set, case-sensitive.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let legal: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.problem(key, format!("`{key}` must be one of {}", legal.join(", ")));
        default
    }

    /// Whether `key` itself (not its `FromEnv` form) is present and not blank, without counting as asked for.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Marks keys as known that this trigger does not need: parameters of another mode, say.
    pub fn accept(&mut self, keys: &[&'static str]) {
        self.asked.extend_from_slice(keys);
    }

    /// Every key that was asked for or accepted so far.
    #[must_use]
    pub fn known(&self) -> &[&'static str] {
        &self.asked
    }

    /// Records that `key` is wrong. `text` names the key and the cure, never the value.
    pub fn problem(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem::new(key, &text.into()));
    }

    /// The same, of a key that is read more than once.
    fn problem_once(&mut self, key: &str, text: String) {
        if !self.has_problem(key) {
            self.problem(key, text);
        }
    }

    /// Records what is legal but hardly meant; [`unknown_keys`](Self::unknown_keys) says it first.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(clean(&text.into()).into_owned());
    }

    /// Whether `key` already has a problem, so that knock-on checks can keep quiet.
    #[must_use]
    pub fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Everything that was wrong so far, as one error.
    pub fn finish(&mut self) -> Result<(), SpecError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(SpecError { problems: std::mem::take(&mut self.problems) })
    }

    /// Whether somebody asked for `key`, or it is KEDA's own.
    pub(super) fn knows(&self, key: &str) -> bool {
        let base = key.strip_suffix("FromEnv").unwrap_or(key);
        Metadata::is_channel_key(key) || self.asked.iter().any(|asked| *asked == base || *asked == key)
    }

    fn raw(&self, key: &str) -> Option<&'m str> {
        self.metadata.get(key).map(str::trim).filter(|text| !text.is_empty())
    }

    fn parsed<T>(&mut self, key: &'static str, parse: fn(&str) -> Option<T>, right: &str) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(text);
        if value.is_none() {
            self.problem(key, format!("`{key}` must be {right}"));
        }
        value
    }
}

/// The first of `names` that is set and not blank, trimmed; an error where it is no text.
fn set_in<'m>(parameters: &'m Parameters, names: &[&'static str]) -> Result<Option<&'m str>, String> {
    for name in names {
        let Some(parameter) = parameters.get(name) else { continue };
        let Some(text) = parameter.text() else {
            return Err(format!("`{name}` is no UTF-8 text: correct it in {}", parameter.origin()));
        };
        let text = text.trim();
        if !text.is_empty() {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
