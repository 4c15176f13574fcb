//! One connection to SQS: many triggers' questions of a moment become one request per queue.
//!
//! Absent on purpose: any call that touches a message.

mod budget;
mod explain;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod requests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use aws_sdk_sqs::{operation::get_queue_attributes::GetQueueAttributesOutput, types::QueueAttributeName};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::{
    sync::{OnceCell, Semaphore, SemaphorePermit},
    time::timeout,
};

pub use self::budget::{Budget, Budgets};
#[cfg(test)]
pub(super) use self::explain::hinted;
use self::requests::Counted;
use super::{address::Address, connection::Connection, count::Attribute};
use crate::{
    backend::{
        Account,
        batch::{Ask, Batcher},
    },
    error::{ReadError, ReadErrorKind},
    identity::aws::Identity,
    limits,
    net::{http::Http, tls::Tls},
};

/// Questions within it become one request. SQS's counts are seconds old anyway.
const WINDOW: Duration = Duration::from_millis(50);
/// Requests at a time: without a bound each would open a connection of its own.
const AT_ONCE: usize = 32;
/// For one look, waiting for its turn included: less than the sampler's deadline, so that the error says more.
pub(super) const LOOK: Duration = Duration::from_millis(4500);

/// Which attributes of which queue.
#[derive(Debug, Clone)]
pub struct Question {
    /// The queue.
    pub queue: Arc<Address>,
    /// What of it.
    pub attributes: Vec<Attribute>,
    /// What the request is counted against.
    pub budget: Arc<Budget>,
}

/// What SQS said, as it said it; it may hold more than was asked for.
pub type Answer = Arc<BTreeMap<Attribute, String>>;

/// The live handle on a connection.
#[derive(Debug)]
pub struct Client(Batcher<Question, Answer>);

impl Client {
    /// Starts no request.
    #[must_use]
    pub fn new(connection: Connection, account: Account) -> Self {
        let identity = Identity::of(&connection.credentials, &connection.region);
        identity.issued().into_iter().for_each(|issued| account.shows(issued));
        let link = Arc::new(Link {
            connection,
            identity,
            account,
            sdk: OnceCell::new(),
            turns: Semaphore::new(AT_ONCE),
            resolved: Mutex::default(),
        });
        Self(Batcher::new(WINDOW, move |batch| {
            let link = Arc::clone(&link);
            async move { link.answer(batch).await }
        }))
    }

    /// Asks, together with whoever else asks now.
    pub async fn ask(&self, question: Question) -> Result<Answer, ReadError> {
        self.0.ask(question).await
    }
}

struct Link {
    connection: Connection,
    identity: Arc<Identity>,
    account: Account,
    sdk: OnceCell<aws_sdk_sqs::Client>,
    turns: Semaphore,
    /// URLs of queues that SQS did not know by their bare name.
    resolved: Mutex<HashMap<String, String>>,
}

impl Link {
    /// One request for each queue of the batch, each answered as it comes.
    async fn answer(&self, batch: Vec<Ask<Question, Answer>>) {
        let mut queues: HashMap<Arc<Address>, Vec<Ask<Question, Answer>>> = HashMap::new();
        for ask in batch {
            queues.entry(Arc::clone(&ask.question.queue)).or_default().push(ask);
        }
        join_all(queues.into_iter().map(|(queue, asks)| async move {
            let wanted = |attribute: &Attribute| asks.iter().any(|ask| ask.question.attributes.contains(attribute));
            let attributes: Vec<_> = Attribute::ALL.into_iter().filter(wanted).collect();
            let Some(budget) = asks.first().map(|ask| Arc::clone(&ask.question.budget)) else { return };
            let late = |_| Err(explain::late(&self.connection, &queue, LOOK));
            let answer = timeout(LOOK, self.look(&queue, &attributes, &budget)).await.unwrap_or_else(late);
            let answer = answer.map_err(|error| explain::hinted(&self.connection, &queue, error));
            for ask in asks {
                ask.answer(answer.clone());
            }
        }))
        .await;
    }

    async fn look(&self, queue: &Address, attributes: &[Attribute], budget: &Budget) -> Result<Answer, ReadError> {
        let url = self.resolved.lock().get(&queue.given).cloned();
        let first = self.get(queue, url.as_deref().unwrap_or(&queue.given), attributes, budget).await;
        let not_taken = |error: &ReadError| matches!(error.kind, ReadErrorKind::NotFound | ReadErrorKind::BadReply);
        match first {
            Err(error) if queue.account.is_none() && not_taken(&error) => {
                // KEDA sends a bare name in place of the URL, and AWS takes it in one's own account. Where a server
                // does not, the URL can be asked for.
                self.resolved.lock().remove(&queue.given);
                let url = self.resolve(queue, budget).await?;
                let second = self.get(queue, &url, attributes, budget).await?;
                self.resolved.lock().insert(queue.given.clone(), url);
                Ok(second)
            }
            first => first,
        }
    }

    async fn get(
        &self,
        queue: &Address,
        url: &str,
        attributes: &[Attribute],
        budget: &Budget,
    ) -> Result<Answer, ReadError> {
        let (sdk, _turn) = self.turn(budget).await?;
        let names = attributes.iter().map(|attribute| QueueAttributeName::from(attribute.as_str())).collect();
        let sent = sdk.get_queue_attributes().queue_url(url).set_attribute_names(Some(names)).send().await;
        match sent {
            Ok(output) => {
                budget.served();
                Ok(Arc::new(said(output)))
            }
            Err(error) => Err(self.failed(explain::failed(&self.connection, queue, &error), budget)),
        }
    }

    /// The queue's URL by its name.
    async fn resolve(&self, queue: &Address, budget: &Budget) -> Result<String, ReadError> {
        let (sdk, _turn) = self.turn(budget).await?;
        match sdk.get_queue_url().queue_name(&queue.name).send().await {
            Ok(output) => output.queue_url.ok_or_else(|| explain::unnamed(&self.connection, queue)),
            Err(error) => Err(self.failed(explain::unresolved(&self.connection, queue, &error), budget)),
        }
    }

    /// Waits until a request may be sent: with credentials, within the budget, not too many at once.
    async fn turn(&self, budget: &Budget) -> Result<(&aws_sdk_sqs::Client, SemaphorePermit<'_>), ReadError> {
        // First, since it explains what is wrong with the credentials better than a request that cannot be signed.
        self.identity.credentials().await?;
        let sdk = self.sdk().await?;
        budget.spend(&self.connection).await?;
        let turn = self.turns.acquire().await;
        let turn = turn.map_err(|_| ReadError::new(ReadErrorKind::Internal, "the client of SQS is closed"))?;
        Ok((sdk, turn))
    }

    /// Draws the consequences of a failure.
    fn failed(&self, error: ReadError, budget: &Budget) -> ReadError {
        match error.kind {
            ReadErrorKind::Throttled => budget.throttled(),
            // The role's session may have been revoked: the next look gets another.
            ReadErrorKind::Denied if error.whole_connection => self.identity.forget(),
            _ => {}
        }
        error
    }

    async fn sdk(&self) -> Result<&aws_sdk_sqs::Client, ReadError> {
        self.sdk
            .get_or_try_init(|| async {
                let http = Http::noting(self.account.peers(), &Tls::default(), self.connection.reach.clone()).await?;
                let config = self.identity.sdk_config(http.taking(limits::SQS_BODY)).await;
                let mut builder =
                    aws_sdk_sqs::config::Builder::from(&config).interceptor(Counted(self.account.clone()));
                // Without one, the server's `AWS_ENDPOINT_URL_SQS` counts.
                if let Some(endpoint) = &self.connection.endpoint {
                    builder = builder.endpoint_url(endpoint);
                }
                Ok(aws_sdk_sqs::Client::from_conf(builder.build()))
            })
            .await
    }
}

/// What was said of the attributes that we know.
fn said(output: GetQueueAttributesOutput) -> BTreeMap<Attribute, String> {
    let mut all = output.attributes.unwrap_or_default();
    let value = |attribute: Attribute| Some((attribute, all.remove(&QueueAttributeName::from(attribute.as_str()))?));
    Attribute::ALL.into_iter().filter_map(value).collect()
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.connection.place())
    }
}
