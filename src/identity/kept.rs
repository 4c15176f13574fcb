//! The one way to keep what an identity's service gives: fetched when first needed, by one request however many ask,
//! renewed in time beside those who use it, and never asked for more often than the floor allows.
//!
//! Not for: what is fetched, or back-off between looks, which the sampler keeps per connection.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::Shared};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::held::{Held as Mark, Issued, Keeper};
use crate::{
    clock::jittered,
    error::{ReadError, ReadErrorKind},
    limits::{self, Limit},
    task,
};

/// How long one asker waits: less than a read's deadline, so that the error says what was slow.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one fetch may take in all; it goes on without the asker.
const LONGEST: Duration = Duration::from_secs(12);
/// Renewed when a fifth of the life is left, but no earlier than this before the end: a metadata service that is asked
/// earlier gives the same again.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Not used any more when this close to the end (a tenth of the life if that is less): the request must arrive.
const UNUSED_BEFORE: Duration = Duration::from_secs(10);
/// Between two renewals that fail while the old value holds, with jitter.
const RENEW_AGAIN: Duration = Duration::from_secs(10);

/// Where values come from.
#[async_trait]
pub trait Issuer: Send + Sync + 'static {
    /// A token, say.
    type Value: Clone + Send + Sync + 'static;

    /// A new one, and for how long it holds.
    async fn issue(&self) -> Result<(Self::Value, Duration), ReadError>;

    /// How long after its beginning one that holds for `life` is to be renewed.
    fn renewed_after(&self, life: Duration) -> Duration {
        life.saturating_sub(RENEW_BEFORE.min(life / 5))
    }

    /// The error when none came within `patience`.
    fn late(&self, patience: Duration) -> ReadError;
}

/// A value of `I`'s, kept. Cheap to clone; clones share it.
pub struct Kept<I: Issuer>(Arc<Inner<I>>);

struct Inner<I: Issuer> {
    issuer: I,
    state: Mutex<State<I::Value>>,
    mark: Arc<Mark>,
}

type Fetch<V> = Shared<oneshot::Receiver<Result<V, ReadError>>>;

struct State<V: Clone> {
    held: Option<Held<V>>,
    /// Why the last fetch failed.
    failure: Option<ReadError>,
    /// The fetch that is under way.
    fetch: Option<Fetch<V>>,
    /// When all turns that were taken have been earned again.
    paid_at: Instant,
}

struct Held<V> {
    value: V,
    /// Until then it is good for something that lasts as long as it does.
    fresh_until: Instant,
    renew_at: Instant,
    unused_from: Instant,
}

impl<I: Issuer> Kept<I> {
    /// Fetches nothing yet.
    #[must_use]
    pub fn new(issuer: I) -> Self {
        let state = State { held: None, failure: None, fetch: None, paid_at: Instant::now() };
        Self(Arc::new(Inner { issuer, state: Mutex::new(state), mark: Arc::new(Mark::by(Keeper::Identity)) }))
    }

    /// A value that is good for a while yet: mostly the one at hand, for as long as it holds.
    pub async fn get(&self) -> Result<I::Value, ReadError> {
        match self.at_hand() {
            Some((value, due)) => {
                if due {
                    self.begin();
                }
                Ok(value)
            }
            None => self.fetched().await,
        }
    }

    /// A value at the beginning of its life, for a session that lasts as long as it does. Where there is none to be had,
    /// the one at hand.
    pub async fn fresh(&self) -> Result<I::Value, ReadError> {
        let is_fresh = self.0.state.lock().held.as_ref().is_some_and(|held| Instant::now() < held.fresh_until);
        match self.at_hand() {
            Some((value, false)) if is_fresh => Ok(value),
            Some((value, _)) => Ok(self.fetched().await.unwrap_or(value)),
            None => self.fetched().await,
        }
    }

    /// What may still be shown, and whether it is due for renewal.
    fn at_hand(&self) -> Option<(I::Value, bool)> {
        let (now, state) = (Instant::now(), self.0.state.lock());
        let held = state.held.as_ref().filter(|held| now < held.unused_from)?;
        Some((held.value.clone(), now >= held.renew_at))
    }

    /// What it is and how old, for people.
    #[must_use]
    pub fn issued(&self, what: String) -> Issued {
        Issued::new(what, &self.0.mark)
    }

    /// Whoever was shown the value refuses it: the next asker gets another, within the floor.
    pub fn forget(&self) {
        let mut state = self.0.state.lock();
        if let Some(held) = &mut state.held {
            let now = Instant::now();
            (held.fresh_until, held.renew_at, held.unused_from) = (now, now, now);
        }
    }

    async fn fetched(&self) -> Result<I::Value, ReadError> {
        let fetch = match self.begin() {
            Begun::Fetch(fetch) => fetch,
            Begun::TooSoon(last) => return last,
        };
        match timeout(PATIENCE, fetch).await {
            Ok(Ok(fetched)) => fetched,
            // It ended without a word.
            Ok(Err(_)) => {
                self.0.state.lock().fetch = None;
                Err(ReadError::new(ReadErrorKind::Internal, "a fetch of credentials ended early: see the log"))
            }
            Err(_) => Err(self.0.issuer.late(PATIENCE)),
        }
    }

    /// Joins the fetch that is under way, or begins one if its turn has come.
    fn begin(&self) -> Begun<I::Value> {
        let (now, inner) = (Instant::now(), &self.0);
        let mut state = inner.state.lock();
        if let Some(fetch) = &state.fetch {
            return Begun::Fetch(fetch.clone());
        }
        if let Some(last) = state.last().filter(|_| state.paid_at > now + limits::RENEWAL_FLOOR * limits::RENEWALS) {
            Limit::Identity.crossed();
            return Begun::TooSoon(last);
        }
        state.paid_at = state.paid_at.max(now) + limits::RENEWAL_FLOOR;
        if let Some(held) = &mut state.held {
            // If this one fails, the next is not tried at once.
            held.renew_at = held.renew_at.max(now + jittered(RENEW_AGAIN, 0.75..1.25));
        }
        let (reply, fetched) = oneshot::channel();
        let fetch = fetched.shared();
        state.fetch = Some(fetch.clone());
        drop(state);
        let inner = Arc::clone(inner);
        task::detach(async move {
            let issued = timeout(LONGEST, inner.issuer.issue()).await;
            let issued = issued.unwrap_or_else(|_| Err(inner.issuer.late(LONGEST)));
            let mut state = inner.state.lock();
            state.fetch = None;
            let fetched = match issued {
                Ok((value, life)) => {
                    state.failure = None;
                    inner.mark.read(Instant::now());
                    let life = life.clamp(limits::SHORTEST_LIFE, limits::LONGEST_LIFE);
                    let renewed_after = inner.issuer.renewed_after(life);
                    state.held = Some(Held::new(value.clone(), life, renewed_after, Instant::now()));
                    Ok(value)
                }
                Err(failure) => {
                    state.failure = Some(failure.clone());
                    inner.mark.failed(Instant::now(), &failure);
                    Err(failure)
                }
            };
            drop(state);
            reply.send(fetched).ok();
        });
        Begun::Fetch(fetch)
    }
}

enum Begun<V: Clone> {
    Fetch(Fetch<V>),
    /// What the last fetch came to.
    TooSoon(Result<V, ReadError>),
}

impl<V: Clone> State<V> {
    fn last(&self) -> Option<Result<V, ReadError>> {
        self.failure.clone().map(Err).or_else(|| self.held.as_ref().map(|held| Ok(held.value.clone())))
    }
}

impl<V> Held<V> {
    fn new(value: V, life: Duration, renewed_after: Duration, now: Instant) -> Self {
        let (fresh_until, renew_at) = (now + life * 2 / 3, now + renewed_after);
        let unused_from = now + life.saturating_sub(UNUSED_BEFORE.min(life / 10));
        Self { value, fresh_until, renew_at, unused_from }
    }
}

impl<I: Issuer> Clone for Kept<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Issuer> std::ops::Deref for Kept<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.0.issuer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;
    use crate::identity::held;

    /// Gives 1, 2, 3, … each of `life`, after `takes`; while `fails`, an error.
    #[derive(Default)]
    struct Mint {
        life: Mutex<Duration>,
        takes: Duration,
        fails: Mutex<bool>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Issuer for Mint {
        type Value = usize;

        async fn issue(&self) -> Result<(usize, Duration), ReadError> {
            sleep(self.takes).await;
            let count = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            if *self.fails.lock() {
                return Err(ReadError::new(ReadErrorKind::Unreachable, "away"));
            }
            Ok((count, *self.life.lock()))
        }

        fn late(&self, _: Duration) -> ReadError {
            ReadError::new(ReadErrorKind::Timeout, "late")
        }
    }

    fn kept(life: Duration) -> Kept<Mint> {
        Kept::new(Mint { life: Mutex::new(life), ..Mint::default() })
    }

    fn asked(kept: &Kept<Mint>) -> usize {
        kept.asked.load(Ordering::Relaxed)
    }

    /// Asks each 10 ms for `time`, as a busy server does.
    async fn ask_for(kept: &Kept<Mint>, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            kept.get().await.ok();
            advance(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_lives_a_millisecond_costs_no_more_than_a_request_a_second() {
        for life in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(900)] {
            let kept = kept(life);
            ask_for(&kept, Duration::from_secs(6)).await;
            assert!(asked(&kept) <= 6, "{} requests", asked(&kept));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_fails_and_a_server_that_refuses_every_token_do_not_make_it_a_loop() {
        let failing = kept(Duration::from_secs(3600));
        *failing.fails.lock() = true;
        ask_for(&failing, Duration::from_secs(6)).await;
        assert!(asked(&failing) <= 10, "{} requests", asked(&failing));
        *failing.fails.lock() = false;
        advance(limits::RENEWAL_FLOOR).await;
        assert!(failing.get().await.is_ok(), "and it is well again as soon as the endpoint is");

        let refused = kept(Duration::from_secs(3600));
        for _ in 0..600 {
            refused.get().await.expect("a token");
            refused.forget();
            advance(Duration::from_millis(10)).await;
        }
        assert!(asked(&refused) <= 10, "{} requests", asked(&refused));
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_one_fetch_answers_and_nobody_waits_longer_than_the_patience() {
        let slow = Kept::new(Mint {
            life: Mutex::new(Duration::from_secs(3600)),
            takes: PATIENCE - Duration::from_secs(1),
            ..Mint::default()
        });
        assert!(join_all((0..100).map(|_| slow.get())).await.into_iter().all(|got| got == Ok(1)));
        let deaf = Kept::new(Mint { takes: Duration::from_secs(3600), ..Mint::default() });
        let began = Instant::now();
        let error = deaf.get().await.expect_err("late");
        assert_eq!((error.kind, began.elapsed()), (ReadErrorKind::Timeout, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_beside_its_users_and_outlives_an_endpoint_that_is_away() {
        let kept = kept(Duration::from_secs(1000));
        assert_eq!(kept.get().await, Ok(1));
        advance(Duration::from_secs(810)).await;
        *kept.fails.lock() = true;
        ask_for(&kept, Duration::from_secs(60)).await;
        assert_eq!(kept.get().await, Ok(1), "the old one serves");
        let identity = held::ages().into_iter().find(|(keeper, _)| *keeper == "identity").expect("known").1;
        assert!(identity.failing >= 1 && identity.oldest >= Some(Duration::from_secs(870)), "{identity:?}");
        assert!((6..=10).contains(&asked(&kept)), "{} requests", asked(&kept));
        *kept.fails.lock() = false;
        ask_for(&kept, Duration::from_secs(20)).await;
        assert!(kept.get().await.expect("a value") > 1);
        kept.forget();
        let before = asked(&kept);
        assert_eq!(kept.get().await, Ok(before + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_begins_with_a_fresh_one_and_with_the_one_at_hand_if_there_is_none() {
        let kept = kept(Duration::from_secs(10));
        assert_eq!(kept.fresh().await, Ok(1));
        advance(Duration::from_millis(8500)).await;
        assert_eq!(kept.fresh().await, Ok(2));
        advance(Duration::from_millis(8500)).await;
        *kept.fails.lock() = true;
        assert_eq!(kept.fresh().await, Ok(2));
    }
}
