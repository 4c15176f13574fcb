//! What was read of one object by name, kept for a while: one reader at a time, the last good answer while the API server is
//! away, and a definite "no" believed at the second time only.
//!
//! Not for: KEDA's own objects, which are watched, or what a value means.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::Shared};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::api::{Api, ApiError};
use crate::{
    clock::jittered,
    identity::held::{Held, Keeper},
    limits,
    task::{self, Backoff},
};

/// After this long without use, an object is forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// What is not there is looked for again after so long.
const MISSING: Duration = Duration::from_secs(8);
/// What has just gone is looked for again after so long, before that is believed.
const DOUBT: Duration = Duration::from_secs(1);
/// A refused login has its Secret read again at once, and no more often than this.
const FORCED: Duration = Duration::from_secs(5);
/// What is read at the same time is read again at different ones.
const SPREAD: std::ops::Range<f64> = 0.8..1.0;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something that is read by its path.
pub trait Item: PartialEq + Send + Sync + Sized + 'static {
    /// The object, and for how long it holds.
    fn read(api: &Api, path: &str) -> impl Future<Output = Result<(Self, Duration), ApiError>> + Send;
}

/// What is known of an object.
#[derive(Debug)]
pub enum Seen<T> {
    /// As it was last read.
    Here(Arc<T>),
    /// It does not exist.
    Missing,
    /// We may not read it, or not have it.
    Refused(ApiError),
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Here(item) => Self::Here(Arc::clone(item)),
            Self::Missing => Self::Missing,
            Self::Refused(error) => Self::Refused(error.clone()),
        }
    }
}

/// What is known, and until when it need not be asked for again.
#[derive(Debug)]
pub struct Look<T> {
    pub seen: Seen<T>,
    pub due: Instant,
    /// When it was last read.
    pub read: Option<Instant>,
    /// Since when the API server has been away, and why.
    pub away: Option<(Instant, String)>,
}

/// The objects of one kind that are in use.
pub struct Kept<T: Item> {
    api: Arc<Api>,
    slots: Mutex<HashMap<String, Arc<Slot<T>>>>,
}

type Slot<T> = Mutex<State<T>>;

struct State<T> {
    seen: Option<Seen<T>>,
    /// When it was last seen to be here.
    read: Option<Instant>,
    due: Instant,
    used: Instant,
    /// The last answer said no, against the one before.
    doubted: bool,
    away: Option<(Instant, String)>,
    pause: Backoff,
    forced: Option<Instant>,
    flight: Option<Shared<oneshot::Receiver<()>>>,
    mark: Held,
}

impl<T: Item> Kept<T> {
    pub fn new(api: &Arc<Api>) -> Self {
        Self { api: Arc::clone(api), slots: Mutex::default() }
    }

    /// What is known of the object at `path`; an error only if nothing is, since the API server is away.
    pub async fn get(&self, path: &str) -> Result<Look<T>, ApiError> {
        let slot = self.slot(path);
        let due = {
            let mut state = slot.lock();
            state.used = Instant::now();
            state.used >= state.due
        };
        if due {
            self.flight(&slot, path).await.ok();
        }
        let state = slot.lock();
        match (&state.seen, &state.away) {
            (Some(seen), away) => Ok(Look { seen: seen.clone(), due: state.due, read: state.read, away: away.clone() }),
            (None, Some((_, why))) => Err(ApiError::Away(why.clone())),
            (None, None) => Err(ApiError::Away("a request ended early, see the log".to_owned())),
        }
    }

    /// What is at hand of it.
    pub fn at_hand(&self, path: &str) -> Option<Arc<T>> {
        let slot = self.slots.lock().get(path).cloned()?;
        match &slot.lock().seen {
            Some(Seen::Here(item)) => Some(Arc::clone(item)),
            _ => None,
        }
    }

    /// Reads it now, whatever is known, unless that was done a moment ago.
    pub async fn again(&self, path: &str) {
        let slot = self.slot(path);
        {
            let (now, mut state) = (Instant::now(), slot.lock());
            if state.forced.is_some_and(|forced| now < forced + FORCED) {
                return;
            }
            (state.forced, state.used) = (Some(now), now);
        }
        self.flight(&slot, path).await.ok();
    }

    /// Forgets what nobody has used for a while.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.slots.lock().retain(|_, slot| now < slot.lock().used + FORGET);
    }

    fn slot(&self, path: &str) -> Arc<Slot<T>> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(path) {
            return Arc::clone(slot);
        }
        if slots.len() >= limits::KUBERNETES_KEPT {
            limits::Limit::Triggers.crossed();
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.lock().used).map(|(path, _)| path.clone());
            oldest.map(|path| slots.remove(&path));
        }
        let now = Instant::now();
        let slot = Arc::new(Mutex::new(State {
            seen: None,
            read: None,
            due: now,
            used: now,
            doubted: false,
            away: None,
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            forced: None,
            flight: None,
            mark: Held::by(Keeper::Cluster),
        }));
        slots.insert(path.to_owned(), Arc::clone(&slot));
        slot
    }

    /// The reading that is under way, or a new one; it goes on without whoever asked.
    fn flight(&self, slot: &Arc<Slot<T>>, path: &str) -> Shared<oneshot::Receiver<()>> {
        let mut state = slot.lock();
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return flight.clone();
        }
        let (landed, flight) = oneshot::channel();
        let flight = flight.shared();
        state.flight = Some(flight.clone());
        let (api, slot, path) = (Arc::clone(&self.api), Arc::clone(slot), path.to_owned());
        task::detach(async move {
            let read = T::read(&api, &path).await;
            slot.lock().take(read);
            landed.send(()).ok();
        });
        flight
    }
}

impl<T: PartialEq> State<T> {
    fn take(&mut self, read: Result<(T, Duration), ApiError>) {
        let now = Instant::now();
        match read {
            Ok((item, life)) => {
                let same = matches!(&self.seen, Some(Seen::Here(known)) if **known == item);
                if !same {
                    self.seen = Some(Seen::Here(Arc::new(item)));
                }
                self.due = now + jittered(life, SPREAD);
                (self.doubted, self.away) = (false, None);
                self.pause.reset();
                self.read = Some(now);
                self.mark.read(now);
            }
            Err(ApiError::Away(why)) => {
                let since = self.away.take().map_or(now, |(since, _)| since);
                self.mark.failed(now, &why);
                self.away = Some((since, why));
                self.due = now + self.pause.pause();
            }
            Err(error) => {
                self.away = None;
                if matches!(self.seen, Some(Seen::Here(_))) && !self.doubted {
                    self.doubted = true;
                    self.due = now + DOUBT;
                    return;
                }
                self.mark.gone();
                self.read = None;
                self.seen = Some(if error == ApiError::Missing { Seen::Missing } else { Seen::Refused(error) });
                self.due = now + jittered(MISSING, SPREAD);
            }
        }
    }
}
