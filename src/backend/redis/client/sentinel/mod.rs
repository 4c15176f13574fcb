//! Who is master, as the sentinels see it. Each of them is kept in touch with: a former master goes on calling itself
//! master until the sentinels can tell it otherwise, so its word alone is not enough.
//!
//! `ask.rs` talks to one sentinel, `views.rs` weighs what they say.

mod ask;
mod views;

pub use ask::demoted;

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use self::views::Views;
use super::connect::{Dialer, Opened};
use crate::{
    backend::redis::{
        address::Address,
        connection::{Login, Topology},
        refusal::Place,
    },
    error::{ReadError, ReadErrorKind},
    task::{self, Backoff, Task},
};

/// How often each is asked, whatever it tells by itself: half the shortest usual polling interval.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// What a sentinel tells when a master changes: the one that leads the change, and then all of them.
const NEWS: [&str; 2] = ["+promoted-slave", "+switch-master"];
/// After news, further news is waited for so long: it comes in bursts.
const BURST: Duration = Duration::from_millis(20);
/// How long sentinels are waited for when one of them has answered.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a subscription may take.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two tries at one of them.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The sentinels of one connection.
#[derive(Debug)]
pub struct Sentinels {
    has_name: bool,
    council: Arc<Council>,
    _attendants: Vec<Task>,
}

#[derive(Debug)]
struct Council {
    views: Mutex<Views>,
    changes: watch::Sender<()>,
}

impl Sentinels {
    /// Begins to ask those of `dialer`'s connection; needs a runtime.
    pub fn new(dialer: &Arc<Dialer>) -> Self {
        let connection = &dialer.connection;
        let (master, login) = match &connection.topology {
            Topology::Sentinel { master, login } => (master.clone(), login.clone()),
            _ => (None, None),
        };
        let addresses = connection.addresses.iter().filter(|address| !address.is_empty());
        let addresses: Vec<String> = master.iter().flat_map(|_| addresses.clone().cloned()).collect();
        let council =
            Arc::new(Council { views: Mutex::new(Views::new(addresses.len())), changes: watch::Sender::new(()) });
        let attend = |(who, address): (usize, String)| {
            let attendant = Attendant {
                dialer: Arc::clone(dialer),
                council: Arc::clone(&council),
                who,
                address,
                master: master.clone().unwrap_or_default(),
                login: login.clone(),
            };
            task::supervise("redis sentinel", move || attendant.clone().attend())
        };
        let attendants = addresses.into_iter().enumerate().map(attend).collect();
        Self { has_name: master.is_some(), council, _attendants: attendants }
    }

    /// Where the master is now.
    pub async fn master(&self) -> Result<Address, ReadError> {
        if !self.has_name {
            let text =
                "redis sentinel cannot be asked for a master without a name: set `sentinelMaster` in the trigger";
            return Err(ReadError::new(ReadErrorKind::NotFound, text).of_connection());
        }
        let mut changes = self.council.changes.subscribe();
        let until = Instant::now() + PATIENCE;
        loop {
            let patient = Instant::now() < until;
            if let Some(verdict) = self.council.views.lock().verdict(patient) {
                return verdict.cloned();
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep_until(until), if patient => {}
            }
        }
    }

    /// Waits until another one than `master` is to be believed in.
    pub async fn leave(&self, master: &Address) {
        let mut changes = self.council.changes.subscribe();
        loop {
            if matches!(self.council.views.lock().verdict(true), Some(Ok(other)) if other != master) {
                return;
            }
            if changes.changed().await.is_err() {
                // Cannot be: the sender is in `self`.
                std::future::pending().await
            }
        }
    }
}

/// Keeps in touch with one sentinel.
#[derive(Clone)]
struct Attendant {
    dialer: Arc<Dialer>,
    council: Arc<Council>,
    who: usize,
    address: String,
    master: String,
    login: Option<Login>,
}

impl Attendant {
    async fn attend(self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            if let Err(error) = self.stay(&mut backoff).await {
                self.council.views.lock().fails(self.who, error);
                self.council.changes.send_replace(());
            }
            sleep(backoff.pause()).await;
        }
    }

    /// Listens and asks, until that can only go on by a new connection.
    async fn stay(&self, backoff: &mut Backoff) -> Result<(), ReadError> {
        let address = Address::parse(&self.address)?;
        let mut opened = self.dialer.open_sentinel(&address, self.login.as_ref()).await?;
        self.hear_of(&mut opened).await?;
        backoff.reset();
        // Without the right to listen it is asked all the same.
        let mut news = self.listen(&address, opened.wire.place.clone()).await;
        let mut asks = interval(ASK_EVERY);
        asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = async {
                match &mut news {
                    Some((_, stream)) => stream.next().await.is_some(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = asks.tick() => {}
                more = heard => if !more { return Ok(()) },
                _ = &mut opened.gone => return Err(opened.wire.why_lost()),
            }
            self.hear_of(&mut opened).await?;
            if let Some((_, stream)) = &mut news
                && stream.next().now_or_never().is_some()
            {
                sleep(BURST).await;
                while let Some(Some(_)) = stream.next().now_or_never() {}
            }
        }
    }

    async fn hear_of(&self, opened: &mut Opened) -> Result<(), ReadError> {
        let master = ask::master(opened, &self.master).await?;
        self.council.views.lock().names(self.who, master);
        self.council.changes.send_replace(());
        Ok(())
    }

    async fn listen(&self, address: &Address, place: Place) -> Option<(PubSubSink, PubSubStream)> {
        let (subscriber, meter) = self.dialer.open_subscriber(address, place, self.login.as_ref()).await.ok()?;
        let (mut sink, stream) = subscriber.split();
        let _waiting = meter.ask(NEWS.len());
        timeout(WITHIN, sink.subscribe(&NEWS)).await.ok()?.ok()?;
        Some((sink, stream))
    }
}
