//! One trigger's query: asks it, and waits for the next scrape.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Shared,
    answer::{Found, Number},
    client::Client,
    spec::Spec,
};
use crate::{
    backend::{Account, ConnectionId, Source},
    clock::{since_epoch, to_next_tick},
    error::{ReadError, ReadErrorKind},
    reading::{Cell, Metric, Parts, Reading},
};

/// How much of a query is shown.
const SHOWN: usize = 120;

/// A query, and what its answer means for the trigger.
pub struct Query {
    spec: Spec,
    id: ConnectionId,
    shared: Arc<Shared>,
    /// Held from the first look on: to parse a trigger must not connect.
    client: OnceLock<Arc<Client>>,
    /// The last reading, and what was found.
    read: Mutex<Option<(Reading, Found)>>,
}

impl Query {
    pub(super) fn new(spec: Spec, shared: Arc<Shared>) -> Self {
        let id = spec.connection.id();
        Self { spec, id, shared, client: OnceLock::new(), read: Mutex::default() }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let connection = &self.spec.connection;
            let account = || Account::new(self.id.traffic(), &self.shared.requests);
            self.shared.clients.get(connection, || Client::new(connection.clone(), account()))
        })
    }
}

#[async_trait]
impl Source for Query {
    fn metric(&self) -> &Metric {
        &self.spec.metric
    }

    fn connection(&self) -> ConnectionId {
        self.id.clone()
    }

    fn describe(&self) -> String {
        let query = &self.spec.question.query;
        match query.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("query `{}…`", query.get(..end).unwrap_or(query)),
            None => format!("query `{query}`"),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.spec.deadline
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        let found = self.client().ask(Arc::clone(&self.spec.question)).await?;
        let reading = evaluate(&self.spec, &found)?;
        *self.read.lock() = Some((reading, found));
        Ok(reading)
    }

    fn parts(&self) -> Option<Parts> {
        let (of, found) = self.read.lock().clone()?;
        let (series, value, remark) = match found.number {
            Number::Is(value) => (1, Cell::from(value), ""),
            Number::Empty => (0, Cell::Unknown, "no series: taken for 0, as `ignoreNullValues` says"),
            Number::NotFinite => (1, Cell::Unknown, "NaN or infinity: taken for 0, as `ignoreNullValues` says"),
        };
        let remark = if found.warned { "the server warns that the answer may be incomplete" } else { remark };
        let query = &self.spec.question.query;
        Some(Parts {
            of,
            rule: "the one number that the query gives".to_owned(),
            activation: Some(self.spec.activation),
            columns: &["query", "series", "value", "remark"],
            rows: vec![vec![Cell::from(&**query), Cell::from(series), value, Cell::from(remark)]],
            omitted: 0,
        })
    }

    async fn wake(&self) {
        tokio::time::sleep(to_next_look(SystemTime::now(), self.spec.idle)).await;
    }
}

/// What `found` means for a trigger.
pub(super) fn evaluate(spec: &Spec, found: &Found) -> Result<Reading, ReadError> {
    let error = |what: &str| {
        let text = format!("{} gave {what}", spec.connection.place());
        Err(ReadError::new(ReadErrorKind::BadReply, text))
    };
    let value = match found.number {
        _ if found.warned && spec.strict => return error("a warning with the answer: with `strict` that is an error"),
        Number::Is(value) => value,
        // What a server that is missing a part of its data answers: nothing is known, least of all 0.
        Number::Empty if found.warned => return error("no series, and a warning that some may be missing"),
        Number::Empty if !spec.ignore_nulls => {
            return error("no series: correct `query`, or set `ignoreNullValues: true` to take that for 0");
        }
        Number::NotFinite if !spec.ignore_nulls => {
            return error("NaN or infinity: correct `query`, or set `ignoreNullValues: true` to take that for 0");
        }
        Number::Empty | Number::NotFinite => 0.0,
    };
    Ok(Reading { value, active: value > spec.activation })
}

/// How long until the wall clock shows a multiple of `every`, so that all triggers look together, and together with
/// the refreshes of an equal `pollingInterval`.
pub(super) fn to_next_look(now: SystemTime, every: Duration) -> Duration {
    let rest = to_next_tick(since_epoch(now), every);
    // The look that belongs to a multiple may have been a little early.
    if rest < every / 10 { rest + every } else { rest }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.describe(), self.id.label())
    }
}
