//! What a trigger's `authenticationRef` stands for: parameters, resolved when they are first wanted and again when what they
//! came from may have changed; the same allocation for as long as they are the same.
//!
//! Not for: what leads to them (`resolve.rs`).

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{FutureExt, future::Shared};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tracing::{info, warn};

use super::{
    auth::Auth,
    draft::{Draft, Resolved},
    items::LIFE,
    options::{OnMissing, Options},
    path::Kind,
    resolve::{Case, resolve},
    scaled::Target,
    stored::Stored,
    view::{Standing, View},
    visit::{Reads, Used, Visit},
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    metadata::Parameters,
    net::{Policy, Reach},
    task,
};

/// How long a look waits for parameters to be resolved again, while those at hand may well be good.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long one resolution may take in all.
const LONGEST: Duration = Duration::from_secs(20);
/// What failed is tried again after so long.
const AGAIN: Duration = Duration::from_secs(3);
/// After this long without use, a reference is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// A trigger's reference. Equal ones have the same parameters.
#[derive(Clone)]
pub struct Reference {
    id: Arc<Id>,
    all: Arc<References>,
}

/// What tells references apart.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Id {
    pub kind: Kind,
    /// Of whoever asks; "" where it is all the same.
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// What is scaled, where that matters.
    pub target: Option<Arc<Target>>,
}

/// All references in use, and what they are resolved with.
pub struct References {
    pub view: Arc<View>,
    pub reads: Arc<Reads>,
    pub options: Options,
    policy: OnceLock<Policy>,
    slots: Mutex<HashMap<Arc<Id>, Arc<Slot>>>,
}

struct Slot {
    state: Mutex<State>,
    stored: tokio::sync::Mutex<Stored>,
}

struct State {
    held: Option<Arc<Parameters>>,
    /// Why what is held must not be used, or why nothing is.
    failure: Option<ReadError>,
    /// What was told last.
    told: Vec<String>,
    used: BTreeSet<Used>,
    /// When that was read of what is held that was read the longest ago.
    read: Option<Instant>,
    due: Instant,
    /// As of which change of the authentications.
    changes: u64,
    touched: Instant,
    /// Since when some of it could not be read again, and why.
    away: Option<(Instant, String)>,
    flight: Option<Shared<oneshot::Receiver<()>>>,
}

impl References {
    pub fn new(view: Arc<View>, reads: Arc<Reads>, options: Options) -> Self {
        Self { view, reads, options, policy: OnceLock::new(), slots: Mutex::default() }
    }

    /// From now on, stores are reached by these rules.
    pub fn follow(&self, policy: Policy) {
        self.policy.set(policy).ok();
    }

    /// Where the stores may be that an object of `namespace` names.
    pub fn reach(&self, namespace: &str) -> Reach {
        self.policy.get().map_or_else(Reach::open, |policy| policy.reach(namespace))
    }

    /// Forgets what nobody has used for a while.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.slots.lock().retain(|_, slot| now < slot.state.lock().touched + FORGET);
    }

    fn slot(&self, id: &Arc<Id>) -> Arc<Slot> {
        let now = Instant::now();
        let mut slots = self.slots.lock();
        let slot = slots.entry(Arc::clone(id)).or_insert_with(|| {
            let state = State {
                held: None,
                failure: None,
                told: Vec::new(),
                used: BTreeSet::new(),
                read: None,
                due: now,
                changes: 0,
                touched: now,
                away: None,
                flight: None,
            };
            Arc::new(Slot { state: Mutex::new(state), stored: tokio::sync::Mutex::default() })
        });
        slot.state.lock().touched = now;
        Arc::clone(slot)
    }
}

impl Reference {
    pub(super) fn new(id: Id, all: &Arc<References>) -> Self {
        Self { id: Arc::new(id), all: Arc::clone(all) }
    }

    /// The parameters as they are now. While they may have changed and the API server does not say soon, those at hand.
    pub async fn parameters(&self) -> Result<Arc<Parameters>, ReadError> {
        let slot = self.all.slot(&self.id);
        let (due, usable) = {
            let state = slot.state.lock();
            let due = Instant::now() >= state.due || state.changes != self.all.view.changes();
            (due, state.held.is_some() && state.failure.is_none())
        };
        if due {
            let flight = self.flight(&slot);
            if usable {
                timeout(PATIENCE, flight).await.ok();
            } else {
                flight.await.ok();
            }
        }
        let state = slot.state.lock();
        state.answer()
    }

    /// The parameters that were resolved last, if they may be used.
    #[must_use]
    pub fn at_hand(&self) -> Option<Arc<Parameters>> {
        let slot = self.all.slots.lock().get(&self.id).cloned()?;
        let state = slot.state.lock();
        state.answer().ok()
    }

    /// A broker refuses what `seen` says: the Secrets are read again at once, each at most every five seconds. Others, if
    /// there are any by now.
    pub async fn refused(&self, seen: &Arc<Parameters>) -> Option<Arc<Parameters>> {
        let other = |now: Arc<Parameters>| (*now != **seen).then_some(now);
        if let Some(now) = self.at_hand().and_then(other) {
            return Some(now);
        }
        let slot = self.all.slot(&self.id);
        let used = slot.state.lock().used.clone();
        self.all.reads.again(&used).await;
        slot.stored.lock().await.forget();
        slot.state.lock().due = Instant::now();
        self.flight(&slot).await.ok();
        self.at_hand().and_then(other)
    }

    /// When that was read of what it leads to that was read the longest ago.
    #[must_use]
    pub fn read(&self) -> Option<Instant> {
        let slot = self.all.slots.lock().get(&self.id).cloned()?;
        let state = slot.state.lock();
        state.read.filter(|_| state.held.is_some())
    }

    /// Since when some of what it leads to could not be read again, and why.
    #[must_use]
    pub fn away(&self) -> Option<(Duration, String)> {
        let slot = self.all.slots.lock().get(&self.id).cloned()?;
        let state = slot.state.lock();
        state.away.as_ref().map(|(since, why)| (since.elapsed(), why.clone()))
    }

    /// The resolution that is under way, or a new one; it goes on without whoever asked.
    fn flight(&self, slot: &Arc<Slot>) -> Shared<oneshot::Receiver<()>> {
        let mut state = slot.state.lock();
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return flight.clone();
        }
        let (landed, flight) = oneshot::channel();
        let flight = flight.shared();
        state.flight = Some(flight.clone());
        let (this, slot) = (self.clone(), Arc::clone(slot));
        task::detach(async move {
            this.resolve(&slot).await;
            landed.send(()).ok();
        });
        flight
    }

    async fn resolve(&self, slot: &Slot) {
        // What changes from here on is looked at the next time.
        let changes = self.all.view.changes();
        let mut visit = Visit::new(&self.all.reads, LIFE);
        let mut stored = slot.stored.lock().await;
        let resolved = timeout(LONGEST, self.visit(&mut visit, &mut stored)).await.unwrap_or_else(|_| {
            let text =
                format!("what {self} leads to was not read within {LONGEST:?}: check the API server and the stores");
            Err(ReadError::new(ReadErrorKind::Timeout, text).of_source())
        });
        let mut state = slot.state.lock();
        state.changes = changes;
        state.used.append(&mut visit.secrets);
        state.away = visit.away;
        state.due = visit.due;
        match resolved {
            Ok(resolved) => {
                state.read = visit.read;
                self.take(&mut state, resolved);
            }
            Err(error) => {
                let now = Instant::now();
                state.due = state.due.min(now + AGAIN);
                let passing = matches!(error.kind, ReadErrorKind::Unreachable | ReadErrorKind::Timeout);
                if passing && state.held.is_some() && state.failure.is_none() {
                    state.away.get_or_insert((now, error.to_string()));
                } else {
                    state.failure = Some(error);
                }
            }
        }
    }

    fn take(&self, state: &mut State, resolved: Resolved) {
        let Resolved { parameters, missing, warnings } = resolved;
        let refuse = self.all.options.rules.on_missing == OnMissing::Refuse && !missing.is_empty();
        state.failure = refuse.then(|| ReadError::new(ReadErrorKind::Denied, missing.join("; ")).of_source());
        if !refuse && state.held.as_ref().is_none_or(|held| **held != parameters) {
            if state.held.is_some() {
                info!(reference = %self, "its parameters have changed");
            }
            state.held = Some(Arc::new(parameters));
        }
        let told: Vec<String> = if refuse { warnings } else { missing.into_iter().chain(warnings).collect() };
        if told != state.told {
            for text in &told {
                warn!(reference = %self, text, "a reference is hardly what is meant");
            }
            state.told = told;
        }
    }

    #[cfg(test)]
    pub(super) fn reads(&self) -> &Reads {
        &self.all.reads
    }

    pub(super) async fn visit(&self, visit: &mut Visit<'_>, stored: &mut Stored) -> Result<Resolved, ReadError> {
        let Id { kind, namespace, name, target } = &*self.id;
        let rules = &self.all.options.rules;
        let reach =
            self.all.reach(if *kind == Kind::TriggerAuthentication { namespace } else { &rules.keda_namespace });
        let case = Case { kind: *kind, name, own: namespace, target: target.as_deref(), rules, reach: &reach };
        match self.spec(visit).await? {
            Ok(spec) => resolve(case, &spec, visit, stored).await,
            Err(why) => Ok(Draft::nothing(format!("{why}: the trigger names it"))),
        }
    }

    /// What the object says; in words, why it says nothing.
    async fn spec(&self, visit: &mut Visit<'_>) -> Result<Result<Arc<Auth>, String>, ReadError> {
        let (kind, name) = (self.id.kind, &*self.id.name);
        let namespace = if kind == Kind::TriggerAuthentication { &*self.id.namespace } else { "" };
        if let Some(auth) = self.all.view.auth(kind, namespace, name) {
            return Ok(Ok(auth));
        }
        let selected = self.all.options.auth_labels.is_some();
        if selected && matches!(self.all.view.standing(kind, namespace), Some(Standing::Live)) {
            return Ok(Err(format!(
                "{} `{}` does not exist, or not with the labels that this server looks for",
                kind.as_str(),
                quoted(name)
            )));
        }
        // It may not be watched, or be so new that the watch has not told of it.
        Ok(visit.named(kind, namespace, name).await?.map(|named| Arc::new(named.spec.clone())))
    }
}

impl State {
    fn answer(&self) -> Result<Arc<Parameters>, ReadError> {
        match (&self.failure, &self.held) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Some(held)) => Ok(Arc::clone(held)),
            (None, None) => {
                Err(ReadError::new(ReadErrorKind::Internal, "a resolution ended early: see the log").of_source())
            }
        }
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.id, &other.id) || self.id == other.id
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// For people: ``TriggerAuthentication `a/kafka` ``.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Id { kind, namespace, name, .. } = &*self.id;
        let place = if *kind == Kind::TriggerAuthentication { format!("{namespace}/") } else { String::new() };
        write!(f, "{} `{place}{}`", kind.as_str(), quoted(name))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}
