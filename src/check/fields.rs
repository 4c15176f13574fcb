//! Which fields KEDA's objects have and of what type, as its CustomResourceDefinitions say (KEDA 2.21).
//!
//! Not for: what the values mean together (`replicas.rs`, `timing.rs`, …).

use super::{
    finding::{Pen, list, named},
    rules,
};
use crate::{
    error::{did_you_mean, similar},
    manifest::{Node, Object, Seen},
};

/// What a field holds.
enum Shape {
    /// Not looked at: it is Kubernetes' own, or of no consequence here.
    Any,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Boolean,
    /// At least this.
    Integer(i64),
    /// Texts by their names.
    Texts,
    Object(&'static [Field]),
    List(&'static Shape),
}

struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

/// Fields of KEDA 1, of which more is said elsewhere.
const KEDA_1: [(&str, &str); 3] =
    [("spec", "scaleType"), ("spec.scaleTargetRef", "deploymentName"), ("spec.scaleTargetRef", "containerName")];

const TOP: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
const REFERENCE_KINDS: &[&str] = &["TriggerAuthentication", "ClusterTriggerAuthentication"];
const BEHAVIOURS: &[&str] =
    &["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"];

const TRIGGERS: Shape = Shape::List(&Shape::Object(&[
    required("type", Shape::Text),
    field("name", Shape::Text),
    field("useCachedMetrics", Shape::Boolean),
    required("metadata", Shape::Texts),
    // Its name is looked at with what it leads to.
    field(
        "authenticationRef",
        Shape::Object(&[field("name", Shape::Text), field("kind", Shape::Word(REFERENCE_KINDS))]),
    ),
    field("metricType", Shape::Text),
]));

const SCALED_OBJECT: &[Field] = &[
    required(
        "scaleTargetRef",
        Shape::Object(&[
            required("name", Shape::Text),
            field("apiVersion", Shape::Text),
            field("kind", Shape::Text),
            field("envSourceContainerName", Shape::Text),
        ]),
    ),
    field("pollingInterval", Shape::Integer(1)),
    field("initialCooldownPeriod", Shape::Integer(0)),
    field("cooldownPeriod", Shape::Integer(0)),
    field("idleReplicaCount", Shape::Integer(0)),
    field("minReplicaCount", Shape::Integer(0)),
    field("maxReplicaCount", Shape::Integer(1)),
    field(
        "advanced",
        Shape::Object(&[
            field("restoreToOriginalReplicaCount", Shape::Boolean),
            field(
                "horizontalPodAutoscalerConfig",
                Shape::Object(&[field("behavior", Shape::Any), field("name", Shape::Text)]),
            ),
            field(
                "scalingModifiers",
                Shape::Object(&[
                    field("formula", Shape::Text),
                    field("target", Shape::Text),
                    field("activationTarget", Shape::Text),
                    field("metricType", Shape::Word(&["AverageValue", "Value"])),
                ]),
            ),
        ]),
    ),
    required("triggers", TRIGGERS),
    field(
        "fallback",
        Shape::Object(&[
            required("failureThreshold", Shape::Integer(0)),
            required("replicas", Shape::Integer(0)),
            field("behavior", Shape::Word(BEHAVIOURS)),
        ]),
    ),
];

const SCALED_JOB: &[Field] = &[
    required("jobTargetRef", Shape::Any),
    field("pollingInterval", Shape::Integer(1)),
    field("successfulJobsHistoryLimit", Shape::Integer(0)),
    field("failedJobsHistoryLimit", Shape::Integer(0)),
    field("rolloutStrategy", Shape::Word(&["gradual", "immediate"])),
    field(
        "rollout",
        Shape::Object(&[
            field("strategy", Shape::Word(&["gradual", "immediate"])),
            field("propagationPolicy", Shape::Word(&["foreground", "background"])),
        ]),
    ),
    field("envSourceContainerName", Shape::Text),
    field("minReplicaCount", Shape::Integer(0)),
    field("maxReplicaCount", Shape::Integer(1)),
    field(
        "scalingStrategy",
        Shape::Object(&[
            field("strategy", Shape::Text),
            field("customScalingQueueLengthDeduction", Shape::Integer(0)),
            field("customScalingRunningJobPercentage", Shape::Text),
            field("pendingPodConditions", Shape::List(&Shape::Text)),
            field("multipleScalersCalculation", Shape::Word(&["", "max", "min", "avg", "sum"])),
        ]),
    ),
    required("triggers", TRIGGERS),
];

const TARGETS: Shape = Shape::List(&Shape::Object(&[
    required("parameter", Shape::Text),
    required("name", Shape::Text),
    required("key", Shape::Text),
]));

const AUTHENTICATION: &[Field] = &[
    field(
        "podIdentity",
        Shape::Object(&[
            required("provider", Shape::Text),
            field("identityId", Shape::Text),
            field("identityTenantId", Shape::Text),
            field("identityAuthorityHost", Shape::Text),
            field("roleArn", Shape::Text),
            field("externalID", Shape::Text),
            field("identityOwner", Shape::Word(&["keda", "workload"])),
        ]),
    ),
    field("secretTargetRef", TARGETS),
    field("configMapTargetRef", TARGETS),
    field(
        "env",
        Shape::List(&Shape::Object(&[
            required("parameter", Shape::Text),
            required("name", Shape::Text),
            field("containerName", Shape::Text),
        ])),
    ),
    field("filePath", Shape::Text),
    field("hashiCorpVault", Shape::Any),
    field("azureKeyVault", Shape::Any),
    field("gcpSecretManager", Shape::Any),
    field("awsSecretManager", Shape::Any),
    field("boundServiceAccountToken", Shape::Any),
    field("oauth2", Shape::Any),
    field("azureServicePrincipal", Shape::Any),
];

/// Holds `object` of KEDA's against its definition.
pub fn check(object: &Object<'_, '_>, pen: &mut Pen<'_>) {
    let spec = match object.kind {
        "ScaledObject" => SCALED_OBJECT,
        "ScaledJob" => SCALED_JOB,
        "TriggerAuthentication" | "ClusterTriggerAuthentication" => AUTHENTICATION,
        _ => return,
    };
    for (key, _) in object.node.entries() {
        let name = key.written().unwrap_or_default();
        if !TOP.contains(&name) {
            unknown(key, object.kind, TOP.iter().copied(), pen);
        }
    }
    if object.name.is_empty() {
        let named = object.node.at_path(&["metadata", "generateName"]).is_some();
        if !named {
            let node = object.node.entry("metadata").map_or(object.node, |(key, _)| key);
            pen.say(
                &rules::MISSING_FIELD,
                node,
                "the object has no name: Kubernetes refuses it",
                "set `metadata.name`",
            );
        }
    }
    match object.node.entry("spec") {
        Some((key, value)) => shape(key, value, &Shape::Object(spec), "spec", pen),
        None => pen.say(&rules::MISSING_FIELD, object.node, "there is no `spec`: Kubernetes refuses it", "add `spec`"),
    }
}

fn shape(key: Node<'_, '_>, value: Node<'_, '_>, wanted: &Shape, path: &str, pen: &mut Pen<'_>) {
    let seen = value.seen();
    match wanted {
        Shape::Any => {}
        Shape::Text | Shape::Word(_) if seen != Seen::Text => wrong(value, path, "a text", "put it in quotes", pen),
        Shape::Text => {}
        Shape::Word(words) => {
            let text = value.text().unwrap_or_default();
            if !words.contains(&text) {
                let near = did_you_mean(similar(text, words.iter().copied()));
                let what = format!("`{path}` cannot be {}{near}: Kubernetes refuses it", named(text));
                pen.say(&rules::BAD_VALUE, value, what, format!("use one of {}", list(words.iter().copied())));
            }
        }
        Shape::Boolean if !matches!(seen, Seen::Boolean(_)) => {
            wrong(value, path, "`true` or `false`", "write it without quotes", pen);
        }
        Shape::Boolean => {}
        Shape::Integer(least) => match value.integer() {
            None => wrong(value, path, "a whole number", "write it without quotes", pen),
            Some(number) if number < *least || number > i64::from(i32::MAX) => {
                let what = format!("`{path}: {number}` is refused by Kubernetes");
                pen.say(&rules::BAD_VALUE, value, what, format!("it must be at least {least}"));
            }
            Some(_) => {}
        },
        Shape::Texts => texts(value, path, pen),
        Shape::Object(fields) if seen == Seen::Mapping => {
            for (name, value) in value.entries() {
                let written = name.written().unwrap_or_default();
                match fields.iter().find(|field| field.name == written) {
                    Some(field) => shape(name, value, &field.shape, &format!("{path}.{written}"), pen),
                    None => unknown(name, path, fields.iter().map(|field| field.name), pen),
                }
            }
            for field in fields.iter().filter(|field| field.required && value.get(field.name).is_none()) {
                let what = format!("`{path}` has no `{}`: Kubernetes refuses it", field.name);
                let cure = format!("add `{path}.{}`", field.name);
                // Of a list's element, its own place; of a field, that of its key.
                let at = if path.ends_with(']') { value } else { key };
                pen.say(&rules::MISSING_FIELD, at, what, cure);
            }
        }
        Shape::Object(_) => wrong(value, path, "a mapping", "write `key: value` below it", pen),
        Shape::List(inner) if seen == Seen::Sequence => {
            for (index, item) in value.items().enumerate() {
                shape(item, item, inner, &format!("{path}[{index}]"), pen);
            }
            if path == "spec.triggers" && value.items().next().is_none() {
                let what = "there is no trigger: KEDA refuses it";
                pen.say(&rules::MISSING_FIELD, key, what, "add a trigger to `spec.triggers`");
            }
        }
        Shape::List(_) => wrong(value, path, "a list", "begin each element with `-`", pen),
    }
}

/// The metadata of a trigger: Kubernetes takes texts alone.
fn texts(value: Node<'_, '_>, path: &str, pen: &mut Pen<'_>) {
    if value.seen() != Seen::Mapping {
        wrong(value, path, "a mapping", "write `key: \"value\"` below it", pen);
        return;
    }
    for (key, value) in value.entries() {
        let name = key.written().unwrap_or_default();
        match value.seen() {
            Seen::Text => {}
            Seen::Null => {
                let what = format!("{} has no value: Kubernetes refuses it", named(name));
                pen.say(&rules::WRONG_TYPE, value, what, "give it one, or take the key away");
            }
            seen => {
                let what = format!("{} is {}, and Kubernetes takes texts only here", named(name), seen.name());
                pen.say(&rules::WRONG_TYPE, value, what, "put it in quotes");
            }
        }
    }
}

fn wrong(value: Node<'_, '_>, path: &str, wanted: &str, cure: &str, pen: &mut Pen<'_>) {
    let what = format!("`{path}` must be {wanted} and is {}: Kubernetes refuses it", value.seen().name());
    pen.say(&rules::WRONG_TYPE, value, what, cure);
}

fn unknown(key: Node<'_, '_>, path: &str, known: impl Iterator<Item = &'static str>, pen: &mut Pen<'_>) {
    let name = key.written().unwrap_or_default();
    if KEDA_1.contains(&(path, name)) {
        return;
    }
    let near = similar(name, known);
    let question = did_you_mean(near);
    let what =
        format!("`{path}` has no field {}{question} Kubernetes refuses it or drops it without a word", named(name));
    let what = if near.is_some() { what } else { what.replacen("` Kub", "`: Kub", 1) };
    let cure = near.map_or_else(|| "take it away".to_owned(), |near| format!("write `{near}`, or take it away"));
    pen.say(&rules::UNKNOWN_FIELD, key, what, cure);
}
