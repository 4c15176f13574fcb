//! `scalingModifiers`, and what a trigger says beside its metadata: `name`, `useCachedMetrics`, `metricType`.
//!
//! Not for: KEDA's whole language of formulas: only which triggers one names.

use std::collections::BTreeMap;

use super::{
    finding::{Pen, list, named},
    metadata::Followed,
    rules,
};
use crate::{
    error::{did_you_mean, similar},
    manifest::{Node, Scaled, Seen, Trigger},
    trigger::Push,
};

/// A trigger of the object, with what is known of it.
type Followings<'f, 'm, 't> = &'f [(Trigger<'m, 't>, Option<Followed>)];

/// All of it.
pub fn check(scaled: &Scaled<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    names(triggers, pen);
    for (trigger, followed) in triggers {
        let mut pen = pen.of_trigger(trigger);
        cached(trigger, &mut pen);
        metric_type(trigger, &mut pen);
        pushed(scaled, trigger, followed.as_ref(), &mut pen);
    }
    if let Some((key, modifiers)) = scaled.field(&["advanced"]).and_then(|advanced| advanced.entry("scalingModifiers"))
    {
        formula(key, modifiers, triggers, pen);
    }
}

fn names(triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    let mut seen = BTreeMap::new();
    for (trigger, _) in triggers {
        let Some(name) = trigger.name else { continue };
        if let Some(other) = seen.insert(name, trigger.index) {
            let what = format!("trigger {} has the name {} too: KEDA refuses it", other + 1, named(name));
            let node = trigger.node.get("name").unwrap_or(trigger.node);
            pen.of_trigger(trigger).say(&rules::SAME_NAME, node, what, "give it another name");
        }
    }
}

fn cached(trigger: &Trigger<'_, '_>, pen: &mut Pen<'_>) {
    let Some(node) = trigger.node.get("useCachedMetrics").filter(|node| node.seen() == Seen::Boolean(true)) else {
        return;
    };
    if matches!(trigger.kind, "cpu" | "memory" | "cron") {
        let what = format!("`useCachedMetrics` is not for `{}`: KEDA refuses it", trigger.kind);
        pen.say(&rules::NOT_CACHEABLE, node, what, "take it away");
    } else if trigger.is_external() {
        let what = "with `useCachedMetrics` the HPA sees what KEDA read at its last poll, up to `pollingInterval` old; the scaler answers from its own fresh sample, at no cost to the broker";
        pen.say(&rules::CACHED_METRICS, node, what, "take it away");
    }
}

fn metric_type(trigger: &Trigger<'_, '_>, pen: &mut Pen<'_>) {
    let Some((node, text)) = trigger.node.get("metricType").and_then(|node| Some((node, node.text()?))) else { return };
    let legal: &[&str] = match trigger.kind {
        "cpu" | "memory" => &["Utilization", "AverageValue"],
        "cron" => &["AverageValue"],
        _ => &["AverageValue", "Value"],
    };
    if !legal.contains(&text) && !text.is_empty() {
        let near = did_you_mean(similar(text, legal.iter().copied()));
        let what = format!("`{}` cannot have `metricType` {}{near}", trigger.kind, named(text));
        pen.say(&rules::BAD_METRIC_TYPE, node, what, format!("use one of {}", list(legal.iter().copied())));
    }
}

fn pushed(scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>, followed: Option<&Followed>, pen: &mut Pen<'_>) {
    if trigger.kind != "external-push" {
        return;
    }
    let node = trigger.node.get("type").unwrap_or(trigger.node);
    if scaled.is_job() {
        let what = "KEDA makes no job for a push, and logs a warning for each: jobs come by its polls alone";
        pen.say(&rules::PUSH_IN_JOB, node, what, "write `type: external`, and a short `pollingInterval` in `spec`");
    }
    let activation = scaled.field(&["advanced", "scalingModifiers", "activationTarget"]).and_then(Node::written);
    let pushes = followed.is_some_and(|followed| followed.examined.push == Push::Always);
    if activation.is_some_and(|text| !text.trim().is_empty()) && pushes {
        let what =
            "a push starts the workload past `scalingModifiers.activationTarget`, and the next poll stops it again";
        let cure = "write `push: \"false\"` into the trigger's metadata (polls decide), or `push: \"once\"` (each rise starts it once)";
        pen.say(&rules::PUSH_PAST_ACTIVATION, node, what, cure);
    }
}

fn formula(key: Node<'_, '_>, modifiers: Node<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    if modifiers.entries().next().is_none() {
        return;
    }
    let text = |name: &str| modifiers.get(name).and_then(Node::written).map(str::trim).filter(|text| !text.is_empty());
    let Some(formula) = text("formula") else {
        pen.say(
            &rules::BAD_FORMULA,
            key,
            "`scalingModifiers` has no `formula`: KEDA refuses it",
            "add one, or take `scalingModifiers` away",
        );
        return;
    };
    let positive = |text: &str| text.parse::<f64>().is_ok_and(|number| number > 0.0);
    match text("target") {
        None => pen.say(
            &rules::BAD_FORMULA,
            key,
            "`scalingModifiers` has a `formula` and no `target`: KEDA refuses it",
            "add `target`",
        ),
        Some(target) if !positive(target) => {
            let node = modifiers.get("target").unwrap_or(key);
            pen.say(
                &rules::BAD_FORMULA,
                node,
                "`scalingModifiers.target` must be a number greater than 0: KEDA refuses it",
                "correct it",
            );
        }
        Some(_) => {}
    }
    if let Some(bad) = text("activationTarget").filter(|text| text.parse::<f64>().is_err()) {
        let node = modifiers.get("activationTarget").unwrap_or(key);
        let what =
            format!("`scalingModifiers.activationTarget` is {}, which is no number: KEDA cannot use it", named(bad));
        pen.say(&rules::BAD_FORMULA, node, what, "correct it");
    }
    let known: Vec<&str> = triggers
        .iter()
        .filter(|(trigger, _)| !matches!(trigger.kind, "cpu" | "memory"))
        .filter_map(|(trigger, _)| trigger.name)
        .collect();
    let node = modifiers.get("formula").unwrap_or(key);
    for name in variables(formula) {
        if known.contains(&name) {
            continue;
        }
        let near = did_you_mean(similar(name, known.iter().copied()));
        let what = format!("the formula names {}, and no trigger has that `name`{near} KEDA refuses it", named(name));
        let what = if near.is_empty() { what.replacen("`name` KEDA", "`name`: KEDA", 1) } else { what };
        pen.say(
            &rules::BAD_FORMULA,
            node,
            what,
            "give the trigger this `name`, or correct the formula (CPU and memory have none)",
        );
        return;
    }
}

/// The names in a formula that must be those of triggers; none where it defines names of its own.
fn variables(formula: &str) -> Vec<&str> {
    const WORDS: [&str; 16] = [
        "and",
        "or",
        "not",
        "in",
        "true",
        "false",
        "nil",
        "let",
        "if",
        "else",
        "matches",
        "contains",
        "startsWith",
        "endsWith",
        "float",
        "int",
    ];
    let own_names = formula.contains("let ") || formula.contains('#') || formula.contains('{') || formula.contains('|');
    if own_names {
        return Vec::new();
    }
    let mut found = Vec::new();
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut rest = formula;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if matches!(first, '"' | '\'' | '`') {
            let tail = rest.get(1..).unwrap_or_default();
            rest = tail.split_once(first).map_or("", |(_, tail)| tail);
            before = first;
            continue;
        }
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if length == 0 {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            before = first;
            continue;
        }
        let (word, tail) = rest.split_at(length);
        let is_call = tail.trim_start().starts_with('(');
        let is_name = !word.starts_with(|c: char| c.is_ascii_digit()) && before != '.';
        if is_name && !is_call && !WORDS.contains(&word) && !found.contains(&word) {
            found.push(word);
        }
        before = word.chars().next_back().unwrap_or(' ');
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn a_formula_names_triggers_and_functions_apart() {
        for (formula, expected) in [
            ("trig_one + trig_two", &["trig_one", "trig_two"][..]),
            ("max([a, b])", &["a", "b"]),
            ("a > 10 ? b : 0", &["a", "b"]),
            ("float(count) / 1.5e3 ?? 0", &["count"]),
            ("let x = a; x + 1", &[]),
            ("a in ['b', \"c\"] and not true", &["a"]),
            ("sum([a]) + ceil(b)", &["a", "b"]),
        ] {
            assert_eq!(variables(formula), expected, "{formula}");
        }
    }
}
