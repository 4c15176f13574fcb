//! `/api/v1/events`: what changes of the rows that somebody looks at, as server-sent events.
//!
//! A viewer is sent each change once, the latest state only, and no more bytes a second than [`limits::EVENTS`]: what does not
//! fit waits, and is then sent as it has become. Viewers are few and none stays for ever: browsers come back by themselves.

use std::{collections::HashMap, convert::Infallible, sync::atomic::Ordering, time::Duration};

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream::unfold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{Asked, Problem};
use crate::{
    admin::Pages,
    limits,
    sampler::{self, Change, Counts},
};

/// How often rows are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is seen whether other rows belong in their place; each is a look at all triggers.
const LIST_EVERY: u64 = 15;
/// After so many seconds without a word there is one, so that a proxy does not take us for dead.
const SILENCE: u64 = 15;

/// What somebody watches.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Watched {
    /// The ids of the rows, with commas between them.
    #[serde(default)]
    ids: String,
    /// Whether to tell when the list that the other parameters ask for has other rows or another order.
    #[serde(default)]
    list: bool,
    #[serde(flatten)]
    #[schemars(skip)]
    asked: HashMap<String, String>,
}

/// An event `list`: other rows belong in the list, or others stand in another way.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ListChange {
    /// Whether the rows are others, or in another order.
    changed: bool,
    /// How all stand.
    counts: Counts,
}

/// An event `gone`: a trigger that is no longer observed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gone {
    id: u64,
}

/// One who watches.
struct Viewer {
    pages: Pages,
    rows: Vec<(u64, Option<Change>)>,
    /// From which row on the next look goes: each has its turn where not all have room.
    turn: usize,
    list: Option<(sampler::Query, Vec<u64>, Counts)>,
    seconds: u64,
    silent: u64,
    ticks: Interval,
    ends: Instant,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(pages): State<Pages>,
    watched: Result<Query<Watched>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(watched) = watched?;
    let full = "as many watch as may at a time: close a page elsewhere, or try again in a minute";
    let place = Arc::clone(&pages.0.viewers).try_acquire_owned().map_err(|_| Problem::full(full))?;
    let viewer = Viewer::new(pages, &watched, place)?;
    let body = Body::from_stream(unfold(viewer, async |mut viewer| {
        let text = viewer.next().await?;
        Some((Ok::<_, Infallible>(text), viewer))
    }));
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, body).into_response())
}

impl Viewer {
    fn new(pages: Pages, watched: &Watched, place: OwnedSemaphorePermit) -> Result<Self, Problem> {
        let ids: Result<Vec<u64>, _> =
            watched.ids.split(',').filter(|id| !id.is_empty()).map(|id| id.trim().parse()).collect();
        let ids = ids.map_err(|_| Problem::bad("`ids` must be numbers with commas between them"))?;
        if ids.len() > limits::WATCHED {
            return Err(Problem::bad(format!("`ids` may name {} rows at most", limits::WATCHED)));
        }
        let query = Asked::of_pairs(&watched.asked)?.query()?;
        let sampler = &pages.0.sampler;
        let list = watched.list.then(|| {
            let (ids, counts) = sampler.ids(&query);
            (query, ids, counts)
        });
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            rows: ids.into_iter().map(|id| (id, None)).collect(),
            turn: 0,
            list,
            seconds: 0,
            silent: 0,
            ticks,
            ends: Instant::now() + limits::WATCH,
            _place: place,
            pages,
        })
    }

    /// What there is to say next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            self.ticks.tick().await;
            if Instant::now() >= self.ends || !self.pages.0.ready.load(Ordering::Relaxed) {
                return None;
            }
            let mut said = String::new();
            if self.seconds == 0 {
                said.push_str("retry: 2000\n\n");
            }
            self.seconds += 1;
            if self.seconds.is_multiple_of(LIST_EVERY) {
                self.tell_list(&mut said);
            }
            self.tell_rows(&mut said);
            self.silent += 1;
            if said.is_empty() && self.silent >= SILENCE {
                said.push_str(": here\n\n");
            }
            if !said.is_empty() {
                self.silent = 0;
                return Some(said);
            }
        }
    }

    fn tell_list(&mut self, said: &mut String) {
        let Some((query, ids, counts)) = &mut self.list else { return };
        let (now, counts_now) = self.pages.0.sampler.ids(query);
        let changed = now != *ids;
        if changed || counts_now != *counts {
            (*ids, *counts) = (now, counts_now.clone());
            tell(said, "list", &ListChange { changed, counts: counts_now });
        }
    }

    fn tell_rows(&mut self, said: &mut String) {
        let count = self.rows.len();
        for _ in 0..count {
            let Some((id, known)) = self.rows.get_mut(self.turn % count) else { return };
            let before = said.len();
            match self.pages.0.sampler.change(*id) {
                Some(change) if known.as_ref() != Some(&change) => {
                    // What is there when somebody comes is on his page already, but for what has changed on the way.
                    tell(said, "change", &change);
                    if said.len() > limits::EVENTS {
                        said.truncate(before);
                        return;
                    }
                    *known = Some(change);
                }
                None if known.is_some() => {
                    tell(said, "gone", &Gone { id: *id });
                    *known = None;
                }
                _ => {}
            }
            self.turn = (self.turn + 1) % count;
        }
    }
}

fn tell(said: &mut String, event: &str, data: &impl Serialize) {
    // Nothing of ours fails to be JSON, and what did would be left out.
    if let Ok(json) = serde_json::to_string(data) {
        said.push_str(&format!("event: {event}\ndata: {json}\n\n"));
    }
}
