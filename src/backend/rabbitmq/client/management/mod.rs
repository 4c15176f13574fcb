//! Asking over HTTP: one listing of the vhost for all queues whose messages count, made by the queues themselves and
//! so fresh; one request per queue for rates, and where there is no such listing.
//!
//! Statistics are samples of some seconds ago, and a new queue has none at all. What is not said stays unknown.

mod api;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod items;

use std::{
    collections::{HashMap, HashSet},
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
    backend::{
        Account,
        rabbitmq::{
            connection::{Login, Management},
            measure::Stats,
            question::{Askers, Found, Question, no_queue},
        },
    },
    error::{ReadError, ReadErrorKind},
    identity::{azure, oauth},
    limits::{self, Limit},
    metadata::Secret,
    net::{
        ReplyBytes,
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
    tokens: Tokens,
    /// Why there are no listings for now, and since when.
    unlisted: Mutex<Option<(Unlisted, Instant)>>,
    /// Since when single requests go to the statistics: this server has fresh numbers in listings only.
    sampled: Mutex<Option<Instant>>,
    /// How long the last look at totals took, in microseconds.
    took: AtomicU64,
    /// On which requests and handshakes are noted.
    account: Account,
}

/// Where bearer tokens come from, if the login is by one.
enum Tokens {
    None,
    OAuth(Arc<oauth::Tokens>),
    Azure(Arc<azure::Tokens>),
}

impl Tokens {
    async fn get(&self) -> Result<Option<Secret>, ReadError> {
        match self {
            Self::None => Ok(None),
            Self::OAuth(tokens) => tokens.get().await.map(Some),
            Self::Azure(tokens) => tokens.get().await.map(Some),
        }
    }

    /// The server refuses the token at hand.
    fn forget(&self) {
        match self {
            Self::None => {}
            Self::OAuth(tokens) => tokens.forget(),
            Self::Azure(tokens) => tokens.forget(),
        }
    }
}

/// Why single requests are better.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unlisted {
    /// The server makes no fresh listing.
    NotOffered,
    /// The vhost has so many queues.
    TooLarge(u64),
}

impl ManagementClient {
    pub fn new(to: Management, account: Account) -> Self {
        let tokens = match &to.login {
            Login::OAuth(oauth) => Tokens::OAuth(oauth::Tokens::of(oauth, &to.tls, &to.reach)),
            Login::Azure(azure) => Tokens::Azure(azure::Tokens::of(azure)),
            _ => Tokens::None,
        };
        match &tokens {
            Tokens::None => {}
            Tokens::OAuth(tokens) => account.shows(tokens.issued()),
            Tokens::Azure(tokens) => account.shows(tokens.issued()),
        }
        let (http, unlisted, sampled) = (OnceCell::new(), Mutex::default(), Mutex::default());
        Self { to, http, tokens, unlisted, sampled, took: AtomicU64::default(), account }
    }

    /// How long the last look at totals took.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took.load(Ordering::Relaxed))
    }

    pub async fn look(&self, questions: Vec<Question>, askers: &dyn Askers) {
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
            self.totals(totals, askers).await;
            self.took.store(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        tokio::join!(counts, self.each(singly, askers));
    }

    /// Messages of `queues`: by one listing where that pays.
    async fn totals(&self, queues: Vec<Arc<str>>, askers: &dyn Askers) {
        if queues.is_empty() {
            return;
        }
        let each =
            |queues: Vec<Arc<str>>| queues.into_iter().map(|name| Question::Queue { name, rates: false }).collect();
        if !self.listing_pays(queues.len()) {
            return self.each(each(queues), askers).await;
        }
        let items = match self.list().await {
            Ok(Some(items)) => items,
            Ok(None) => return self.each(each(queues), askers).await,
            Err(error) => {
                return queues.iter().for_each(|name| {
                    askers.tell(&Question::Queue { name: Arc::clone(name), rates: false }, Err(error.clone()));
                });
            }
        };
        let by_name: HashMap<&str, &Item> =
            items.iter().filter_map(|item| item.name.as_deref().map(|name| (name, item))).collect();
        // Of streams a listing says no more than that they are there.
        let mut untold = Vec::new();
        for name in queues {
            let found = match by_name.get(name.as_ref()) {
                Some(item) if item.is_told() => Ok(Found::from([item.stats(&name, false)])),
                Some(_) => {
                    untold.push(name);
                    continue;
                }
                None => Err(no_queue(&name, &self.to.vhost)),
            };
            askers.tell(&Question::Queue { name, rates: false }, found);
        }
        drop(by_name);
        drop(items);
        let asked = untold.into_iter().map(|name| async move {
            let found = self.single(&name, Numbers::Sampled).await.map(|item| Found::from([item.stats(&name, false)]));
            askers.tell(&Question::Queue { name, rates: false }, found);
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    }

    /// Each question by itself, some at once. What nobody waits for any more is not asked.
    async fn each(&self, questions: Vec<Question>, askers: &dyn Askers) {
        let asked = questions.into_iter().map(|question| async move {
            if !askers.wait_for(&question) {
                return;
            }
            let found = match &question {
                Question::Queue { name, rates } => self.queue(name, *rates).await,
                Question::Pattern { .. } => self.pattern(&question, askers).await,
            };
            askers.tell(&question, found);
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    }

    async fn queue(&self, name: &str, rates: bool) -> Result<Found, ReadError> {
        if rates {
            return Ok(Found::from([self.single(name, Numbers::Rates).await?.stats(name, true)]));
        }
        if self.sampled.lock().is_some_and(|learnt| learnt.elapsed() < LEARNT) {
            return Ok(Found::from([self.single(name, Numbers::Sampled).await?.stats(name, false)]));
        }
        let fresh = self.single(name, Numbers::Fresh).await?;
        if fresh.is_told() {
            return Ok(Found::from([fresh.stats(name, false)]));
        }
        let sample = self.single(name, Numbers::Sampled).await?;
        if sample.is_told() {
            *self.sampled.lock() = Some(Instant::now());
        }
        Ok(Found::from([sample.stats(name, false)]))
    }

    /// One queue, which must be the one that was asked for.
    async fn single(&self, name: &str, numbers: Numbers) -> Result<Item, ReadError> {
        let answer = self.get(&api::queue(&self.to, name, numbers), Scope::Queue(name)).await?;
        let what = format!("queue `{name}`");
        let item: Item = items::parse(&answer, self.place(), &what)?;
        let is_it = item.name.as_deref().map_or(item.is_told(), |told| told == name);
        if is_it { Ok(item) } else { Err(items::something_else(self.place(), &what)) }
    }

    /// All pages, as long as somebody waits. A queue that moves to the next page in between is counted once.
    async fn pattern(&self, question: &Question, askers: &dyn Askers) -> Result<Found, ReadError> {
        let Question::Pattern { pattern, page_size, rates } = question else { return Ok(Found::default()) };
        let (mut found, mut seen) = (Vec::<Stats>::new(), HashSet::new());
        let mut held = ReplyBytes::default();
        for page in 1..=limits::HTTP_PAGES {
            if !askers.wait_for(question) {
                return Err(api::too_late(self.place()));
            }
            let numbers = if *rates { Numbers::Rates } else { Numbers::Fresh };
            let (items, page_count) = self.page(pattern, *page_size, page, numbers, &mut held).await?;
            if page_count > limits::HTTP_PAGES {
                break;
            }
            let before = found.len();
            let new = items.iter().filter(|(name, _)| !seen.contains(name));
            found.extend(new.map(|(name, item)| item.stats(name, *rates)));
            seen.extend(found.iter().skip(before).map(|queue| queue.name.clone()));
            if page >= page_count {
                return Ok(found.into());
            }
        }
        Limit::Reply.crossed();
        Err(api::too_many_pages(self.place(), pattern))
    }

    /// One page of queues with their names, and how many pages there are. What the light answer leaves out (of streams
    /// it says no more than that they are there) is taken from the full one.
    async fn page(
        &self,
        pattern: &str,
        page_size: u16,
        page: u32,
        numbers: Numbers,
        held: &mut ReplyBytes,
    ) -> Result<(Vec<(String, Item)>, u32), ReadError> {
        let mut ask = async |numbers| {
            let answer = self.get(&api::page(&self.to, pattern, page_size, page, numbers), Scope::Vhost).await?;
            held.grow(answer.body.len())?;
            let items::Page { items, page_count } = items::parse(&answer, self.place(), "queues")?;
            let unnamed = || items::something_else(self.place(), "queues");
            let named = |mut item: Item| item.name.take().map(|name| (name, item)).ok_or_else(unnamed);
            let items: Vec<_> = items.0.into_iter().map(named).collect::<Result<_, ReadError>>()?;
            Ok::<_, ReadError>((items, page_count))
        };
        let (mut items, page_count) = ask(numbers).await?;
        if matches!(numbers, Numbers::Fresh) && items.iter().any(|(_, item)| !item.is_told()) {
            let mut full: HashMap<String, Item> = ask(Numbers::Sampled).await?.0.into_iter().collect();
            for (name, item) in items.iter_mut().filter(|(_, item)| !item.is_told()) {
                *item = full.remove(name).unwrap_or_default();
            }
        }
        Ok((items, page_count))
    }

    /// Every queue of the vhost as it is now; `None` if this server has no such answer, which only an answer can say
    /// that is a listing: an error, a foreign page or half an answer says nothing of the next one.
    async fn list(&self) -> Result<Option<Vec<Item>>, ReadError> {
        let answer = match self.send(&api::list(&self.to)).await {
            Ok(answer) => answer,
            // Larger than may be.
            Err(error) if error.kind == ReadErrorKind::BadReply => {
                self.learn(Unlisted::TooLarge(u64::MAX));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let answer = self.expect_ok(answer, Scope::Vhost)?;
        let items::Items(items) = items::parse(&answer, self.place(), "queues")?;
        if items.iter().any(|item| item.name.is_none()) {
            return Err(items::something_else(self.place(), "queues"));
        }
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
        let answer = self.send(path_and_query).await?;
        self.expect_ok(answer, scope)
    }

    async fn send(&self, path_and_query: &str) -> Result<Answer, ReadError> {
        let Management { tls, reach, .. } = &self.to;
        let made = || Http::noting(self.account.peers(), tls, reach.clone());
        let http = self.http.get_or_try_init(made).await?;
        let url = format!("{}{path_and_query}", self.to.origin);
        let url: Url = url.parse().map_err(|_| api::no_url(self.place()))?;
        let request = Request::new(Method::GET, url);
        let request = match (self.tokens.get().await?, &self.to.login) {
            (Some(token), _) => request.bearer_auth(token.expose()).ok_or_else(oauth::not_a_token)?,
            (None, Login::Password { username, password }) => request.basic_auth(username, password.expose()),
            (None, _) => request,
        };
        self.account.sent(1);
        http.send(request, PATIENCE).await
    }

    fn expect_ok(&self, answer: Answer, scope: Scope<'_>) -> Result<Answer, ReadError> {
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            self.tokens.forget();
        }
        Err(api::refused(&self.to, &answer, scope))
    }

    fn place(&self) -> &str {
        &self.to.origin
    }
}
