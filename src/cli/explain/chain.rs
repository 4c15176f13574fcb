//! The chain from question to answer, as text: a step a line, each with its time.
//!
//! Not for: where it comes from (`remote`).

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::cli::{
    output::{Paint, Role},
    remote::{Asker, Bounds, Connection, Detail, Failure, Parts, Row, Seen},
    words::{ago, curve, known, number, span},
};

/// The width of the steps' names.
const STEP: usize = 13;
/// Askers, and rows of the parts, that are told.
const ASKERS: usize = 8;
const PARTS: usize = 30;
/// Nobody who polls leaves it at that for so long, in polls of KEDA's default.
const SILENT: f64 = 120.0;

/// What is known of one trigger.
pub(in crate::cli) struct Chain<'d> {
    detail: &'d Detail,
    row: &'d Row,
    server: (&'d str, &'d Seen),
    now: f64,
    paint: Paint,
    text: String,
}

impl<'d> Chain<'d> {
    pub(in crate::cli) fn new(detail: &'d Detail, server: (&'d str, &'d Seen), paint: Paint) -> Self {
        Self { detail, row: &detail.trigger, server, now: server.1.now_at, paint, text: String::new() }
    }

    /// All steps.
    pub(in crate::cli) fn text(mut self) -> String {
        self.head();
        self.askers();
        self.metadata();
        self.connection();
        self.look();
        self.parts();
        self.value();
        self.activation();
        self.replicas();
        self.history();
        for warning in &self.row.warnings {
            let warning = self.paint.paint(Role::Doubtful, warning);
            self.step("warning", &warning);
        }
        self.error();
        self.text
    }

    fn step(&mut self, name: &str, what: &str) {
        let name = self.paint.paint(Role::Faint, &format!("{name:STEP$}"));
        self.text.push_str(&format!("  {name}{what}\n"));
    }

    fn more(&mut self, what: &str) {
        self.step("", what);
    }

    fn head(&mut self) {
        let row = self.row;
        let objects = match row.scaled_objects.as_slice() {
            [] => "nobody's trigger".to_owned(),
            [one] => one.clone(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        };
        let role = match row.state.as_str() {
            "active" | "idle" => Role::Good,
            "refused" | "failing" => Role::Bad,
            _ => Role::Doubtful,
        };
        let state = self.paint.paint(role, &row.state);
        let name = row.objects.iter().find_map(|object| object.trigger_name.as_ref());
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let head = self.paint.paint(Role::Strong, &format!("{objects}{name}"));
        let server = format!("{} (plimsoll {})", self.server.0, self.server.1.version);
        let server = self.paint.paint(Role::Faint, &format!("as {server} knows it"));
        self.text.push_str(&format!("{head}  {}  {state}\n  {server}\n", row.scaler_type));
    }

    fn askers(&mut self) {
        let detail = self.detail;
        if detail.askers.is_empty() {
            let asked = self.row.asked_at.map(|at| format!(", last {}", ago(self.now, at))).unwrap_or_default();
            let names = self.row.scaled_objects.join(", ");
            let text = match (self.row.asked_at, names.is_empty()) {
                (Some(_), false) => format!("{names}{asked}"),
                (Some(_), true) => format!("somebody{asked}"),
                (None, _) => {
                    "nobody: does KEDA's operator run, does `scalerAddress` lead here, has another replica been asked?"
                        .to_owned()
                }
            };
            return self.step("asked by", &text);
        }
        for (at, asker) in detail.askers.iter().take(ASKERS).enumerate() {
            let text = self.asker(asker);
            self.step(if at == 0 { "asked by" } else { "" }, &text);
        }
        if detail.askers.len() > ASKERS {
            self.more(&format!("and {} more", detail.askers.len() - ASKERS));
        }
        if let Some(at) = self.row.asked_at.filter(|at| self.now - at > SILENT && self.row.streams == 0) {
            let text = format!("nobody has asked since {}: does KEDA's operator run?", span(self.now - at));
            let text = self.paint.paint(Role::Doubtful, &text);
            self.more(&text);
        }
    }

    fn asker(&self, asker: &Asker) -> String {
        let mut ways = Vec::new();
        if let Some(at) = asker.polled_at {
            let pace = if asker.poll_pace > 0.0 { format!(", every {}", span(asker.poll_pace)) } else { String::new() };
            ways.push(format!("KEDA's poll {}{pace}", ago(self.now, at)));
        }
        if let Some(at) = asker.measured_at {
            ways.push(format!("the value (HPA) {}", ago(self.now, at)));
        }
        match (asker.streams, asker.stream_at) {
            (0, _) => {}
            (count, Some(at)) => {
                ways.push(format!(
                    "{count} stream{}, since {}",
                    if count == 1 { "" } else { "s" },
                    span(self.now - at)
                ));
            }
            (count, None) => ways.push(format!("{count} streams")),
        }
        if ways.is_empty() {
            ways.push(format!("asked {}", ago(self.now, asker.asked_at)));
        }
        let peer = asker.peer.as_ref().map(|peer| format!(" (from {peer})")).unwrap_or_default();
        format!("{}/{}: {}{peer}", asker.namespace, asker.name, ways.join(", "))
    }

    fn metadata(&mut self) {
        let width = self.detail.metadata.iter().map(|key| key.key.width()).max().unwrap_or_default().min(32);
        for (at, key) in self.detail.metadata.iter().enumerate() {
            let origin = if key.origin == "metadata" { String::new() } else { format!("  from {}", key.origin) };
            let unknown = if key.known { "" } else { "  (no key of this scaler)" };
            let pad = " ".repeat(width.saturating_sub(key.key.width()));
            let note = self.paint.paint(Role::Faint, &format!("{origin}{unknown}"));
            let text = format!("{}{pad} = {}{note}", key.key, key.value);
            self.step(if at == 0 { "understood" } else { "" }, &text);
        }
        if !self.detail.logins.is_empty() {
            let logins = self.detail.logins.join(", ");
            self.step("login", &format!("from {logins}"));
        }
    }

    fn connection(&mut self) {
        let Some(connection) = &self.detail.connection else { return };
        let Connection { place, state, since_at, triggers, looks_per_minute, error, next_try_at } = connection;
        let since = since_at.map(|at| format!(" since {}", span(self.now - at))).unwrap_or_default();
        let shared = match triggers {
            0 | 1 => String::new(),
            many => format!(", shared by {many} triggers"),
        };
        let role = if state == "failing" { Role::Bad } else { Role::Good };
        let state = self.paint.paint(role, state);
        let looks = number((looks_per_minute * 10.0).round() / 10.0);
        self.step("connection", &format!("{place}: {state}{since}{shared}, {looks} looks a minute"));
        if let Some(error) = error {
            let next = next_try_at.map(|at| format!("; next try {}", ago(self.now, at))).unwrap_or_default();
            let text = format!("{}: {}{next}", error.kind, error.message);
            let text = self.paint.paint(Role::Bad, &text);
            self.more(&text);
        }
    }

    fn look(&mut self) {
        let Some(look) = &self.detail.look else { return };
        let together = match look.together {
            0 | 1 => String::new(),
            many => format!(", {many} triggers together"),
        };
        let next = match self.row.wake.as_str() {
            "armed" => ", and at once when the broker says so",
            "resting" => "; rests until somebody asks",
            _ => "",
        };
        let pace = span(self.row.polling_interval);
        self.step(
            "last look",
            &format!("{}, took {}{together}; every {pace}{next}", ago(self.now, look.began_at), span(look.took)),
        );
    }

    fn parts(&mut self) {
        let Some(parts) = &self.detail.parts else { return };
        self.step("made of", &parts.rule);
        for line in table(parts) {
            self.more(&line);
        }
        let omitted = parts.omitted + parts.rows.len().saturating_sub(PARTS) as u64;
        if omitted > 0 {
            self.more(&format!("and {omitted} more"));
        }
    }

    fn value(&mut self) {
        let row = self.row;
        if row.state == "refused" {
            return;
        }
        let text = match (row.value, row.sampled_at) {
            (Some(value), at) => {
                let when = at.map(|at| format!(", read {}", ago(self.now, at))).unwrap_or_default();
                let value = self.paint.paint(Role::Strong, &number(value));
                let stale = format!(", too old to be an answer (more than {})", span(row.max_staleness));
                let stale = if row.stale { self.paint.paint(Role::Bad, &stale) } else { String::new() };
                format!("{value} {}{when}{stale}", row.source)
            }
            (None, _) => format!("not known: {}", if row.source.is_empty() { "never read" } else { &row.source }),
        };
        self.step("value", &text);
    }

    fn activation(&mut self) {
        let row = self.row;
        let Some(active) = row.active else { return };
        let state = if active { "active" } else { "not active" };
        let above = self.detail.parts.as_ref().and_then(|parts| parts.activation);
        let why = match (row.value, above) {
            (Some(value), Some(above)) if (value > above) == active => {
                let than = if active { "above" } else { "not above" };
                format!(": {} is {than} {}", number(value), number(above))
            }
            _ => String::new(),
        };
        let told = match self.detail.push.as_str() {
            _ if row.streams == 0 => String::new(),
            "never" => "; not pushed (`push: false`)".to_owned(),
            _ => format!("; pushed to {} stream{}", row.streams, if row.streams == 1 { "" } else { "s" }),
        };
        self.step("activation", &format!("{state}{why}{told}"));
    }

    fn replicas(&mut self) {
        let row = self.row;
        if row.target > 0.0 {
            self.step("target", &format!("{} for each replica ({})", number(row.target), row.metric));
        }
        let Some(wanted) = row.replicas else { return };
        let division = format!("⌈{} ÷ {}⌉ = {}", known(row.value), number(row.target), number(wanted));
        let mut any = false;
        for object in &row.objects {
            let text = self.within(object, &division, wanted);
            self.step(if any { "" } else { "replicas" }, &text);
            any = true;
        }
        if !any {
            let wanted = self.paint.paint(Role::Strong, &number(wanted));
            let bounds = "the object's bounds are not known here (`--kubernetes`)";
            self.step("replicas", &format!("{wanted}  {division}; {bounds}"));
        }
    }

    /// What an object makes of it.
    fn within(&self, object: &Bounds, division: &str, wanted: f64) -> String {
        let Bounds { kind, namespace, name, min_replicas, max_replicas, fallback, paused, .. } = object;
        let least = min_replicas.unwrap_or(0) as f64;
        // KEDA's own default.
        let most = max_replicas.unwrap_or(100) as f64;
        let active = self.row.active == Some(true);
        // With a minimum the HPA decides all the time; without, activation does between none and one.
        let counts = active || least > 0.0;
        let floor = if kind == "ScaledJob" { least } else { least.max(1.0) };
        let comes_to = if counts { wanted.clamp(floor.min(most), most) } else { 0.0 };
        let why = match comes_to {
            _ if !counts => "not active: none, once the cooldown is over".to_owned(),
            bounded if bounded < wanted => format!("{division}, at most {}", number(most)),
            bounded if bounded > wanted => format!("{division}, at least {}", number(floor)),
            _ => division.to_owned(),
        };
        let default = if max_replicas.is_none() { " (KEDA's default, none is given)" } else { "" };
        let mut text = format!(
            "{}  {why}; {kind} {namespace}/{name}: {} to {}{default}",
            self.paint.paint(Role::Strong, &number(comes_to)),
            number(least),
            number(most)
        );
        if *paused {
            text.push_str(&self.paint.paint(Role::Doubtful, "; paused by an annotation: KEDA does not scale it"));
        }
        if *fallback && self.row.is_failing() {
            text.push_str("; its `fallback` counts");
        }
        if active && !object.pushes && kind == "ScaledObject" {
            text.push_str("; KEDA acts on polls alone (an activation target of `scalingModifiers`)");
        }
        text
    }

    fn history(&mut self) {
        let Some(history) = self.detail.history.as_ref().filter(|history| !history.values.is_empty()) else { return };
        let values: Vec<Option<f64>> = history.values.iter().rev().take(60).rev().copied().collect();
        let most = history.values.iter().flatten().copied().fold(f64::NAN, f64::max);
        let (failures, pushes): (u64, u64) = (history.failures.iter().sum(), history.pushes.iter().sum());
        let whole = span(history.step * history.values.len() as f64);
        let curve = curve(&values);
        let curve = curve.trim_start();
        if most.is_finite() {
            self.step("history", &format!("{curve}  at most {} in {whole}", number(most)));
        }
        if failures + pushes > 0 {
            self.more(&format!("{failures} failed looks, {pushes} pushes in {whole}"));
        }
    }

    fn error(&mut self) {
        let Some(Failure { kind, message, since_at, count }) = &self.row.error else { return };
        let lasts = span(self.now - since_at);
        let text = self.paint.paint(Role::Bad, &format!("{kind}: {message}"));
        self.step("error", &text);
        self.more(&format!("for {lasts}, {count} time{} in a row", if *count == 1 { "" } else { "s" }));
        let Some(help) = &self.detail.help else { return };
        self.step("  cause", &help.cause);
        self.step("  check", &help.check);
        let cure = self.paint.paint(Role::Good, &help.cure);
        self.step("  cure", &cure);
        let see = self.paint.paint(Role::Faint, &format!("docs/errors.md#{}", help.anchor));
        self.step("  see", &see);
    }
}

/// Lines of a table, numbers to the right.
fn table(parts: &Parts) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => known(value.as_f64()),
        _ => "?".to_owned(),
    };
    let rows: Vec<Vec<String>> = parts.rows.iter().take(PARTS).map(|row| row.iter().map(cell).collect()).collect();
    let is_number = |column: usize| parts.rows.iter().all(|row| !matches!(row.get(column), Some(Value::String(_))));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(parts.columns.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or_default()
    };
    let widths: Vec<(usize, bool)> =
        (0..parts.columns.len()).map(|column| (width(column), is_number(column))).collect();
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, (width, right))| {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if *right { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    if rows.is_empty() {
        return Vec::new();
    }
    std::iter::once(&parts.columns).chain(&rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(detail: serde_json::Value) -> String {
        let detail: Detail = serde_json::from_value(detail).unwrap();
        let seen: Seen = serde_json::from_value(json!({"version": "1", "nowAt": 1000.0})).unwrap();
        Chain::new(&detail, ("pod", &seen), Paint::none()).text()
    }

    #[track_caller]
    fn has(text: &str, words: &[&str]) {
        for word in words {
            assert!(text.contains(word), "`{word}` in\n{text}");
        }
    }

    #[test]
    fn parts_stand_below_each_other_and_an_object_has_the_last_word() {
        let told = text(json!({
            "trigger": {
                "state": "active", "scaledObjects": ["shop/orders"], "scalerType": "kafka", "value": 42.0, "active": true,
                "target": 10.0, "replicas": 5.0, "streams": 1, "wake": "armed", "pollingInterval": 5.0, "metric": "kafka-orders",
                "objects": [{"kind": "ScaledObject", "namespace": "shop", "name": "orders", "maxReplicas": 3, "pushes": true, "paused": true}],
            },
            "push": "always",
            "parts": {"rule": "the sum", "activation": 0.0, "columns": ["partition", "lag", "why"],
                      "rows": [[0, 40.0, "世界"], [10, 2.0, null]], "omitted": 5},
            "look": {"beganAt": 998.0, "took": 0.004, "together": 12},
        }));
        has(
            &told,
            &[
                "made of      the sum\n               partition  lag  why\n                       0   40  世界\n                      10    2  ?\n",
                "and 5 more",
                "2 s ago, took 4 ms, 12 triggers together; every 5 s, and at once when the broker says so",
                "active: 42 is above 0; pushed to 1 stream",
                "replicas     3  ⌈42 ÷ 10⌉ = 5, at most 3; ScaledObject shop/orders: 0 to 3; paused",
            ],
        );
    }

    #[test]
    fn nobody_who_asks_and_no_maximum_are_said() {
        let never = text(json!({"trigger": {"state": "unasked", "scaledObjects": ["shop/orders"]}}));
        has(&never, &["asked by     nobody: does KEDA's operator run", "value        not known: never read"]);
        let idle = text(json!({
            "trigger": {
                "state": "idle", "scaledObjects": ["shop/orders"], "value": 0.0, "active": false, "target": 10.0, "replicas": 0.0,
                "askedAt": 400.0, "objects": [{"kind": "ScaledObject", "namespace": "shop", "name": "orders", "minReplicas": 1}],
            },
            "askers": [{"namespace": "shop", "name": "orders", "askedAt": 400.0}],
        }));
        has(
            &idle,
            &[
                "shop/orders: asked 10 min ago",
                "nobody has asked since 10 min",
                "1  ⌈0 ÷ 10⌉ = 0, at least 1; ScaledObject shop/orders",
                "1 to 100 (KEDA's default, none is given)",
            ],
        );
    }
}
