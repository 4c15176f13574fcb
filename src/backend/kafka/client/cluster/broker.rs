//! One broker's address and the link to it: opened when somebody needs it, and not too often when it fails.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::{dial::Dialer, wire::link::Link};
use crate::{clock::jittered, error::ReadError};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short, since nobody dials unless a read needs this broker: one that comes back should be found within a read.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An address that we may have a link to.
pub struct Broker {
    pub address: Arc<str>,
    advertised: bool,
    state: Mutex<State>,
    /// One dial at a time; all who need the link wait for the same one.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// In a row: dials that failed and links that died before they were of any use.
    failures: u32,
    resting: Option<(Instant, ReadError)>,
}

/// How promising it is to ask this broker, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    Connected,
    Untried,
    Slow,
    Resting,
}

impl Broker {
    pub fn new(address: Arc<str>, advertised: bool) -> Self {
        Self { address, advertised, state: Mutex::default(), dialing: tokio::sync::Mutex::default() }
    }

    /// A live link: the one there is, or a new one. While the broker rests after a failure, that failure at once.
    pub async fn link(&self, dialer: &Dialer) -> Result<Arc<Link>, ReadError> {
        if let Some(known) = self.known() {
            return known;
        }
        let _dialing = self.dialing.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let dialed = dialer.dial(&self.address, self.advertised).await;
        let mut state = self.state.lock();
        match dialed {
            Ok(link) => {
                state.resting = None;
                state.link = Some(Arc::clone(&link));
                Ok(link)
            }
            Err(error) => {
                state.rest(error.clone());
                Err(error)
            }
        }
    }

    pub fn fitness(&self) -> Fitness {
        let mut state = self.state.lock();
        state.bury();
        match (&state.link, &state.resting) {
            (Some(link), _) if link.is_slow() => Fitness::Slow,
            (Some(_), _) => Fitness::Connected,
            (None, Some((until, _))) if *until > Instant::now() => Fitness::Resting,
            (None, _) => Fitness::Untried,
        }
    }

    fn known(&self) -> Option<Result<Arc<Link>, ReadError>> {
        let mut state = self.state.lock();
        state.bury();
        if let Some(link) = &state.link {
            return Some(Ok(Arc::clone(link)));
        }
        state.resting.as_ref().filter(|(until, _)| *until > Instant::now()).map(|(_, error)| Err(error.clone()))
    }
}

impl State {
    /// Takes leave of a dead link. One that was of use may have been closed for idleness: no reason to rest.
    fn bury(&mut self) {
        let Some(link) = self.link.take_if(|link| link.is_dead()) else { return };
        match link.obituary() {
            Some(error) if !link.has_worked() => self.rest(error),
            _ => self.failures = 0,
        }
    }

    fn rest(&mut self, error: ReadError) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.resting = Some((Instant::now() + jittered(pause, 0.5..1.0), error));
    }
}
