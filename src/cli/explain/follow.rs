//! `explain --follow`: a line for each change, as the server tells of it.
//!
//! A stream that ends is opened again, and a trigger that is gone is looked for under its name. Ends when nobody reads what is
//! written, or by a signal.

use std::{
    io::{self, Write},
    time::Duration,
};

use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep;

use super::{Known, name};
use crate::{
    cli::{
        exit::Unusable,
        output::{Format, Paint, Role},
        remote::{Change, Event, Server},
        words::{known as number, time_of_day},
    },
    task::Backoff,
};

/// Between two tries of a server that is away.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// One trigger that is followed.
struct Followed {
    server: usize,
    id: u64,
    label: String,
    last: Option<Change>,
}

/// Prints changes until the end.
pub(super) async fn follow(
    servers: &[Server],
    name: &name::Name,
    known: Vec<Known<'_>>,
    output: Format,
) -> anyhow::Result<()> {
    let several = known.len() > 1;
    let mut followed: Vec<Followed> = known
        .iter()
        .map(|known| {
            let row = &known.detail.trigger;
            let server = servers.iter().position(|server| std::ptr::eq(server, known.server)).unwrap_or_default();
            let label = if several { row.metric.clone() } else { String::new() };
            Followed { server, id: row.id, label, last: None }
        })
        .collect();
    let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
    let mut told = Said::default();
    loop {
        match watch(servers, &mut followed, output).await? {
            // As it does from time to time; in between it may have gone, or the server may be another.
            Ended::Well => {}
            Ended::Gone => told.say(output, "gone", "no longer observed: nobody asks for it any more")?,
            Ended::Away(error) => told.say(output, "away", &error.0)?,
        }
        let found = loop {
            match name::find(servers, name).await {
                Ok(found) => break found,
                Err(error) => told.say(output, "away", &error.0)?,
            }
            sleep(pauses.pause()).await;
        };
        let same = |followed: &Followed, found: &name::Found| !several || followed.label == found.row.metric;
        for followed in &mut followed {
            if let Some(found) = found.iter().find(|found| same(followed, found))
                && (followed.server, followed.id) != (found.server, found.row.id)
            {
                (followed.server, followed.id) = (found.server, found.row.id);
            }
        }
        // A server that ends each stream at once is not asked without end.
        sleep(pauses.pause()).await;
        if told.last.take().is_some() {
            say(output, &json!({"back": true}), "it can be asked again", Role::Good)?;
        } else {
            pauses.reset();
        }
    }
}

/// What was said of a server or a trigger that is away: once for each cause.
#[derive(Default)]
struct Said {
    last: Option<String>,
}

impl Said {
    fn say(&mut self, output: Format, kind: &str, text: &str) -> io::Result<()> {
        if self.last.as_deref() != Some(text) {
            self.last = Some(text.to_owned());
            say(output, &json!({kind: text}), text, Role::Bad)?;
        }
        Ok(())
    }
}

enum Ended {
    Well,
    Gone,
    Away(Unusable),
}

async fn watch(servers: &[Server], followed: &mut [Followed], output: Format) -> io::Result<Ended> {
    let mut streams = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let ids: Vec<String> =
            followed.iter().filter(|followed| followed.server == at).map(|followed| followed.id.to_string()).collect();
        if !ids.is_empty() {
            match server.events(&[("ids", &ids.join(","))]).await {
                Ok(events) => streams.push(
                    stream::unfold((at, events), async |(at, mut events)| {
                        events.next().await.map(|event| ((at, event), (at, events)))
                    })
                    .boxed_local(),
                ),
                Err(error) => return Ok(Ended::Away(error)),
            }
        }
    }
    let mut all = stream::select_all(streams);
    while let Some((at, event)) = all.next().await {
        match event {
            Event::Gone => return Ok(Ended::Gone),
            Event::Change(change) => {
                let of = |followed: &&mut Followed| followed.server == at && followed.id == change.id;
                let Some(followed) = followed.iter_mut().find(of) else { continue };
                // The first is what was printed already.
                if let Some(last) = &followed.last
                    && let Some(text) = told(last, &change)
                {
                    let text = if followed.label.is_empty() { text } else { format!("{}: {text}", followed.label) };
                    let role = if change.error.is_some() { Role::Bad } else { Role::Strong };
                    let document = json!({
                        "id": change.id, "state": change.state, "value": change.value, "replicas": change.replicas,
                        "sampledAt": change.sampled_at, "streams": change.streams, "wake": change.wake, "error": change.error,
                    });
                    say(output, &json!({"change": document}), &text, role)?;
                }
                followed.last = Some(*change);
            }
        }
    }
    Ok(Ended::Well)
}

/// What is other than it was, in words; a new look that shows the same is no change.
fn told(last: &Change, new: &Change) -> Option<String> {
    let mut told = Vec::new();
    let mut tell = |what: &str, before: String, after: String| {
        if before != after {
            told.push(format!("{what} {before} → {after}"));
        }
    };
    tell("state", last.state.clone(), new.state.clone());
    tell("value", number(last.value), number(new.value));
    tell("replicas", number(last.replicas), number(new.replicas));
    tell("streams", last.streams.to_string(), new.streams.to_string());
    tell("wake", last.wake.clone(), new.wake.clone());
    let none = || "none".to_owned();
    tell("error", last.error.clone().unwrap_or_else(none), new.error.clone().unwrap_or_else(none));
    (!told.is_empty()).then(|| told.join(", "))
}

fn say(output: Format, document: &serde_json::Value, text: &str, role: Role) -> io::Result<()> {
    let now = std::time::SystemTime::now();
    let now = crate::clock::since_epoch(now).as_secs_f64();
    let mut out = io::stdout().lock();
    match output {
        Format::Json => writeln!(out, "{document}")?,
        Format::Text => {
            let paint = Paint::of_stdout();
            writeln!(out, "{}  {}", paint.paint(Role::Faint, &time_of_day(now)), paint.paint(role, text))?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_not_told() {
        let last = Change {
            state: "idle".into(),
            value: Some(0.0),
            replicas: Some(0.0),
            wake: "armed".into(),
            ..Change::default()
        };
        assert_eq!(told(&last, &Change { sampled_at: Some(5.0), ..last.clone() }), None);
        let new = Change { state: "active".into(), value: Some(42.0), replicas: Some(5.0), ..last.clone() };
        assert_eq!(told(&last, &new).as_deref(), Some("state idle → active, value 0 → 42, replicas 0 → 5"));
        let failing = Change { error: Some("denied".into()), value: None, ..new.clone() };
        assert_eq!(told(&new, &failing).as_deref(), Some("value 42 → ?, error none → denied"));
    }
}
