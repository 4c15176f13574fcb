//! A connection that is there when it is needed: dialled by the first burst, again after it broke, and kept alive in
//! between. One burst at a time, each within a deadline.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout_at},
};
use tracing::Instrument;

use super::{
    dial::Dialer,
    link::{Link, Manner, Refused, TellReady},
    trouble,
};
use crate::{
    error::ReadError,
    task::{self, Task},
    telemetry::spans,
};

/// A burst takes milliseconds; a broker that takes so long is frozen.
const PATIENCE: Duration = Duration::from_secs(3);

/// One connection to one broker, over time.
pub(super) struct Lane {
    dialer: Arc<Dialer>,
    manner: Manner,
    shared: Arc<Shared>,
    keeper: OnceLock<Task>,
}

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    /// There is a connection to keep alive.
    opened: Notify,
}

#[derive(Default)]
struct Slot {
    link: Option<Link>,
    used: Option<Instant>,
}

impl Lane {
    pub fn new(dialer: Arc<Dialer>, manner: Manner) -> Self {
        Self { dialer, manner, shared: Arc::default(), keeper: OnceLock::new() }
    }

    /// One burst over the living connection, or over a new one; says which queues were refused. A connection that
    /// turns out to have died since the last burst is replaced once.
    pub async fn burst(&self, queues: &[Arc<str>], tell: TellReady<'_>) -> Result<Refused, ReadError> {
        self.keeper.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            task::supervise("rabbitmq keeper", move || keep(Arc::clone(&shared)))
        });
        let to = &self.dialer.to;
        let mut slot = timeout_at(Instant::now() + PATIENCE, self.shared.slot.lock())
            .await
            .map_err(|_| trouble::frozen(to, PATIENCE))?;
        slot.used = Some(Instant::now());
        loop {
            // Taken out, so that one that fails or is given up half-way is gone.
            let (mut link, reused) = match slot.link.take() {
                Some(link) => (link, true),
                None => (Link::new(self.dialer.open().await?, self.manner, self.dialer.account.clone()), false),
            };
            let span = spans::request("amqp", "queue.declare (passive)", &to.origin());
            match timeout_at(Instant::now() + PATIENCE, link.burst(queues, tell)).instrument(span).await {
                Ok(Ok(refused)) => {
                    slot.link = Some(link);
                    if !reused {
                        self.shared.opened.notify_one();
                    }
                    return Ok(refused);
                }
                Ok(Err(_)) if reused => {}
                Ok(Err(broken)) => return Err(trouble::broken(to, &broken)),
                Err(_) => return Err(trouble::frozen(to, PATIENCE)),
            }
        }
    }

    /// Closes the connection if nobody has used it for `time`.
    pub fn close_unused(&self, time: Duration) {
        let Ok(mut slot) = self.shared.slot.try_lock() else { return };
        if slot.used.is_some_and(|used| used.elapsed() > time)
            && let Some(link) = slot.link.take()
        {
            link.retire();
        }
    }
}

/// Keeps the connection alive while nobody asks, and lets one go that has died.
async fn keep(shared: Arc<Shared>) {
    loop {
        let beat = shared.slot.lock().await.link.as_ref().map(Link::beat);
        match beat {
            Some(beat) => sleep(beat).await,
            None => shared.opened.notified().await,
        }
        let mut slot = shared.slot.lock().await;
        if slot.link.as_mut().is_some_and(|link| link.keep().is_err()) {
            slot.link = None;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.retire();
        }
    }
}
