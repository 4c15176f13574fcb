//! How old the credentials are that somebody keeps for triggers, and which of them cannot be read again: for the series
//! and the log.
//!
//! Not for: the credentials themselves.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

/// Who keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeper {
    /// Tokens and keys of clouds and OAuth clients.
    Identity,
    /// What a store outside the cluster gave.
    Store,
    /// What the API server gave: Secrets, ConfigMaps, tokens of ServiceAccounts.
    Cluster,
}

/// The credentials of one keeper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ages {
    /// How many.
    pub held: usize,
    /// How many could not be read again at the last try.
    pub failing: usize,
    /// How long ago the one was read that was read the longest ago.
    pub oldest: Option<Duration>,
}

/// One credential's place in the count, until it is dropped.
#[derive(Debug)]
pub struct Held(u64);

/// What is shown to a broker in the place of a trigger's own secret: what it is, for people, and how old.
#[derive(Debug, Clone)]
pub struct Issued {
    what: String,
    held: Weak<Held>,
}

#[derive(Debug, Clone, Copy)]
struct Of {
    keeper: Keeper,
    read: Option<Instant>,
    /// Since when.
    failing: Option<Instant>,
}

#[derive(Debug)]
struct All {
    last: u64,
    held: BTreeMap<u64, Of>,
}

static ALL: Mutex<All> = Mutex::new(All { last: 0, held: BTreeMap::new() });

impl Keeper {
    const ALL: [Self; 3] = [Self::Identity, Self::Store, Self::Cluster];

    /// A label of series.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Store => "store",
            Self::Cluster => "cluster",
        }
    }
}

impl Held {
    /// One that was not read yet.
    #[must_use]
    pub fn by(keeper: Keeper) -> Self {
        let mut all = ALL.lock();
        all.last += 1;
        let number = all.last;
        all.held.insert(number, Of { keeper, read: None, failing: None });
        Self(number)
    }

    /// It was read, or found to hold on, at `now`.
    pub fn read(&self, now: Instant) {
        let (before, keeper) = self.note(|of| (of.read, of.failing) = (Some(now), None));
        if let Some(since) = before {
            info!(keeper, lasted = ?now.saturating_duration_since(since), "credentials are read again");
        }
    }

    /// It could not be read again. One line says so, as long as there is one to go on with.
    pub fn failed(&self, now: Instant, why: &dyn fmt::Display) {
        let (before, keeper) = self.note(|of| of.failing = of.read.and(of.failing.or(Some(now))));
        if before.is_none() && !keeper.is_empty() {
            warn!(
                keeper,
                error = %why,
                "credentials cannot be read again: those at hand serve until they expire or are refused; see to who gives them"
            );
        }
    }

    /// There is none any more.
    pub fn gone(&self) {
        self.note(|of| (of.read, of.failing) = (None, None));
    }

    /// When it was last read.
    fn read_at(&self) -> Option<Instant> {
        ALL.lock().held.get(&self.0)?.read
    }

    /// Since when it had been failing, and whose it is, if it is one that was read.
    fn note(&self, note: impl FnOnce(&mut Of)) -> (Option<Instant>, &'static str) {
        let mut all = ALL.lock();
        let Some(of) = all.held.get_mut(&self.0) else { return (None, "") };
        let before = of.failing;
        note(of);
        (before, of.read.map_or("", |_| of.keeper.as_str()))
    }
}

impl Issued {
    /// What is called `what` and is in this place of the count.
    #[must_use]
    pub fn new(what: String, held: &Arc<Held>) -> Self {
        Self { what, held: Arc::downgrade(held) }
    }

    /// For people: ``a token of `https://id` ``.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// When it was issued; none before that.
    #[must_use]
    pub fn read(&self) -> Option<Instant> {
        self.held.upgrade()?.read_at()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        ALL.lock().held.remove(&self.0);
    }
}

/// What each keeper has now.
#[must_use]
pub fn ages() -> Vec<(&'static str, Ages)> {
    let (now, all) = (Instant::now(), ALL.lock());
    let of = |keeper| {
        let mut ages = Ages::default();
        for of in all.held.values().filter(|of| of.keeper == keeper) {
            // What was never read is nobody's credential yet; the trigger's own failure tells of it.
            let Some(read) = of.read else { continue };
            ages.held += 1;
            ages.failing += usize::from(of.failing.is_some());
            ages.oldest = ages.oldest.max(Some(now.saturating_duration_since(read)));
        }
        (keeper.as_str(), ages)
    };
    Keeper::ALL.map(of).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_ages_what_fails_is_told_and_what_goes_is_counted_no_more() {
        let of = |keeper: Keeper| ages().into_iter().find(|(known, _)| *known == keeper.as_str()).expect("known").1;
        // Others may be held by other tests, none of which is as old as these.
        let (long_ago, longer_ago) = (Instant::now(), Instant::now() - Duration::from_secs(3600));
        let (young, old) = (Held::by(Keeper::Store), Held::by(Keeper::Store));
        let hour = |ages: Ages| ages.oldest.is_some_and(|age| age >= Duration::from_secs(3600));
        young.read(long_ago);
        assert!(!hour(of(Keeper::Store)), "what was never read has no age");
        old.read(longer_ago);
        old.failed(Instant::now(), &"away");
        let ages = of(Keeper::Store);
        assert!(hour(ages) && ages.held >= 2 && ages.failing >= 1, "{ages:?}");
        assert!(!hour(of(Keeper::Cluster)), "keepers are apart");
        old.gone();
        assert!(!hour(of(Keeper::Store)));
        old.read(longer_ago);
        drop(old);
        assert!(!hour(of(Keeper::Store)));
    }
}
