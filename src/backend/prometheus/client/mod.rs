//! The live handle on a server: asks queries, each one once however many triggers ask it at about the same time, and
//! not too many at once.

mod credentials;
mod request;

#[cfg(test)]
pub(super) use request::build as request_as_sent;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::{OnceCell, Semaphore},
    time::timeout,
};

use self::credentials::Credentials;
use super::{
    answer::{self, Found},
    connection::Connection,
};
use crate::{
    backend::{
        Account,
        batch::{Ask, Batcher},
    },
    error::{ReadError, ReadErrorKind, give_login},
    metadata::Secret,
    net::http::{Answer, Http, Method, StatusCode},
};

/// How long a question waits for equal ones. A thousand triggers of one tick take some milliseconds to ask, and no
/// answer is fresher than its scrape.
const WINDOW: Duration = Duration::from_millis(20);
/// Queries of one connection at a time. Prometheus runs 20 at once by default, for everybody.
const AT_ONCE: usize = 16;

/// A query as it is asked. Equal questions are one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// PromQL.
    pub query: String,
    /// More parameters, in the order of sending.
    pub parameters: Vec<(String, Secret)>,
    /// How long the server may take.
    pub timeout: Duration,
}

/// Connects when first asked.
pub struct Client {
    batcher: Batcher<Arc<Question>, Found>,
    place: String,
}

/// What a batch works with.
struct Core {
    connection: Connection,
    place: String,
    slots: Semaphore,
    /// On which queries and handshakes are noted.
    account: Account,
    /// Made by the first question: it reads files.
    parts: OnceCell<(Http, Credentials)>,
}

impl Client {
    /// What it sends is on `account`. Must be called inside a runtime.
    #[must_use]
    pub fn new(connection: Connection, account: Account) -> Self {
        let place = connection.place();
        let slots = Semaphore::new(AT_ONCE);
        let core = Arc::new(Core { connection, place: place.clone(), slots, account, parts: OnceCell::new() });
        let batcher = Batcher::new(WINDOW, move |batch| Arc::clone(&core).answer(batch));
        Self { batcher, place }
    }

    /// What the query gives now.
    pub async fn ask(&self, question: Arc<Question>) -> Result<Found, ReadError> {
        self.batcher.ask(question).await
    }
}

impl Core {
    async fn answer(self: Arc<Self>, batch: Vec<Ask<Arc<Question>, Found>>) {
        let mut askers: HashMap<_, Vec<_>> = HashMap::new();
        for ask in batch {
            askers.entry(Arc::clone(&ask.question)).or_default().push(ask);
        }
        join_all(askers.into_iter().map(|(question, mut askers)| async {
            // A look that nobody waits for any more gives its slot to the next.
            let found = tokio::select! {
                found = self.look(question) => found,
                _ = join_all(askers.iter_mut().map(Ask::gone)) => return,
            };
            for asker in askers {
                asker.answer(found.clone());
            }
        }))
        .await;
    }

    async fn look(&self, question: Arc<Question>) -> Result<Found, ReadError> {
        let busy = || {
            let text = format!(
                "{} was busy with other queries of ours for {:?}: make them cheaper, or raise `timeout`",
                self.place, question.timeout
            );
            ReadError::new(ReadErrorKind::Timeout, text).of_source()
        };
        let slot = timeout(question.timeout, self.slots.acquire()).await.map_err(|_| busy())?;
        let answer = self.fetch(&question).await?;
        drop(slot);
        if answer.status == StatusCode::UNAUTHORIZED && self.connection.is_anonymous() {
            let login = give_login(&["authModes", "bearerToken"]);
            let text = format!("{} wants a login, answering {}: {login}", self.place, answer.status);
            return Err(ReadError::new(ReadErrorKind::Denied, text).of_connection());
        }
        answer::read(&self.place, &answer)
    }

    async fn fetch(&self, question: &Question) -> Result<Answer, ReadError> {
        let (http, credentials) = self.parts.get_or_try_init(|| self.parts()).await?;
        let answer = self.send(http, credentials, Method::GET, question).await?;
        // Some proxies take no long URL, where POST has room.
        let answer = if answer.status == StatusCode::URI_TOO_LONG {
            self.send(http, credentials, Method::POST, question).await?
        } else {
            answer
        };
        credentials.look(&answer);
        Ok(answer)
    }

    async fn send(
        &self,
        http: &Http,
        credentials: &Credentials,
        method: Method,
        question: &Question,
    ) -> Result<Answer, ReadError> {
        let mut request = request::build(&self.connection, method, question)?;
        credentials.add(&mut request).await?;
        self.account.sent(1);
        http.send(request, question.timeout).await
    }

    async fn parts(&self) -> Result<(Http, Credentials), ReadError> {
        let Connection { tls, reach, .. } = &self.connection;
        let http = Http::noting(self.account.peers(), tls, reach.clone()).await?;
        let credentials = Credentials::new(&self.connection);
        credentials.issued().into_iter().for_each(|issued| self.account.shows(issued));
        Ok((http, credentials))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.place)
    }
}
