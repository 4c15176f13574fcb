//! One trigger, from question to answer: each step with its time, so that it can be seen where the chain is broken.

use maud::{Markup, html};

use super::{
    badge,
    connections::{login, requests, tls},
    facts::{cell, facts, table},
    frame::View,
    row::wake,
    spark::chart,
    words::{ago, count, lasting, maybe, number, prose, span, until},
};
use crate::{
    admin::{api::Trigger, help::Help},
    reading::Cell,
    sampler::{AskerView, ConnectionView, Detail, KeyView, ObjectView, PartsView},
};

/// Its view.
pub(super) fn view(trigger: &Trigger) -> View<'static> {
    let Trigger { detail, help } = trigger;
    let row = &detail.trigger;
    let heading = if row.source.is_empty() { row.scaler_type.as_ref() } else { row.source.as_str() };
    let body = html! {
        div #head data-live="" {
            p.crumbs { a href="/" { "Triggers" } " / " (names(&row.scaled_objects)) }
            h1 { (prose(heading)) }
            p.lead { (badge(row.state.as_str())) " " (state_in_words(detail)) }
            @if row.error.is_some() { (error(detail, help.as_ref())) }
            @if !row.warnings.is_empty() {
                section.warnings aria-label="Warnings" { h2 { "Warnings" } ul { @for warning in &row.warnings { li { (prose(warning)) } } } }
            }
        }
        @if detail.observed_at.is_some() {
            section #result.result data-live="" aria-label="Result" { (result(detail)) }
            section #history data-live="" aria-labelledby="h-history" {
                h2 #h-history { "The last 15 minutes" }
                @if let Some(history) = &detail.history { (chart(history)) }
            }
        }
        ol.chain {
            (step("asks", "Who asks", asks(detail)))
            @if detail.observed_at.is_some() {
                (step("metadata", "What the metadata says", metadata(&detail.metadata, detail)))
                @if let Some(of) = &detail.connection { (step("connection", "Over which connection", connection(of))) }
                (step("look", "The last look", look(detail)))
                (step("parts", "What the number is made of", parts(detail.parts.as_ref(), row.value)))
            }
        }
    };
    let watch = detail.observed_at.map(|_| format!("/api/v1/events?ids={}", row.id));
    View { title: "Trigger", place: "/", watch, refresh: 15, body }
}

fn step(id: &str, title: &str, body: Markup) -> Markup {
    html! { li #(id) data-live="" { h2 { (title) } (body) } }
}

fn names(objects: &[String]) -> Markup {
    html! { @for (index, name) in objects.iter().enumerate() { @if index > 0 { ", " } strong { (name) } } }
}

fn state_in_words(detail: &Detail) -> Markup {
    let row = &detail.trigger;
    html! {
        @match row.state.as_str() {
            "active" => { "The workload should run: the value is " strong { (maybe(row.value)) } "." },
            "idle" => { "Nothing to do: the value is " strong { (maybe(row.value)) } "." },
            "failing" => {
                @if row.stale || row.value.is_none() { "KEDA is answered with the error below; it leaves the replicas as they are, unless there is a fallback." }
                @else { "KEDA is still answered with the last good value, " strong { (maybe(row.value)) } ", until that is " (span(row.max_staleness)) " old." }
            },
            "refused" => { "It is not observed, and KEDA is answered with the error below." },
            "stale" => { "Nobody asks any more: the last value, " strong { (maybe(row.value)) } ", is too old to be an answer. Whoever asks gets a new one." },
            "unasked" => { "The cluster has it, and nobody has asked this replica for it. Is KEDA up, does its " code { "scalerAddress" } " lead here, or has another replica been asked?" },
            _ => { "It has not been read yet." }
        }
    }
}

fn error(detail: &Detail, help: Option<&Help>) -> Markup {
    let Some(error) = &detail.trigger.error else { return html! {} };
    html! {
        section.failure aria-labelledby="h-error" {
            h2 #h-error { (prose(&error.message)) }
            p.when { code { (error.kind) } " " (lasting(Some(error.since_at))) ", " (count(usize::try_from(error.count).unwrap_or(usize::MAX), "time", "times")) " in a row" }
            @if let Some(help) = help {
                dl.help {
                    div { dt { "Cause" } dd { (prose(&help.cause)) } }
                    div { dt { "Check" } dd { (prose(&help.check)) } }
                    div { dt { "Cure" } dd { (prose(&help.cure)) } }
                }
                p { a href=(format!("/errors#{}", help.anchor)) { "More about " code { (help.kind) } } }
            }
        }
    }
}

/// Value, activity, target and replicas, as one line of arithmetic.
fn result(detail: &Detail) -> Markup {
    let row = &detail.trigger;
    let activation = detail.parts.as_ref().and_then(|parts| parts.activation);
    html! {
        h2.sr { "Value, activity and replicas" }
        dl.equation {
            div { dt { "Value" } dd { (maybe(row.value)) } dd.note { @if row.sampled_at.is_some() { "read " (ago(row.sampled_at)) } @else { "never read" } } }
            div { dt { "Active" } dd { (row.active.map_or("–", |active| if active { "yes" } else { "no" })) } dd.note { @if let Some(above) = activation { "above " (number(above)) } @else if row.value.is_some() { "as the source says" } } }
            div { dt { "Target" } dd { (number(row.target)) } dd.note { "for each replica" } }
            div { dt { "Replicas" } dd { (maybe(row.replicas)) } dd.note { "⌈" @if let Some(value) = row.value { (number(value)) } @else { "value" } " ÷ " (number(row.target)) "⌉" } }
        }
        @for object in &row.objects { p.bounds { (bounds(object, row.replicas, row.active)) } }
        @if row.objects.is_empty() { p.bounds { "Bounds of its objects are not known here: the server reads them with " code { "--kubernetes" } "." } }
    }
}

/// What the object makes of so many replicas.
fn bounds(object: &ObjectView, replicas: Option<f64>, active: Option<bool>) -> Markup {
    let (min, max) = (object.min_replicas.unwrap_or(0), object.max_replicas.unwrap_or(100));
    let kept = replicas.map(|wanted| wanted.clamp(min.max(1) as f64, (max.max(1) as f64).max(min.max(1) as f64)));
    html! {
        strong { (object.namespace) "/" (object.name) } " "
        @if object.paused { "is paused: KEDA changes nothing." }
        @else if object.kind == "ScaledJob" { "is a ScaledJob: KEDA starts as many jobs as are wanted and not yet running, " (max) " at most." }
        @else if active == Some(false) { "may go to " (min) " while no trigger of it is active." }
        @else if let Some(kept) = kept { "has from " (min) " to " (max) ": " strong { (number(kept)) } " by this trigger alone." }
        @else { "has from " (min) " to " (max) "." }
    }
}

fn asks(detail: &Detail) -> Markup {
    let row = &detail.trigger;
    let object = |asker: &AskerView| {
        let known = row.objects.iter().find(|object| object.namespace == asker.namespace && object.name == asker.name);
        html! {
            strong { (asker.namespace) "/" (asker.name) }
            @if let Some(known) = known {
                span.facts { (known.kind) ", trigger " (known.trigger_index) @if let Some(name) = &known.trigger_name { " “" (name) "”" } ", polled every " (span(known.polling_interval)) @if !known.pushes { ", acts on no push" } }
            }
        }
    };
    let cells = |asker: &AskerView| {
        vec![
            object(asker),
            html! { (ago(asker.polled_at)) @if asker.polled_at.is_some() { span.facts { "every " (span(asker.poll_pace)) " or less" } } },
            ago(asker.measured_at),
            html! { @if asker.streams > 0 { (count(asker.streams, "stream", "streams")) span.facts { "the last one " (lasting(asker.stream_at)) } } @else { span.none { "none" } } },
            html! { @if let Some(peer) = &asker.peer { code { (peer) } } @else { span.none { "–" } } },
        ]
    };
    html! {
        @if detail.askers.is_empty() {
            @if row.scaled_objects.is_empty() { p { "Nobody." } } @else { p { (names(&row.scaled_objects)) ", last " (ago(row.asked_at)) } }
        } @else {
            (table("Who asks", &["Object", "Whether active (IsActive)", "Its value (GetMetrics)", "Streams (StreamIsActive)", "From"], &[], detail.askers.iter().map(cells).collect()))
        }
    }
}

fn metadata(keys: &[KeyView], detail: &Detail) -> Markup {
    let row = &detail.trigger;
    let cells = |key: &KeyView| {
        vec![
            html! { code { (key.key) } @if !key.known { " " span.warned { "not a key of this scaler" } } },
            html! { span.value { (key.value) } },
            html! { (prose(&key.origin)) },
        ]
    };
    html! {
        (table("Metadata as it is understood", &["Key", "Value", "From"], &[], keys.iter().map(cells).collect()))
        p.note {
            "A value lives for " (span(row.polling_interval)) ", and serves until it is " (span(row.max_staleness)) " old while looks fail. Pushes: " (detail.push) "."
            @if !detail.logins.is_empty() { " Its login is from " (prose(&detail.logins.join(", "))) "." }
        }
    }
}

fn connection(of: &ConnectionView) -> Markup {
    let mut rows = vec![
        ("Place", html! { a href=(format!("/connections#c{}", of.id)) { (of.place) } }),
        ("State", html! { (badge(of.state)) " " (lasting(of.since_at)) }),
        (
            "Shared by",
            html! { a href=(format!("/?connection={}", of.id)) { (count(of.triggers, "trigger", "triggers")) } },
        ),
        ("Requests", requests(of)),
        ("TLS", tls(of)),
        ("Login", login(of)),
        ("May reach", html! { (prose(&of.policy.join("; "))) }),
    ];
    if let Some(error) = &of.error {
        rows.push(("Error", html! { (prose(&error.message)) }));
        rows.push((
            "Tried",
            html! { (count(usize::try_from(error.count).unwrap_or(usize::MAX), "time", "times")) " in vain, again " (of.next_try_at.map_or_else(String::new, until)) },
        ));
    }
    facts(rows)
}

fn look(detail: &Detail) -> Markup {
    let row = &detail.trigger;
    let Some(look) = &detail.look else { return html! { p { "None yet." } } };
    facts(vec![
        ("Began", ago(Some(look.began_at))),
        ("Took", html! { (span(look.took)) }),
        (
            "Together with",
            html! { (count(usize::try_from(look.together.saturating_sub(1)).unwrap_or(0), "other trigger", "other triggers")) " of the connection" },
        ),
        ("Looks so far", html! { (number(row.reads as f64)) ", observed " (lasting(detail.observed_at)) }),
        ("Next", html! { (wake(row.wake)) }),
    ])
}

fn parts(parts: Option<&PartsView>, value: Option<f64>) -> Markup {
    let Some(parts) = parts else {
        return html! { p { @if value.is_none() { "Nothing was read yet." } @else { "Not known of this look." } } };
    };
    let is_number = |column: &usize| parts.rows.iter().any(|row| matches!(row.get(*column), Some(Cell::Number(_))));
    let numeric: Vec<usize> = (0..parts.columns.len()).filter(is_number).collect();
    html! {
        p { strong { (maybe(value)) } " is " (prose(&parts.rule)) "." }
        (table("Parts of the number", &parts.columns, &numeric, parts.rows.iter().map(|row| row.iter().map(cell).collect()).collect()))
        @if parts.omitted > 0 { p.note { "and " (number(parts.omitted as f64)) " more" } }
    }
}
