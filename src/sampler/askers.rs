//! Who asks for one trigger, and what each of them has heard: for logs and pages, and to know whether a push is owed.
//!
//! KEDA polls every ScaledObject at a pace that it does not tell, so the pace is learned, per object: equal triggers of
//! two objects share their samples, but the polls of one say nothing about what the other has heard.

use std::{cmp::Ordering, net::IpAddr, time::Duration};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::{limits, object::ObjectRef};

/// KEDA's own default, until two polls have shown another pace.
const USUAL_PACE: Duration = Duration::from_secs(30);
/// A longer gap is an outage and no pace.
const SLOWEST_PACE: Duration = Duration::from_secs(3600);
/// Below this a pace is not believed: an error is asked about again at once.
const FASTEST_PACE: Duration = Duration::from_secs(15);
/// How long after its stream has aged an object may come back to what that stream had told it.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(120);
/// How long an object that does not ask keeps its place before another may take it.
const KEPT: Duration = Duration::from_secs(120);

/// The objects that ask for one trigger, in order of their names.
#[derive(Debug, Default)]
pub(super) struct Askers(Mutex<Vec<Asker>>);

#[derive(Debug)]
struct Asker {
    object: ObjectRef,
    last_asked: Instant,
    /// The address that it was last asked for from.
    peer: Option<IpAddr>,
    /// Its open streams.
    streams: usize,
    /// When the last of them was opened.
    stream_at: Option<Instant>,
    last_poll: Option<Instant>,
    /// When its value was last asked for.
    last_measured: Option<Instant>,
    /// The longest gap between its polls, of late.
    pace: Duration,
    /// The last rise of which a poll has heard.
    heard: u64,
    left: Option<(Instant, Told)>,
}

/// One of the objects that ask, for people. Times are Unix times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Asker")]
pub struct AskerView {
    /// The object's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When KEDA last asked for it, by whichever call.
    pub asked_at: f64,
    /// When its scale loop last asked whether it is active (`IsActive`).
    pub polled_at: Option<f64>,
    /// The longest gap between such polls of late, in seconds.
    pub poll_pace: f64,
    /// When its value was last asked for (`GetMetrics`): by the HPA, and by the scale loop.
    pub measured_at: Option<f64>,
    /// Its open activation streams (`StreamIsActive`).
    pub streams: usize,
    /// When the last of them was opened.
    pub stream_at: Option<f64>,
    /// The address of who asked last.
    pub peer: Option<String>,
}

/// Who asks now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    /// On whose behalf.
    pub(super) object: ObjectRef<&'a str>,
    /// From where.
    pub(super) peer: Option<IpAddr>,
    /// For the value.
    pub(super) measures: bool,
}

/// How much of a rise an object has been told by push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub rise: u64,
    /// How many times.
    pub times: usize,
    /// When it is to be told again, unless it has heard of it by a poll.
    pub due: Instant,
}

impl Askers {
    /// Notes who asks now. Names are kept for the most recent ones only.
    pub(super) fn asked(&self, ask: Ask<'_>, now: Instant) {
        let mut askers = self.0.lock();
        match position(&askers, ask.object) {
            Ok(at) => {
                if let Some(asker) = askers.get_mut(at) {
                    asker.asks(ask, now);
                }
            }
            Err(at) if askers.len() < limits::OBJECTS_OF_TRIGGER => insert(&mut askers, at, Asker::new(ask, now)),
            Err(_) => {
                sweep(&mut askers, now);
                if askers.len() < limits::OBJECTS_OF_TRIGGER {
                    let (Ok(at) | Err(at)) = position(&askers, ask.object);
                    insert(&mut askers, at, Asker::new(ask, now));
                }
            }
        }
    }

    /// Notes that a poll of `object` is answered now; `heard` is the rise of which it hears, if it is active.
    pub(super) fn polled(&self, object: ObjectRef<&str>, now: Instant, heard: Option<u64>) {
        let mut askers = self.0.lock();
        let Some(asker) = find(&mut askers, object) else { return };
        if let Some(last) = asker.last_poll {
            // One short gap among long ones (the HPA asks too, and errors are asked about twice) is no new pace.
            let gap = now.saturating_duration_since(last);
            asker.pace = gap.max(asker.pace * 3 / 4).clamp(FASTEST_PACE, SLOWEST_PACE);
        }
        asker.last_poll = Some(now);
        asker.heard = heard.unwrap_or(asker.heard);
    }

    /// Until when `object` needs no push about `rise`: it has heard of it by a poll, and its polls keep coming.
    pub(super) fn hears(&self, object: ObjectRef<&str>, rise: u64, now: Instant) -> Option<Instant> {
        let mut askers = self.0.lock();
        let asker = find(&mut askers, object).filter(|asker| asker.heard == rise)?;
        asker.last_poll.map(|last| last + asker.pace * 2).filter(|until| now < *until)
    }

    /// Counts a stream of `object` in, with what the one before it had told if that ended by age just now.
    pub(super) fn stream_opened(&self, object: ObjectRef<&str>, now: Instant) -> Option<Told> {
        let mut askers = self.0.lock();
        let at = match position(&askers, object) {
            Ok(at) => at,
            Err(_) => {
                if askers.len() >= limits::OBJECTS_OF_TRIGGER {
                    sweep(&mut askers, now);
                }
                let (Ok(at) | Err(at)) = position(&askers, object);
                insert(&mut askers, at, Asker::new(Ask::of(object), now));
                at
            }
        };
        let asker = askers.get_mut(at)?;
        asker.streams += 1;
        asker.stream_at = Some(now);
        asker.left.take().filter(|(ended, _)| now < *ended + COMES_BACK_WITHIN).map(|(_, told)| told)
    }

    /// Keeps what a stream of `object` has told for the one that follows it.
    pub(super) fn stream_aged(&self, object: ObjectRef<&str>, now: Instant, told: Told) {
        if let Some(asker) = find(&mut self.0.lock(), object) {
            asker.left = Some((now, told));
        }
    }

    /// Counts a stream of `object` out.
    pub(super) fn stream_closed(&self, object: ObjectRef<&str>) {
        if let Some(asker) = find(&mut self.0.lock(), object) {
            asker.streams = asker.streams.saturating_sub(1);
        }
    }

    /// `object` is no more. True when it was the only one.
    pub(super) fn let_go(&self, object: ObjectRef<&str>) -> bool {
        let mut askers = self.0.lock();
        let Ok(at) = position(&askers, object) else { return false };
        askers.remove(at);
        // Of more than are remembered by name, others may be left: they ask again.
        askers.is_empty()
    }

    /// Their namespaces.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = String> {
        let mut namespaces: Vec<_> = self.0.lock().iter().map(|asker| asker.object.namespace.clone()).collect();
        namespaces.dedup();
        namespaces.into_iter()
    }

    /// Whether one of them is of this namespace.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.0.lock().iter().any(|asker| asker.object.namespace == namespace)
    }

    /// Some of them as `namespace/name`, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.objects().into_iter().map(|object| format!("{}/{}", object.namespace, object.name)).collect()
    }

    /// The first of them, by which a trigger has its place among others.
    pub(super) fn first(&self) -> Option<ObjectRef> {
        self.0.lock().first().map(|asker| asker.object.clone())
    }

    /// Some of them with what they asked and when; `wall` says what the time was.
    pub(super) fn shown(&self, wall: impl Fn(Instant) -> f64) -> Vec<AskerView> {
        let view = |asker: &Asker| AskerView {
            namespace: asker.object.namespace.clone(),
            name: asker.object.name.clone(),
            asked_at: wall(asker.last_asked),
            polled_at: asker.last_poll.map(&wall),
            poll_pace: asker.pace.as_secs_f64(),
            measured_at: asker.last_measured.map(&wall),
            streams: asker.streams,
            stream_at: asker.stream_at.filter(|_| asker.streams > 0).map(&wall),
            peer: asker.peer.map(|peer| peer.to_string()),
        };
        self.0.lock().iter().take(limits::OBJECTS_OF_TRIGGER).map(view).collect()
    }

    /// The same ones.
    pub(super) fn objects(&self) -> Vec<ObjectRef> {
        self.0.lock().iter().take(limits::OBJECTS_OF_TRIGGER).map(|asker| asker.object.clone()).collect()
    }
}

impl<'a> Ask<'a> {
    /// On behalf of `object`, and nothing else is known.
    pub(super) fn of(object: ObjectRef<&'a str>) -> Self {
        Self { object, peer: None, measures: false }
    }
}

impl Asker {
    fn new(ask: Ask<'_>, now: Instant) -> Self {
        let Ask { object, .. } = ask;
        let mut asker = Self {
            object: ObjectRef { namespace: object.namespace.to_owned(), name: object.name.to_owned() },
            last_asked: now,
            peer: None,
            streams: 0,
            stream_at: None,
            last_poll: None,
            last_measured: None,
            pace: USUAL_PACE,
            heard: 0,
            left: None,
        };
        asker.asks(ask, now);
        asker
    }

    fn asks(&mut self, ask: Ask<'_>, now: Instant) {
        self.last_asked = now;
        self.peer = ask.peer.or(self.peer);
        if ask.measures {
            self.last_measured = Some(now);
        }
    }
}

/// Forgets who has not asked for a while and has no stream.
fn sweep(askers: &mut Vec<Asker>, now: Instant) {
    askers.retain(|asker| asker.streams > 0 || asker.last_asked + KEPT > now);
}

/// Most triggers are one object's: there is no room kept for more.
fn insert(askers: &mut Vec<Asker>, at: usize, asker: Asker) {
    if askers.is_empty() {
        askers.reserve_exact(1);
    }
    askers.insert(at, asker);
}

fn position(askers: &[Asker], object: ObjectRef<&str>) -> Result<usize, usize> {
    askers.binary_search_by(|asker| order(&asker.object, object))
}

fn order(known: &ObjectRef, object: ObjectRef<&str>) -> Ordering {
    known.namespace.as_str().cmp(object.namespace).then_with(|| known.name.as_str().cmp(object.name))
}

fn find<'a>(askers: &'a mut [Asker], object: ObjectRef<&str>) -> Option<&'a mut Asker> {
    let at = position(askers, object).ok()?;
    askers.get_mut(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_are_kept_of_those_that_have_a_stream_or_have_just_asked() {
        let askers = Askers::default();
        let count = || askers.0.lock().len();
        let names: Vec<String> = (0..1000).map(|n| format!("o{n}")).collect();
        let object = |name| ObjectRef { namespace: "shop", name };
        for name in &names {
            askers.asked(Ask::of(object(name)), Instant::now());
        }
        assert_eq!(count(), limits::OBJECTS_OF_TRIGGER);
        for name in &names {
            askers.stream_opened(object(name), Instant::now());
        }
        assert_eq!((count(), askers.names().len()), (1000, limits::OBJECTS_OF_TRIGGER));
        for name in &names {
            askers.stream_closed(object(name));
        }
        assert_eq!(count(), 1000, "a stream that has aged is opened again in a moment");
        tokio::time::advance(KEPT * 2).await;
        askers.asked(Ask::of(object("another")), Instant::now());
        assert_eq!(askers.names(), ["shop/another"]);
    }
}
