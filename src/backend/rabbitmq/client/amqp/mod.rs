//! Asking over AMQP: queues that are known to be there in one burst, which nothing disturbs; new ones in a burst of
//! their own; those that were refused before, or that a refusal has left unanswered, on a second connection.

mod census;
mod dial;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod lane;
mod link;
mod method;
mod trouble;

#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use self::{
    census::{Census, Known},
    dial::Dialer,
    lane::Lane,
    link::Manner,
};
use crate::{
    backend::{
        Account,
        rabbitmq::{
            connection::Amqp,
            measure::Stats,
            question::{Askers, Found, Question},
        },
    },
    error::ReadError,
};

/// All at once. More channels do not make a broker answer faster.
const MAIN: Manner = Manner { channels: 4, at_once: usize::MAX };
/// A refusal costs the channel, so here each has one question under way, and there are many.
const PROBE: Manner = Manner { channels: 32, at_once: 1 };
/// How long the second connection may go on in one look. What it does not reach is asked about in the next.
const PROBING: Duration = Duration::from_secs(2);
/// How long the second connection is kept unused.
const UNUSED: Duration = Duration::from_secs(60);

/// The client of one vhost over AMQP.
pub struct AmqpClient {
    dialer: Arc<Dialer>,
    main: Lane,
    probe: Lane,
    census: Census,
}

impl AmqpClient {
    pub fn new(to: Amqp, account: Account) -> Self {
        let dialer = Arc::new(Dialer::new(to, account));
        let lane = |manner| Lane::new(Arc::clone(&dialer), manner);
        let (main, probe) = (lane(MAIN), lane(PROBE));
        Self { dialer, main, probe, census: Census::default() }
    }

    pub async fn look(&self, questions: Vec<Question>, askers: &dyn Askers) {
        let open = Open { client: self, waiting: Mutex::default(), askers };
        let mut known = Vec::with_capacity(questions.len());
        let mut unknown = Vec::new();
        for question in questions {
            // `spec.rs` refuses patterns over AMQP.
            let (Question::Queue { name, .. } | Question::Pattern { pattern: name, .. }) = &question;
            match self.census.look_up(name) {
                Known::There => known.push(Arc::clone(name)),
                Known::Nothing => unknown.push(Arc::clone(name)),
                Known::Due => {}
                Known::Refused(error) => {
                    askers.tell(&question, Err(error));
                    continue;
                }
            }
            open.waiting.lock().insert(Arc::clone(name));
        }
        for queues in [known, unknown] {
            if !queues.is_empty()
                && let Err(error) = open.burst(&self.main, &queues).await
            {
                return open.give_up(&error);
            }
        }
        self.probe(&open).await;
        self.probe.close_unused(UNUSED);
    }

    /// Asks about all that is still open.
    async fn probe(&self, open: &Open<'_>) {
        let until = Instant::now() + PROBING;
        loop {
            let waiting: Vec<Arc<str>> = open.waiting.lock().iter().cloned().collect();
            if waiting.is_empty() {
                return;
            }
            let before = waiting.len();
            if let Err(error) = open.burst(&self.probe, &waiting).await {
                return open.give_up(&error);
            }
            let no_progress = open.waiting.lock().len() == before;
            if no_progress || Instant::now() > until {
                return open.give_up(&trouble::not_reached(&self.dialer.to));
            }
        }
    }
}

/// What one look still has to answer.
struct Open<'o> {
    client: &'o AmqpClient,
    waiting: Mutex<HashSet<Arc<str>>>,
    askers: &'o dyn Askers,
}

impl Open<'_> {
    async fn burst(&self, lane: &Lane, queues: &[Arc<str>]) -> Result<(), ReadError> {
        let census = &self.client.census;
        let ready = |queue: &Arc<str>, ready: u32| {
            census.is_there(queue);
            let ready = Some(i64::from(ready));
            let stats = Stats { name: queue.to_string(), messages: ready, ready, ..Stats::default() };
            self.answer(queue, Ok(Arc::new([stats])));
        };
        for (queue, why) in lane.burst(queues, &ready).await? {
            let error = trouble::refused(&self.client.dialer.to, &queue, &why);
            census.refuse(&queue, error.clone());
            self.answer(&queue, Err(error));
        }
        Ok(())
    }

    fn answer(&self, queue: &Arc<str>, found: Result<Found, ReadError>) {
        if self.waiting.lock().remove(queue) {
            self.askers.tell(&Question::Queue { name: Arc::clone(queue), rates: false }, found);
        }
    }

    fn give_up(&self, error: &ReadError) {
        let waiting: Vec<Arc<str>> = self.waiting.lock().iter().cloned().collect();
        for queue in waiting {
            self.answer(&queue, Err(error.clone()));
        }
    }
}
