//! One trigger's key: looks at it, and waits for it to change.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::{Instant, sleep_until};

use super::{
    bells::{Bell, DUE_AFTER},
    client::{Client, Clients, Pulse, Question},
    measure::{Measure, Memory},
    spec::Spec,
};
use crate::{
    backend::{ConnectionId, Source},
    clock::to_next_tick,
    error::ReadError,
    reading::{Cell, Metric, Parts, Reading},
};

/// How often to look while idle when Redis does not tell of changes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often to look for pending entries while idle: what consumers do with a group is never told.
const LOOK_FOR_PENDING_EVERY: Duration = Duration::from_secs(1);
/// A key that keeps changing without becoming active is looked at no more often.
const BUSY_EVERY: Duration = Duration::from_millis(100);

/// A key, and what of it is counted.
pub struct Key {
    spec: Spec,
    id: ConnectionId,
    clients: Arc<Clients>,
    /// Held from the first look on: to parse a trigger must not connect.
    held: OnceLock<(Arc<Client>, Arc<Bell>)>,
    last: Mutex<Last>,
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
struct Last {
    /// The bell's count before the last look; none before the first.
    look: Option<u64>,
    /// Whether the bell will ring for a change since; not known while a look is under way or after one that failed.
    told: Option<bool>,
    memory: Memory,
    /// What the last look read, for as long as the bell would have told of a change and has not.
    still: Option<Still>,
    /// What the last look that succeeded has read.
    reading: Option<Reading>,
    /// When a ring last woke the source.
    woken: Option<Instant>,
}

/// A reading that stands.
#[derive(Debug, Clone)]
struct Still {
    reading: Reading,
    /// The bell's count before the look that read it.
    look: u64,
    /// Of the connection on which the bell is armed.
    pulse: Pulse,
    /// When it is looked at all the same.
    until: Instant,
}

impl Key {
    pub(super) fn new(spec: Spec, clients: Arc<Clients>) -> Self {
        let id = spec.connection.id();
        Self { spec, id, clients, held: OnceLock::new(), last: Mutex::default() }
    }

    fn held(&self) -> &(Arc<Client>, Arc<Bell>) {
        self.held.get_or_init(|| {
            let client = self.clients.get(&self.spec.connection, self.id.traffic());
            let bell = client.bell(&self.spec.key);
            (client, bell)
        })
    }

    /// How long between looks that nobody calls for; `None` when the bell does.
    fn looks_every(&self) -> Option<Duration> {
        let pending = matches!(self.spec.measure, Measure::Pending { .. });
        match self.last.lock().told? {
            true if !pending => None,
            true => Some(self.spec.idle.unwrap_or(LOOK_FOR_PENDING_EVERY)),
            false => Some(self.spec.idle.unwrap_or(LOOK_EVERY)),
        }
    }
}

#[async_trait]
impl Source for Key {
    fn metric(&self) -> &Metric {
        &self.spec.metric
    }

    fn connection(&self) -> ConnectionId {
        self.id.clone()
    }

    fn describe(&self) -> String {
        let key = &self.spec.key;
        match &self.spec.measure {
            Measure::Length => format!("length of `{key}`"),
            Measure::StreamLength => format!("length of stream `{key}`"),
            Measure::Pending { group } => format!("pending entries of group `{group}` on stream `{key}`"),
            Measure::Lag { group } => format!("lag of group `{group}` on stream `{key}`"),
        }
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        let (client, bell) = self.held();
        let still = self.last.lock().still.clone().filter(|still| Instant::now() < still.until);
        if let Some(Still { reading, look, pulse, .. }) = still
            && bell.is_silent_since(look)
            && pulse.beats().await
            && bell.is_silent_since(look)
        {
            return Ok(reading);
        }
        let (look, memory) = {
            let mut last = self.last.lock();
            last.still = None;
            let look = bell.look();
            last.look = Some(look);
            last.told = None;
            (look, last.memory)
        };
        let Spec { key, measure, activation, .. } = &self.spec;
        let counted = client.ask(Question { key: Arc::clone(key), measure: measure.clone(), memory }).await?;
        let reading = Reading { value: counted.value, active: counted.value > *activation as f64 };
        let mut last = self.last.lock();
        last.told = Some(counted.told);
        last.memory = counted.memory;
        // Keys that came together part at their first look, so that the later ones are spread over the time.
        let part = if last.reading.is_some() { 1.0 } else { rand::rng().random_range(0.0..1.0) };
        let until = Instant::now() + DUE_AFTER.mul_f64(part);
        last.still = counted.pulse.map(|pulse| Still { reading, look, pulse, until });
        last.reading = Some(reading);
        Ok(reading)
    }

    fn parts(&self) -> Option<Parts> {
        let Spec { key, measure, activation, .. } = &self.spec;
        let last = self.last.lock();
        let (of, (command, rule)) = (last.reading?, measure.explained(last.memory.kind));
        let still = last.still.as_ref().filter(|still| Instant::now() < still.until);
        let remark = still.map_or("", |_| "asked again when Redis tells that the key has changed");
        let row = vec![Cell::from(command), Cell::from(&**key), Cell::from(of.value), Cell::from(remark)];
        let (activation, columns) = (Some(*activation as f64), &["asked", "key", "count", "remark"]);
        Some(Parts { of, rule, activation, columns, rows: vec![row], omitted: 0 })
    }

    /// After a failed look only a ring wakes: one comes when the connection is back.
    async fn wake(&self) {
        let (client, bell) = self.held();
        let Some(look) = self.last.lock().look else { return };
        let now = Instant::now();
        let looks = self.looks_every();
        let next_look =
            looks.map_or(now, |every| now + to_next_tick(now.saturating_duration_since(client.born), every));
        tokio::select! {
            () = bell.rung_since(look) => {}
            () = sleep_until(next_look), if looks.is_some() => return,
        }
        let woken = self.last.lock().woken;
        if let Some(woken) = woken {
            sleep_until(woken + BUSY_EVERY).await;
        }
        self.last.lock().woken = Some(Instant::now());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.describe(), self.id.label())
    }
}
