//! Server-sent events, as `/api/v1/events` sends them.
//!
//! Not for: what follows from one.

use serde_json::Value;

use super::{Change, harmless};
use crate::net::http::Pieces;

/// The most that is held of an event which has not ended.
const MOST: usize = 1 << 20;

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Event {
    /// Something of a trigger is other than it was.
    Change(Box<Change>),
    /// It is no longer observed.
    Gone,
}

/// What happens, in order.
#[derive(Debug)]
pub(in crate::cli) struct Events {
    pieces: Pieces,
    held: Vec<u8>,
}

impl Events {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self { pieces, held: Vec::new() }
    }

    /// The next one; `None` where the server has ended the stream, as it does from time to time, or is gone.
    pub(in crate::cli) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(text) = self.whole() {
                if let Some(event) = understood(&text) {
                    return Some(event);
                }
            }
            if self.held.len() > MOST {
                return None;
            }
            self.held.extend_from_slice(&self.pieces.next().await.ok().flatten()?);
        }
    }

    /// An event that has ended.
    fn whole(&mut self) -> Option<String> {
        let end = self.held.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = self.held.drain(..end + 2).collect();
        Some(String::from_utf8_lossy(&event).into_owned())
    }
}

fn understood(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    match field("event")? {
        "gone" => Some(Event::Gone),
        "change" => {
            let mut value: Value = serde_json::from_str(field("data")?).ok()?;
            harmless(&mut value);
            serde_json::from_value(value).ok().map(Event::Change)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let change = understood("event: change\ndata: {\"id\":7,\"state\":\"idle\",\"value\":0.0,\"new\":1}");
        assert!(matches!(change, Some(Event::Change(change)) if change.state == "idle" && change.value == Some(0.0)));
        assert_eq!(understood("event: gone\ndata: {\"id\":7}"), Some(Event::Gone));
        for text in ["", ":", ": silence", "event: change", "event: change\ndata: {", "event: list\ndata: {}"] {
            assert_eq!(understood(text), None, "{text}");
        }
    }
}
