//! One client per connection, whatever the number of triggers: what they ask at one moment becomes one pipelined
//! burst over AMQP, or one listing of the vhost over HTTP.
//!
//! `amqp` asks over AMQP, `management` over HTTP, `wire` is one of the two; `idle` looks at idle queues. Invariant: never
//! consumes, never declares but passively.

mod amqp;
mod idle;
mod management;
mod wire;

#[cfg(any(test, feature = "fuzzing"))]
pub use {amqp::fuzz as fuzz_amqp, management::fuzz as fuzz_http};

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;

use self::{amqp::AmqpClient, idle::Idle, management::ManagementClient, wire::Wire};
use super::{
    connection::Connection,
    measure::Measure,
    question::{Askers, Found, Pace, Question},
};
use crate::{
    backend::{
        Account,
        batch::{Ask, Batcher},
    },
    error::ReadError,
};

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

impl Client {
    /// A client of `connection`. Starts nothing: the first question does.
    /// What it sends is on `account`.
    pub fn new(connection: Connection, account: Account) -> Self {
        let label = connection.label();
        let wire = match connection {
            Connection::Amqp(amqp) => Wire::Amqp(Box::new(AmqpClient::new(amqp, account))),
            Connection::Management(api) => Wire::Management(Box::new(ManagementClient::new(api, account))),
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
                async move { answer(&wire, asks).await }
            });
            Running { batcher, idle: Idle::new(Arc::clone(&self.wire)) }
        })
    }
}

/// Answers each question once, and everybody who asked it.
async fn answer(wire: &Wire, asks: Vec<Ask<Question, Found>>) {
    let asks = Asks::new(asks);
    let questions = asks.questions();
    wire.look(questions, &asks).await;
}

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
}

impl Askers for Asks {
    fn tell(&self, question: &Question, found: Result<Found, ReadError>) {
        for ask in self.0.lock().remove(question).unwrap_or_default() {
            ask.answer(found.clone());
        }
    }

    fn wait_for(&self, question: &Question) -> bool {
        self.0.lock().get(question).is_some_and(|asks| asks.iter().any(Ask::is_waited_for))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.label)
    }
}
