//! One look at a trigger's source, with the login that it would have, and what comes of it.
//!
//! Not for: the server, which looks again and again (`sampler`). What is not known is not guessed: such a trigger is not read.

use serde::Serialize;
use tokio::time::timeout;

use super::{
    Readable,
    finding::{Finding, Pen},
    metadata::metadata_of,
    replicas::{bounds, spec_of},
    rules,
};
use crate::{
    error::{ReadError, ReadErrorKind, counted},
    limits,
    manifest::{Node, Scaled},
    metadata::parse_boolean,
    reading::{Cell, Parts, Reading},
};

/// What one look showed.
#[derive(Debug, Serialize)]
pub struct Looked {
    /// The input.
    pub file: String,
    /// Where the trigger stands in it.
    pub line: usize,
    /// The object: `ScaledObject shop/orders`.
    pub object: String,
    /// The trigger: `trigger 1 (kafka)`.
    pub trigger: String,
    /// What was read, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Per replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether the workload should run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// What it comes to, within the object's bounds; none where other things count too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// What the number is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Table>,
    /// How the replicas come about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Why nothing was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The kind of failure, as in docs/errors.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
}

/// The parts of a number.
#[derive(Debug, Serialize)]
pub struct Table {
    /// How they make it.
    pub rule: String,
    /// The columns' names.
    pub columns: &'static [&'static str],
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// How many rows were left out.
    pub omitted: usize,
}

/// Looks once; what is wrong comes with it.
pub async fn look(readable: &Readable<'_, '_>) -> (Looked, Vec<Finding>) {
    let mut findings = Vec::new();
    let Readable { scaled, trigger, followed } = readable;
    let at = trigger.node.at();
    let mut looked = Looked {
        file: trigger.node.manifest().name.to_owned(),
        line: at.line,
        object: scaled.object.label(),
        trigger: trigger.label(),
        source: None,
        value: None,
        target: None,
        active: None,
        replicas: None,
        parts: None,
        why: String::new(),
        unread: None,
        kind: None,
    };
    if !followed.missing.is_empty() {
        let names = super::finding::list(followed.missing.iter().map(String::as_str));
        looked.unread = Some(format!("not read: {names} is not in the input"));
        return (looked, findings);
    }
    let Some(source) = &followed.examined.source else {
        looked.unread = Some("not read: its metadata cannot be followed".to_owned());
        return (looked, findings);
    };
    looked.source = Some(source.describe());
    looked.target = Some(source.metric().target);
    let read = timeout(limits::LOOK, source.read()).await.unwrap_or_else(|_| {
        let text = format!(
            "no answer within {} s: is the address right, and may this machine reach it?",
            limits::LOOK.as_secs()
        );
        Err(ReadError::new(ReadErrorKind::Timeout, text))
    });
    match read {
        Ok(reading) => {
            looked.value = Some(reading.value);
            looked.active = Some(reading.active);
            (looked.replicas, looked.why) = replicas(scaled, trigger.node, reading, source.metric().target);
            if let Some(parts) = source.parts() {
                partitions(scaled, readable, &parts, &mut findings);
                let Parts { rule, columns, rows, omitted, .. } = parts;
                looked.parts = Some(Table { rule, columns, rows, omitted });
            }
        }
        Err(error) => {
            let mut pen = Pen::of(&mut findings, &scaled.object);
            let cure = format!("docs/errors.md#{} has causes and cures", error.kind);
            pen.of_trigger(trigger).say(&rules::UNREAD, metadata_of(trigger), error.to_string(), cure);
            looked.unread = Some(error.to_string());
            looked.kind = Some(error.kind.as_str());
        }
    }
    (looked, findings)
}

/// What the HPA, or KEDA itself, makes of one reading, were it the only one.
fn replicas(scaled: &Scaled<'_, '_>, trigger: Node<'_, '_>, reading: Reading, target: f64) -> (Option<i64>, String) {
    let (least, most) = bounds(scaled);
    if trigger.get("metricType").and_then(Node::written) == Some("Value") {
        return (None, "`metricType: Value`: it depends on the replicas there are".to_owned());
    }
    if scaled.field(&["advanced", "scalingModifiers", "formula"]).is_some() {
        return (None, "a formula makes the number (`scalingModifiers`)".to_owned());
    }
    if !reading.active {
        let idle = scaled.field(&["idleReplicaCount"]).and_then(Node::integer).unwrap_or(least);
        return (Some(idle), "not active".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number up to what KEDA can say, 9e15")]
    let wanted = (reading.value / target).ceil() as i64;
    let least = if scaled.is_job() { least } else { least.max(1) };
    let bounded = wanted.min(most).max(least);
    let division = format!("⌈{} ÷ {target}⌉ = {wanted}", reading.value);
    let why = match bounded {
        _ if bounded == wanted => division,
        _ if wanted > most => format!("{division}, at most {most}"),
        _ => format!("{division}, at least {least}"),
    };
    (Some(bounded), why)
}

/// What the partitions of a topic say of the object.
fn partitions(scaled: &Scaled<'_, '_>, readable: &Readable<'_, '_>, parts: &Parts, findings: &mut Vec<Finding>) {
    let column = |name: &str| parts.columns.iter().position(|column| *column == name);
    let (Some(_), Some(committed), Some(remark)) = (column("partition"), column("committed"), column("remark")) else {
        return;
    };
    let Readable { trigger, followed, .. } = readable;
    let count = parts.rows.len() + parts.omitted;
    let idle_allowed =
        followed.metadata.get("allowIdleConsumers").and_then(|text| parse_boolean(text.trim())) == Some(true);
    let most = bounds(scaled).1;
    let mut pen = Pen::of(findings, &scaled.object);
    if usize::try_from(most).is_ok_and(|most| most > count) && count > 0 && !idle_allowed {
        let node = scaled.field(&["maxReplicaCount"]).unwrap_or_else(|| spec_of(&scaled.object));
        let what = format!(
            "up to {most} replicas for {}: each is read by one of them, and the others have nothing to do",
            counted(count, "partition")
        );
        pen.of_trigger(trigger).say(&rules::ABOVE_PARTITIONS, node, what, format!("set `maxReplicaCount: {count}`"));
    }
    let never = |row: &Vec<Cell>| {
        let none = matches!(row.get(committed), Some(Cell::Unknown));
        none && matches!(row.get(remark), Some(Cell::Text(text)) if text.starts_with("nothing is committed"))
    };
    let latest = followed
        .metadata
        .get("offsetResetPolicy")
        .is_none_or(|policy| policy.trim() == "latest" || policy.trim().is_empty());
    if latest && !parts.rows.is_empty() && parts.rows.iter().all(never) {
        let what = "the group has never committed, and with `offsetResetPolicy: latest` each such partition counts 1: the workload is started until a consumer commits";
        let node = trigger.metadata.and_then(|metadata| metadata.get("consumerGroup")).unwrap_or(trigger.node);
        let cure = "check the group's name; with `earliest` what waits is counted, with `scaleToZeroOnInvalidOffset: \"true\"` nothing is";
        pen.of_trigger(trigger).say(&rules::NEVER_COMMITTED, node, what, cure);
    }
}
