//! Asking over HTTP: one listing of the vhost for all queues whose messages count, made by the queues themselves and
//! so fresh; one request per queue for rates, and where there is no such listing.
//!
//! Statistics are samples of some seconds ago, and a new queue has none at all. What is not said stays unknown.

mod api;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod items;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::{sync::OnceCell, time::Instant};

use self::{
    api::{Numbers, Scope},
    items::Item,
};
use crate::{
    backend::rabbitmq::{
        connection::{Login, Management},
        measure::Stats,
        question::{Found, Question, Tell, no_queue},
    },
    error::{ReadError, ReadErrorKind},
    identity::oauth::{self, Tokens},
    net::{
        Reach,
        http::{Answer, Http, Method, Request, StatusCode, Url},
    },
};

/// For one request; a trigger's own `timeout` is usually over before.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many requests to one vhost are under way at once.
const AT_ONCE: usize = 8;
/// A listing costs the broker about 50 µs for each queue of the vhost, a single request 600 µs: from here on single
/// requests are that much cheaper that freshness is not worth it. Small vhosts are always listed.
const LISTED_PER_ASKED: u64 = 50;
const SMALL_VHOST: u64 = 1000;
/// How long what was learnt of a vhost's listing is believed.
const LEARNT: Duration = Duration::from_secs(600);

/// The client of one vhost over HTTP.
pub struct ManagementClient {
    to: Management,
    http: OnceCell<Http>,
    tokens: Option<Arc<Tokens>>,
    /// Why there are no listings for now, and since when.
    unlisted: Mutex<Option<(Unlisted, Instant)>>,
    /// Since when single requests go to the statistics: this server has fresh numbers in listings only.
    sampled: Mutex<Option<Instant>>,
    /// How long the last look at totals took, in microseconds.
    took: AtomicU64,
    requests: Arc<AtomicU64>,
}

/// Why single requests are better.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unlisted {
    /// The server makes no fresh listing, or none that we can read.
    NotOffered,
    /// The vhost has so many queues.
    TooLarge(u64),
}

impl ManagementClient {
    pub fn new(to: Management, requests: Arc<AtomicU64>) -> Self {
        let tokens = match &to.login {
            Login::OAuth(oauth) => Some(Tokens::of(oauth, &to.tls, &Reach::open())),
            _ => None,
        };
        let (http, unlisted, sampled) = (OnceCell::new(), Mutex::default(), Mutex::default());
        Self { to, http, tokens, unlisted, sampled, took: AtomicU64::default(), requests }
    }

    /// How long the last look at totals took.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took.load(Ordering::Relaxed))
    }

    pub async fn look(&self, questions: Vec<Question>, tell: Tell<'_>) {
        let mut totals = Vec::new();
        let mut singly = Vec::new();
        for question in questions {
            match &question {
                Question::Queue { name, rates: false } => totals.push(Arc::clone(name)),
                _ => singly.push(question),
            }
        }
        let began = Instant::now();
        let counts = async {
            self.totals(totals, tell).await;
            self.took.store(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        tokio::join!(counts, self.each(singly, tell));
    }

    /// Messages of `queues`: by one listing where that pays.
    async fn totals(&self, queues: Vec<Arc<str>>, tell: Tell<'_>) {
        if queues.is_empty() {
            return;
        }
        let each =
            |queues: Vec<Arc<str>>| queues.into_iter().map(|name| Question::Queue { name, rates: false }).collect();
        if !self.listing_pays(queues.len()) {
            return self.each(each(queues), tell).await;
        }
        let items = match self.list().await {
            Ok(Some(items)) => items,
            Ok(None) => return self.each(each(queues), tell).await,
            Err(error) => {
                return queues.iter().for_each(|name| {
                    tell(&Question::Queue { name: Arc::clone(name), rates: false }, Err(error.clone()));
                });
            }
        };
        let by_name: HashMap<&str, &Item> = items.iter().map(|item| (item.name.as_str(), item)).collect();
        for name in queues {
            let found = match by_name.get(name.as_ref()) {
                Some(item) => Ok(Found::from([item.stats(false)])),
                None => Err(no_queue(&name, &self.to.vhost)),
            };
            tell(&Question::Queue { name, rates: false }, found);
        }
    }

    /// Each question by itself, some at once.
    async fn each(&self, questions: Vec<Question>, tell: Tell<'_>) {
        let asked = questions.into_iter().map(|question| async move {
            let found = match &question {
                Question::Queue { name, rates } => self.queue(name, *rates).await,
                Question::Pattern { pattern, page_size, rates } => self.pattern(pattern, *page_size, *rates).await,
            };
            tell(&question, found);
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    }

    async fn queue(&self, name: &str, rates: bool) -> Result<Found, ReadError> {
        let get = async |numbers| {
            let answer = self.get(&api::queue(&self.to, name, numbers), Scope::Queue(name)).await?;
            items::parse::<Item>(&answer, self.place())
        };
        if rates {
            return Ok(Found::from([get(Numbers::Rates).await?.stats(true)]));
        }
        if self.sampled.lock().is_none_or(|learnt| learnt.elapsed() > LEARNT) {
            let item = get(Numbers::Fresh).await?;
            if item.is_told() {
                return Ok(Found::from([item.stats(false)]));
            }
            *self.sampled.lock() = Some(Instant::now());
        }
        Ok(Found::from([get(Numbers::Sampled).await?.stats(false)]))
    }

    /// All pages. A queue that moves to the next page in between is counted once.
    async fn pattern(&self, pattern: &str, page_size: u16, rates: bool) -> Result<Found, ReadError> {
        let mut found: Vec<Stats> = Vec::new();
        let numbers = if rates { Numbers::Rates } else { Numbers::Fresh };
        let mut page = 1;
        loop {
            let answer = self.get(&api::page(&self.to, pattern, page_size, page, numbers), Scope::Vhost).await?;
            let items::Page { items, page_count } = items::parse(&answer, self.place())?;
            let seen: std::collections::HashSet<String> = found.iter().map(|queue| queue.name.clone()).collect();
            let fresh = items.into_iter().filter(|item| item.name.is_empty() || !seen.contains(&item.name));
            found.extend(fresh.map(|item| item.stats(rates)));
            if page >= page_count {
                return Ok(found.into());
            }
            page += 1;
        }
    }

    /// Every queue of the vhost as it is now; `None` if this server has no such answer.
    async fn list(&self) -> Result<Option<Vec<Item>>, ReadError> {
        let answer = match self.get(&api::list(&self.to), Scope::Vhost).await {
            Ok(answer) => answer,
            // Too large to read, or a server that knows single queues only.
            Err(error) if matches!(error.kind, ReadErrorKind::BadReply) => {
                self.learn(Unlisted::NotOffered);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Ok(items) = items::parse::<Vec<Item>>(&answer, self.place()) else {
            self.learn(Unlisted::NotOffered);
            return Ok(None);
        };
        // A server that does not know the question answers from its statistics, which have a history.
        if items.iter().any(Item::is_a_sample) {
            self.learn(Unlisted::NotOffered);
            return Ok(None);
        }
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if count > SMALL_VHOST {
            self.learn(Unlisted::TooLarge(count));
        }
        Ok(Some(items))
    }

    fn listing_pays(&self, asked: usize) -> bool {
        let mut unlisted = self.unlisted.lock();
        let asked = u64::try_from(asked).unwrap_or(u64::MAX);
        match *unlisted {
            Some((_, learnt)) if learnt.elapsed() > LEARNT => {
                *unlisted = None;
                true
            }
            None => true,
            Some((Unlisted::NotOffered, _)) => false,
            Some((Unlisted::TooLarge(queues), _)) => queues <= asked.saturating_mul(LISTED_PER_ASKED),
        }
    }

    fn learn(&self, unlisted: Unlisted) {
        *self.unlisted.lock() = Some((unlisted, Instant::now()));
    }

    async fn get(&self, path_and_query: &str, scope: Scope<'_>) -> Result<Answer, ReadError> {
        let http = self.http.get_or_try_init(|| Http::new(&self.to.tls, Reach::open())).await?;
        let url = format!("{}{path_and_query}", self.to.origin);
        let url: Url = url.parse().map_err(|_| api::no_url(self.place()))?;
        let request = Request::new(Method::GET, url);
        let request = match (&self.to.login, &self.tokens) {
            (_, Some(tokens)) => request.bearer_auth(tokens.get().await?.expose()).ok_or_else(oauth::not_a_token)?,
            (Login::Password { username, password }, None) => request.basic_auth(username, password.expose()),
            _ => request,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = http.send(request, PATIENCE).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        if let (StatusCode::UNAUTHORIZED, Some(tokens)) = (answer.status, &self.tokens) {
            tokens.forget();
        }
        Err(api::refused(&self.to, &answer, scope))
    }

    fn place(&self) -> &str {
        &self.to.origin
    }
}
