//! One client per connection, whatever the number of triggers: what they ask at one moment becomes one pipelined
//! burst over AMQP, or one listing of the vhost over HTTP.
//!
//! `amqp` asks over AMQP (by `lane`, `link`, `dial`), `management` over HTTP (by `api`, `items`), `idle` looks at
//! idle queues. Invariants: never consumes, never declares but passively; the types of `lapin` stay in this folder.

mod amqp;
mod api;
mod census;
mod dial;
mod idle;
mod items;
mod lane;
mod link;
mod management;
mod trouble;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::Mutex;

use self::{amqp::AmqpClient, idle::Idle, management::ManagementClient};
use super::{
    connection::Connection,
    measure::{Measure, Stats},
    spec::Pace,
};
use crate::{
    backend::batch::{Ask, Batcher},
    error::ReadError,
};

/// What a trigger wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// One queue, which must exist.
    Queue {
        /// Its name.
        name: Arc<str>,
        /// Its rates too, which makes the answer some seconds old.
        rates: bool,
    },
    /// All queues whose names match.
    Pattern {
        /// A regular expression, of the broker's kind.
        pattern: Arc<str>,
        /// How many queues a page of the answer has.
        page_size: u16,
        /// Their rates too.
        rates: bool,
    },
}

/// What was found: one entry for a queue, as many as match for a pattern.
pub type Found = Arc<[Stats]>;

/// The client of one connection.
pub struct Client {
    label: String,
    wire: Arc<Wire>,
    /// Started by the first question: they need a runtime, a parsed trigger does not.
    running: OnceLock<Running>,
}

struct Running {
    batcher: Batcher<Question, Found>,
    idle: Idle,
}

/// By which protocol.
enum Wire {
    Amqp(AmqpClient),
    Management(ManagementClient),
}

impl Client {
    /// A client of `connection`. Starts nothing: the first question does.
    /// Adds what it sends to `requests`.
    pub fn new(connection: Connection, requests: Arc<AtomicU64>) -> Self {
        let label = connection.label();
        let wire = match connection {
            Connection::Amqp(amqp) => Wire::Amqp(AmqpClient::new(amqp, requests)),
            Connection::Management(api) => Wire::Management(ManagementClient::new(api, requests)),
        };
        Self { label, wire: Arc::new(wire), running: OnceLock::new() }
    }

    /// Asks, together with everybody who asks now.
    pub async fn ask(&self, question: Question) -> Result<Found, ReadError> {
        self.running().batcher.ask(question).await
    }

    /// Resolves when a look at the idle queues finds what `measure` calls active, with what it found.
    pub async fn wake(&self, question: &Question, pace: Pace, measure: &Measure) -> Found {
        self.running().idle.wait(question.clone(), pace, measure.clone()).await
    }

    fn running(&self) -> &Running {
        self.running.get_or_init(|| {
            let wire = Arc::clone(&self.wire);
            let batcher = Batcher::new(Duration::ZERO, move |asks| {
                let wire = Arc::clone(&wire);
                async move { wire.answer(asks).await }
            });
            Running { batcher, idle: Idle::new(Arc::clone(&self.wire)) }
        })
    }
}

impl Wire {
    /// Answers each question once, and everybody who asked it.
    async fn answer(&self, asks: Vec<Ask<Question, Found>>) {
        let asks = Asks::new(asks);
        let questions = asks.questions();
        self.look(questions, &|question, found| asks.answer(question, found)).await;
    }

    /// Asks all `questions` and tells each answer as it comes.
    async fn look(&self, questions: Vec<Question>, tell: Tell<'_>) {
        match self {
            Self::Amqp(amqp) => amqp.look(questions, tell).await,
            Self::Management(api) => api.look(questions, tell).await,
        }
    }
}

/// Who wants to hear an answer.
pub(super) type Tell<'t> = &'t (dyn Fn(&Question, Result<Found, ReadError>) + Send + Sync);

/// The questions of one batch, each with all who asked it.
struct Asks(Mutex<HashMap<Question, Vec<Ask<Question, Found>>>>);

impl Asks {
    fn new(asks: Vec<Ask<Question, Found>>) -> Self {
        let mut by_question = HashMap::<_, Vec<_>>::with_capacity(asks.len());
        for ask in asks {
            by_question.entry(ask.question.clone()).or_default().push(ask);
        }
        Self(Mutex::new(by_question))
    }

    fn questions(&self) -> Vec<Question> {
        self.0.lock().keys().cloned().collect()
    }

    fn answer(&self, question: &Question, found: Result<Found, ReadError>) {
        for ask in self.0.lock().remove(question).unwrap_or_default() {
            ask.answer(found.clone());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.label)
    }
}
