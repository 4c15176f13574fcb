//! A source whose login comes from elsewhere than its metadata, and changes with time.
//!
//! Before each look it asks for the login that is good now. Where that is another, the source is made anew: the new one is
//! read first, and the old one goes when that has worked; while the new one fails and the old one works, the old one stays.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Parsed, Plain};
use crate::{
    backend::{ConnectionId, Registry, Source},
    credentials::Binding,
    error::{ReadError, ReadErrorKind, SpecError},
    metadata::{Login, Metadata},
    net::Reach,
    reading::{Metric, Parts, Reading},
};

/// How long a new login that fails is left alone while the old one works.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// See the head of this file.
pub(super) struct Bound {
    registry: Registry,
    metadata: Arc<Metadata>,
    reach: Reach,
    default_interval: Duration,
    binding: Binding,
    metric: Metric,
    /// Until a login is known.
    nowhere: ConnectionId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is read.
    current: Option<Made>,
    /// What is to be read in its place.
    next: Option<Made>,
    /// The login that did not do, why, and when it is tried again.
    failed: Option<(Login, ReadError, Instant)>,
}

/// A source, and the login that it was made with.
#[derive(Clone)]
struct Made {
    login: Login,
    source: Arc<dyn Source>,
    warnings: Arc<[String]>,
}

impl Bound {
    /// Makes the source at once where the login is at hand, so that what is wrong with it is said at once.
    pub(super) fn new(
        plain: Plain<'_>,
        metadata: &Arc<Metadata>,
        binding: Binding,
        metric: Metric,
    ) -> Result<Self, SpecError> {
        let nowhere = ConnectionId::new(&(&binding, metadata, plain.reach), "a login that is not known yet", None);
        let bound = Self {
            registry: plain.registry.clone(),
            metadata: Arc::clone(metadata),
            reach: plain.reach.clone(),
            default_interval: plain.default_interval,
            binding,
            metric,
            nowhere,
            state: Mutex::default(),
        };
        if let Some(login) = bound.binding.at_hand() {
            bound.state.lock().next = Some(bound.make(login)?);
        }
        Ok(bound)
    }

    /// What nobody understands in the metadata, and what is amiss with a new login while an old one serves.
    pub(super) fn warnings(&self) -> Vec<String> {
        let state = self.state.lock();
        let understood = state.current.as_ref().or(state.next.as_ref()).map(|made| made.warnings.to_vec());
        let failed = state.failed.as_ref().map(|(_, error, _)| format!("a changed login is not in use: {error}"));
        understood.unwrap_or_default().into_iter().chain(failed).chain(self.binding.away()).collect()
    }

    fn make(&self, login: Login) -> Result<Made, SpecError> {
        let (registry, metadata, reach) = (&self.registry, &self.metadata, &self.reach);
        let plain = Plain { registry, metadata, reach, default_interval: self.default_interval };
        let Parsed { source, warnings, .. } = plain.read(&login)?;
        Ok(Made { login, source, warnings: warnings.into() })
    }

    /// Sees to it that what is read next has the login that is good now. Its errors are those of the login.
    pub(super) async fn prepare(&self) -> Result<(), ReadError> {
        let login = self.binding.login().await.map_err(ReadError::of_source)?;
        {
            let mut state = self.state.lock();
            let newest = state.next.as_ref().or(state.current.as_ref());
            if newest.is_some_and(|made| made.login == login) {
                return Ok(());
            }
            let now = Instant::now();
            if state.failed.as_ref().is_some_and(|(failed, _, until)| *failed == login && now < *until)
                && state.current.is_some()
            {
                return Ok(());
            }
            state.next = None;
        }
        let made = self.make(login.clone()).map_err(invalid);
        let mut state = self.state.lock();
        match made {
            // The same place with the same login: nothing is opened.
            Ok(made)
                if state.current.as_ref().is_some_and(|old| old.source.connection() == made.source.connection()) =>
            {
                (state.current, state.failed) = (Some(made), None);
            }
            Ok(made) => state.next = Some(made),
            Err(error) if state.current.is_some() => self.keep(&mut state, login, error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The old login stays, and the log says so once.
    fn keep(&self, state: &mut State, login: Login, error: ReadError) {
        if state.failed.as_ref().is_none_or(|(_, known, _)| *known != error) {
            let metric = &self.metric.name;
            warn!(metric, kind = %error.kind, %error, "a changed login does not work, and the former one stays in use until it is refused, too: correct it");
        }
        (state.next, state.failed) = (None, Some((login, error, Instant::now() + TRY_AGAIN)));
    }

    /// The new one works, and the old one goes.
    fn switch(&self, made: Made) {
        let mut state = self.state.lock();
        if state.current.is_some() {
            info!(
                metric = self.metric.name,
                connection = made.source.connection().label(),
                "a changed login is in use"
            );
        }
        (state.current, state.next, state.failed) = (Some(made), None, None);
    }

    /// Reads with a login that has come meanwhile, if there is one.
    async fn read_with_another(&self, made: &Made, error: ReadError) -> Result<Reading, ReadError> {
        if error.kind != ReadErrorKind::Denied {
            return Err(error);
        }
        let Some(login) = self.binding.refused(&made.login).await else { return Err(error) };
        let made = self.make(login).map_err(invalid)?;
        let reading = made.source.read().await;
        if reading.is_ok() {
            self.switch(made);
        }
        reading
    }
}

#[async_trait]
impl Source for Bound {
    fn metric(&self) -> &Metric {
        &self.metric
    }

    fn connection(&self) -> ConnectionId {
        let state = self.state.lock();
        let made = state.next.as_ref().or(state.current.as_ref());
        made.map_or_else(|| self.nowhere.clone(), |made| made.source.connection())
    }

    fn describe(&self) -> String {
        let state = self.state.lock();
        let made = state.current.as_ref().or(state.next.as_ref());
        made.map_or_else(|| format!("the source of metric `{}`", self.metric.name), |made| made.source.describe())
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        let (current, next) = {
            let state = self.state.lock();
            (state.current.clone(), state.next.clone())
        };
        let (newest, former, is_new) = match (next, current) {
            (Some(next), former) => (next, former, true),
            (None, Some(current)) => (current, None, false),
            (None, None) => {
                return Err(ReadError::new(ReadErrorKind::Internal, "a source was read before it had a login"));
            }
        };
        let error = match newest.source.read().await {
            Ok(reading) => {
                if is_new {
                    self.switch(newest);
                }
                return Ok(reading);
            }
            Err(error) => error,
        };
        let Some(former) = former else { return self.read_with_another(&newest, error).await };
        match former.source.read().await {
            Ok(reading) => {
                self.keep(&mut self.state.lock(), newest.login, error);
                Ok(reading)
            }
            Err(_) => Err(error),
        }
    }

    fn parts(&self) -> Option<Parts> {
        let made = self.state.lock().current.clone()?;
        made.source.parts()
    }

    fn deadline(&self) -> Option<Duration> {
        let state = self.state.lock();
        state.current.as_ref().or(state.next.as_ref()).and_then(|made| made.source.deadline())
    }

    async fn wake(&self) {
        let current = self.state.lock().current.clone();
        match current {
            Some(made) => made.source.wake().await,
            // Asked again after each look, and the first one that works makes it.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("binding", &self.binding).field("metric", &self.metric).finish_non_exhaustive()
    }
}

/// What is wrong with a trigger that has this login.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn invalid(error: SpecError) -> ReadError {
    ReadError::new(ReadErrorKind::Invalid, error.to_string())
}
