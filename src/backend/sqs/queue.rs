//! One trigger's queue: looks at it, and says when to look again while it is idle.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::{
    Shared,
    client::{Answer, Budget, Client, Question},
    count::{Attribute, count},
    spec::Spec,
};
use crate::{
    backend::{Account, ConnectionId, Source},
    clock::{Clock, since_epoch, to_next_tick},
    error::ReadError,
    reading::{Cell, Metric, Parts, Reading},
};

/// A wake comes so long after the multiple of its interval: refreshes begin on the multiple, and where both are
/// due, the refresh should be the one look.
const AFTER_REFRESH: Duration = Duration::from_millis(20);

/// A queue, and what of it is counted.
pub struct Queue {
    spec: Spec,
    id: ConnectionId,
    shared: Arc<Shared>,
    /// Held from the first look on: to parse a trigger must not start anything.
    held: OnceLock<(Arc<Client>, Arc<Budget>)>,
    /// Whether the last look came to something.
    known: AtomicBool,
    /// The last answer that did, and what it was counted to be.
    counted: Mutex<Option<(Reading, Answer)>>,
}

impl Queue {
    pub(super) fn new(spec: Spec, shared: Arc<Shared>) -> Self {
        let id = spec.connection.id();
        Self { spec, id, shared, held: OnceLock::new(), known: AtomicBool::new(false), counted: Mutex::default() }
    }

    fn held(&self) -> &(Arc<Client>, Arc<Budget>) {
        self.held.get_or_init(|| {
            let connection = &self.spec.connection;
            let account = || Account::new(self.id.traffic(), &self.shared.requests);
            let client = self.shared.clients.get(connection, || Client::new(connection.clone(), account()));
            (client, self.shared.budgets.of(connection, &self.spec.queue))
        })
    }

    async fn look(&self) -> Result<Reading, ReadError> {
        let (client, budget) = self.held();
        let question = Question {
            queue: Arc::clone(&self.spec.queue),
            attributes: self.spec.attributes.clone(),
            budget: Arc::clone(budget),
        };
        let answer = client.ask(question).await?;
        let reading = count(&self.spec, &answer)?;
        *self.counted.lock() = Some((reading, answer));
        Ok(reading)
    }
}

#[async_trait]
impl Source for Queue {
    fn metric(&self) -> &Metric {
        &self.spec.metric
    }

    fn connection(&self) -> ConnectionId {
        self.id.clone()
    }

    fn describe(&self) -> String {
        let words = self.spec.attributes.iter().map(|attribute| match attribute {
            Attribute::Visible => "visible",
            Attribute::InFlight => "in-flight",
            Attribute::Delayed => "delayed",
        });
        format!("{} messages of queue `{}`", words.collect::<Vec<_>>().join(" and "), self.spec.queue.name)
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        self.known.store(false, Ordering::Relaxed);
        let reading = self.look().await?;
        self.known.store(true, Ordering::Relaxed);
        Ok(reading)
    }

    fn parts(&self) -> Option<Parts> {
        let (of, answer) = self.counted.lock().clone()?;
        let row = |attribute: Attribute| {
            let counts = self.spec.attributes.contains(&attribute);
            let number: Option<f64> = answer.get(&attribute).and_then(|text| text.parse().ok());
            let remark = match (counts, number) {
                (true, _) => "counts",
                (false, Some(_)) => "does not count for this trigger",
                (false, None) => "does not count for this trigger: not asked for",
            };
            vec![Cell::from(attribute.as_str()), Cell::from(number), Cell::from(remark)]
        };
        Some(Parts {
            of,
            rule: "the sum of what counts; SQS keeps these numbers approximately".to_owned(),
            activation: Some(self.spec.activation as f64),
            columns: &["attribute", "messages", "remark"],
            rows: Attribute::ALL.into_iter().map(row).collect(),
            omitted: 0,
        })
    }

    /// SQS tells of nothing, so a wake is a look that is due. The looks of all triggers on a queue fall on the same
    /// instants, and become one request. After a failed look the sampler's own back-off decides.
    async fn wake(&self) {
        if !self.known.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        sleep_until(next_look(Instant::now(), self.spec.idle_every)).await;
    }
}

/// The first multiple of `every` on the wall clock after `now`, and a little.
pub(super) fn next_look(now: Instant, every: Duration) -> Instant {
    // Read once, as the sampler does: a step of the wall clock must not part the two.
    static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);
    let elapsed = since_epoch(CLOCK.wall(now)).saturating_sub(AFTER_REFRESH);
    now + to_next_tick(elapsed, every)
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.describe(), self.id.label())
    }
}
