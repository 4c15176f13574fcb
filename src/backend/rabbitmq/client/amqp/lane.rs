//! A connection that is there when it is needed: dialled by the first burst, again after it broke, and anew when it
//! is worn. One burst at a time, each within a deadline.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use lapin::tcp::RustlsConnector;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{
    dial::dial,
    link::{Burst, Link, Manner, TellReady},
    trouble,
};
use crate::{backend::rabbitmq::connection::Amqp, error::ReadError};

/// A burst takes milliseconds; a broker that takes so long is frozen.
const PATIENCE: Duration = Duration::from_secs(3);

/// One connection to one broker, over time.
pub(super) struct Lane {
    to: Arc<Amqp>,
    manner: Manner,
    /// Counts declares.
    requests: Arc<AtomicU64>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    link: Option<Link>,
    tls: Option<RustlsConnector>,
    used: Option<Instant>,
}

impl Lane {
    pub fn new(to: Arc<Amqp>, manner: Manner, requests: Arc<AtomicU64>) -> Self {
        Self { to, manner, requests, slot: Mutex::default() }
    }

    /// One burst over the living connection, or over a new one. A connection that turns out to have died since the
    /// last burst is replaced once.
    pub async fn burst(&self, queues: Vec<Arc<str>>, tell: TellReady<'_>) -> Result<Burst, ReadError> {
        let frozen = |_| trouble::frozen(&self.to, PATIENCE);
        let mut slot = timeout_at(Instant::now() + PATIENCE, self.slot.lock()).await.map_err(frozen)?;
        slot.used = Some(Instant::now());
        loop {
            let reused = slot.link.as_ref().is_some_and(Link::is_alive);
            if !reused {
                slot.link = None;
                slot.link = Some(self.dial(&mut slot.tls).await?);
            }
            let Some(link) = slot.link.as_mut() else { return Ok(Burst::default()) };
            let within = Instant::now() + PATIENCE;
            let burst = timeout_at(within, link.burst(queues.clone(), tell)).await;
            match burst {
                Ok(Burst { broken: None, refused }) => {
                    if link.is_worn()
                        && let Some(worn) = slot.link.take()
                    {
                        worn.retire();
                    }
                    return Ok(Burst { broken: None, refused });
                }
                Ok(Burst { broken: Some(error), .. }) => {
                    slot.link = None;
                    if !reused {
                        return Err(trouble::connecting(&self.to, &error));
                    }
                }
                Err(elapsed) => {
                    slot.link = None;
                    return Err(frozen(elapsed));
                }
            }
        }
    }

    /// Closes the connection if nobody has used it for `time`.
    pub fn close_unused(&self, time: Duration) {
        let Ok(mut slot) = self.slot.try_lock() else { return };
        if slot.used.is_some_and(|used| used.elapsed() > time)
            && let Some(link) = slot.link.take()
        {
            link.retire();
        }
    }

    async fn dial(&self, tls: &mut Option<RustlsConnector>) -> Result<Link, ReadError> {
        if let (Some(wanted), None) = (&self.to.tls, &tls) {
            // Reads the system's root certificates, so it is kept.
            *tls = Some(wanted.client_config().await?.into());
        }
        let (connection, socket) = dial(&self.to, tls.clone()).await?;
        Ok(Link::new(connection, socket, self.manner, Arc::clone(&self.requests)))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(link) = self.slot.get_mut().link.take() {
            link.retire();
        }
    }
}
