//! Triggers as rows of a table, one body for each object where they are in the order of those.

use maud::{Markup, html};

use super::{
    badge,
    spark::spark,
    words::{age, count, maybe, number, prose},
};
use crate::sampler::{ObjectView, View, Wake};

/// All rows; with a heading for each object where they are `grouped`.
pub(super) fn rows(triggers: &[View], grouped: bool) -> Markup {
    let same = |one: &View, other: &View| one.scaled_objects.first() == other.scaled_objects.first();
    html! {
        @if grouped {
            @for group in triggers.chunk_by(same) {
                tbody {
                    @if let Some(first) = group.first() { (heading(first)) }
                    @for trigger in group { (row(trigger, false)) }
                }
            }
        } @else {
            tbody { @for trigger in triggers { (row(trigger, true)) } }
        }
    }
}

fn heading(trigger: &View) -> Markup {
    let object = trigger.objects.first();
    html! {
        tr.group {
            th colspan="8" scope="rowgroup" {
                (name(trigger))
                @if let Some(object) = object {
                    span.facts {
                        (object.kind)
                        @if object.paused { " · paused" }
                        @if object.fallback { " · has a fallback" }
                    }
                }
            }
        }
    }
}

/// Whose it is.
fn name(trigger: &View) -> Markup {
    let first = trigger.scaled_objects.first().map_or("", String::as_str);
    let (namespace, name) = first.split_once('/').unwrap_or(("", first));
    html! {
        span.object { span.namespace { (namespace) "/" } (name) }
        @if trigger.scaled_objects.len() > 1 {
            span.facts { "and " (count(trigger.scaled_objects.len() - 1, "object", "objects")) " more with an equal trigger" }
        }
    }
}

fn row(trigger: &View, named: bool) -> Markup {
    let id = trigger.id;
    html! {
        tr data-id=(id) data-state=(trigger.state.as_str()) {
            td data-label="State" { (badge(trigger.state.as_str())) }
            th.what scope="row" {
                @if named { div { (name(trigger)) } }
                a #(format!("t{id}")) href=(format!("/triggers/{id}")) {
                    @if trigger.source.is_empty() { (if trigger.metric.is_empty() { trigger.scaler_type.as_ref() } else { trigger.metric.as_str() }) }
                    @else { (prose(&trigger.source)) }
                }
                div.facts {
                    span { (trigger.scaler_type) }
                    @if !trigger.connection.is_empty() { span { (trigger.connection) } }
                    @if !trigger.warnings.is_empty() { span.warned { (count(trigger.warnings.len(), "warning", "warnings")) } }
                }
                @if let Some(error) = &trigger.error { p.error { (prose(&error.message)) } }
            }
            td.n data-label="Value" data-f="value" { (maybe(trigger.value)) }
            td.line data-label="15 min" { @if let Some(recent) = &trigger.recent { (spark(recent)) } }
            td.n data-label="Target" { @if trigger.target > 0.0 { (number(trigger.target)) } @else { "–" } }
            td.n data-label="Replicas" { span data-f="replicas" { (maybe(trigger.replicas)) } (bounds(&trigger.objects)) }
            td.n data-label="Age" data-f="age" { (age(trigger.sampled_at)) }
            td data-label="Next look" { span data-f="wake" { (wake(trigger.wake)) } (streams(trigger.streams)) }
        }
    }
}

/// Between which the objects allow it, where the cluster is known.
fn bounds(objects: &[ObjectView]) -> Markup {
    let Some(object) = objects.first() else { return html! {} };
    let (min, max) = (object.min_replicas.unwrap_or(0), object.max_replicas.unwrap_or(100));
    html! { span.facts title="minReplicaCount and maxReplicaCount" { (min) "–" (max) } }
}

fn streams(streams: usize) -> Markup {
    html! { span.facts data-f="streams" { @if streams > 0 { (count(streams, "stream", "streams")) } } }
}

/// What makes the next look happen, in words.
pub(super) fn wake(wake: Wake) -> &'static str {
    match wake {
        Wake::Armed => "wake armed",
        Wake::Looking => "by the clock",
        Wake::Resting => "when asked",
    }
}
