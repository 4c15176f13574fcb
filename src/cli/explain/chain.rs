//! The chain from question to answer, as text: a step a line, each with its time.
//!
//! Not for: where it comes from (`remote`).

use unicode_width::UnicodeWidthStr;

use super::{connection, parts};
use crate::cli::{
    output::{Paint, Role},
    remote::{Asker, Bounds, Connection, Detail, Failure, Row, Seen},
    words::{ago, curve, known, lines, number, span},
};
use crate::error::counted;

/// The width of the steps' names.
const STEP: usize = 13;
/// Askers that are told.
const ASKERS: usize = 8;
/// Nobody who polls leaves it at that for so long, in polls of KEDA's default.
const SILENT: f64 = 120.0;

/// What is known of one trigger.
pub(in crate::cli) struct Chain<'d> {
    detail: &'d Detail,
    row: &'d Row,
    server: (&'d str, &'d Seen),
    now: f64,
    paint: Paint,
    /// How wide a line may be, where that is known.
    columns: usize,
    text: String,
}

impl<'d> Chain<'d> {
    pub(in crate::cli) fn new(detail: &'d Detail, server: (&'d str, &'d Seen), paint: Paint) -> Self {
        Self {
            detail,
            row: &detail.trigger,
            server,
            now: server.1.now_at,
            paint,
            columns: usize::MAX,
            text: String::new(),
        }
    }

    /// In lines of so many columns: long texts are broken, and begin where the others do.
    pub(in crate::cli) fn within(mut self, columns: usize) -> Self {
        self.columns = columns.max(STEP + 20);
        self
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
            self.tell("warning", warning, Some(Role::Doubtful));
        }
        self.error();
        self.text
    }

    fn step(&mut self, name: &str, what: &str) {
        let name = self.paint.paint(Role::Faint, &format!("{name:STEP$}"));
        self.text.push_str(&format!("  {name}{what}\n"));
    }

    /// A text that may be long.
    fn tell(&mut self, name: &str, what: &str, role: Option<Role>) {
        for (at, line) in lines(what, self.columns.saturating_sub(STEP + 2)).iter().enumerate() {
            let line = role.map_or_else(|| line.clone(), |role| self.paint.paint(role, line));
            self.step(if at == 0 { name } else { "" }, &line);
        }
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
                ways.push(format!("{}, since {}", counted(count, "stream"), span(self.now - at)));
            }
            (count, None) => ways.push(counted(count, "stream")),
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
        for (at, login) in connection::logins(self.detail, self.now).iter().enumerate() {
            self.step(if at == 0 { "login" } else { "" }, login);
        }
    }

    fn connection(&mut self) {
        let Some(of) = &self.detail.connection else { return };
        let Connection { place, state, since_at, triggers, error, next_try_at, .. } = of;
        let since = since_at.map(|at| format!(" since {}", span(self.now - at))).unwrap_or_default();
        let shared = match triggers {
            0 | 1 => String::new(),
            many => format!(", shared by {many} triggers"),
        };
        let role = if state == "failing" { Role::Bad } else { Role::Good };
        let state = self.paint.paint(role, state);
        self.step("connection", &format!("{place}: {state}{since}{shared}"));
        let traffic = connection::traffic(of, self.now, self.paint);
        self.more(&traffic);
        if let Some(error) = error {
            let next = next_try_at.map(|at| format!("; next try {}", ago(self.now, at))).unwrap_or_default();
            self.tell("", &format!("{}: {}{next}", error.kind, error.message), Some(Role::Bad));
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
        self.tell("made of", &parts.rule, None);
        for line in parts::table(parts) {
            self.more(&line);
        }
        let omitted = parts.omitted + parts.rows.len().saturating_sub(parts::MOST) as u64;
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
            _ => format!("; pushed to {}", counted(row.streams, "stream")),
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
            let text = self.bounds(object, &division, wanted);
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
    fn bounds(&self, object: &Bounds, division: &str, wanted: f64) -> String {
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
        let curve = curve.trim();
        if most.is_finite() {
            self.step("history", &format!("{curve}  at most {} in {whole}", number(most)));
        }
        if failures + pushes > 0 {
            self.more(&format!("{}, {} in {whole}", counted(failures, "failed look"), counted(pushes, "push")));
        }
    }

    fn error(&mut self) {
        let Some(Failure { kind, message, since_at, count }) = &self.row.error else { return };
        let lasts = span(self.now - since_at);
        self.tell("error", &format!("{kind}: {message}"), Some(Role::Bad));
        self.more(&format!("for {lasts}, {} in a row", counted(count, "time")));
        let Some(help) = &self.detail.help else { return };
        self.tell("  cause", &help.cause, None);
        self.tell("  check", &help.check, None);
        self.tell("  cure", &help.cure, Some(Role::Good));
        let see = self.paint.paint(Role::Faint, &format!("docs/errors.md#{}", help.anchor));
        self.step("  see", &see);
    }
}
