//! Makes the connections of a link, one after the other, and watches over the present one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tracing::warn;

use super::{
    backoff::Backoff,
    keyspace::Keyspace,
    pulse::Pulse,
    session::{Pushes, Session, State},
};
use crate::{
    backend::redis::{
        address::Address,
        bells::Bells,
        client::{
            connect::{Crossed, Dialer, Opened, Wire, not_serving, trouble},
            sentinel::{self, Sentinels},
        },
        reply::{Command, Reply},
    },
    error::ReadError,
};

/// How often a node is asked whether it lives: a frozen one is silent, not gone.
const BEAT: Duration = Duration::from_secs(1);
/// How long it may take to say so.
pub(super) const BEAT_WITHIN: Duration = Duration::from_secs(2);
/// How long no news is taken after a flood of it.
const QUIET: Duration = Duration::from_secs(60);
/// A connection that held this long was a good one.
const HELD: Duration = Duration::from_secs(1);

/// Which node a link is to.
#[derive(Debug, Clone)]
pub enum Target {
    /// The one at this address.
    Node(Address),
    /// Whatever node the sentinels say is master.
    Master(Arc<Sentinels>),
}

/// What a link needs from its owner.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Opens connections.
    pub dialer: Arc<Dialer>,
    /// Rung when keys change, all of them when changes may have been missed.
    pub bells: Arc<Bells>,
    /// Told when a connection is lost or cannot be made.
    pub trouble: Arc<Notify>,
}

/// Keeps one link.
pub struct Keeper {
    target: Target,
    setup: Setup,
    tell: Arc<watch::Sender<State>>,
    backoff: Backoff,
    /// Attempts so far, by those who kept the link before too.
    attempts: Arc<AtomicU64>,
    /// No news is taken until then: there was too much of it.
    quiet_until: Option<Instant>,
    told_of_flood: bool,
}

/// Why a connection has come to its end.
enum End {
    /// It broke.
    Lost,
    /// It is of no use any more.
    Unfit(ReadError),
    /// Another one would be of more use.
    Stale,
}

impl Keeper {
    /// Keeps a link to `target` and tells how it stands.
    pub fn new(target: Target, setup: Setup, tell: Arc<watch::Sender<State>>, attempts: Arc<AtomicU64>) -> Self {
        Self { target, setup, tell, backoff: Backoff::default(), attempts, quiet_until: None, told_of_flood: false }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            match self.open().await {
                Ok(opened) => self.serve(opened).await,
                Err(error) => {
                    self.tell.send_replace(State::Down(error));
                }
            }
            self.setup.trouble.notify_one();
            self.backoff.wait().await;
        }
    }

    async fn open(&mut self) -> Result<(Opened, Pushes, Address), ReadError> {
        let Setup { dialer, bells, .. } = &self.setup.clone();
        let address = match &self.target {
            Target::Node(address) => address.clone(),
            Target::Master(sentinels) => sentinels.master().await?,
        };
        let is_quiet = self.quiet_until.is_some();
        let mut opened = dialer.open(&address, Some(bells).filter(|_| !is_quiet)).await?;
        if let Err(error) = self.beat(&mut opened).await.unwrap_or_else(|| Err(opened.wire.why_lost())) {
            self.heed_flood(&opened.wire, &Pushes::Tracking, Instant::now());
            return Err(error);
        }
        let pushes = if opened.tracks {
            Pushes::Tracking
        } else if is_quiet {
            Pushes::None
        } else {
            Keyspace::start(dialer, &address, &mut opened.wire, bells).await.map_or(Pushes::None, Pushes::Keyspace)
        };
        Ok((opened, pushes, address))
    }

    /// Serves until the connection is of no use.
    async fn serve(&mut self, (mut opened, pushes, address): (Opened, Pushes, Address)) {
        let wire = opened.wire.clone();
        let number = self.attempts.load(Ordering::Relaxed);
        let pulse = Pulse::new(&wire);
        let session = Session { number, wire: wire.clone(), pushes: pushes.clone(), pulse };
        self.tell.send_replace(State::Up(session));
        if number > 1 {
            // Nothing is armed on a new connection, and what happened in between was not heard.
            self.setup.bells.ring_all();
        }
        let since = Instant::now();
        let end = tokio::select! {
            end = self.watch_over(&mut opened, &pushes) => end,
            () = self.leave(&address) => End::Stale,
        };
        // Who crosses a bound when asked for one key is soon needed for the others.
        if since.elapsed() >= HELD || wire.crossed().is_some_and(Crossed::is_of_one_reply) {
            self.backoff.reset();
        }
        self.heed_flood(&wire, &pushes, since);
        let harmful = wire.crossed().is_some_and(|crossed| !crossed.is_of_one_reply());
        // The state first: those whose replies are cut off by what follows look there for the reason.
        self.tell.send_replace(match end {
            End::Stale => State::Connecting,
            End::Lost if self.backoff.is_brief() && !harmful => State::Connecting,
            End::Lost => State::Down(wire.why_lost()),
            End::Unfit(error) => State::Down(error),
        });
    }

    /// Waits until the node at `address` is not the one we want any more, whatever it says itself.
    async fn leave(&self, address: &Address) {
        match &self.target {
            Target::Master(sentinels) => sentinels.leave(address).await,
            Target::Node(_) => std::future::pending().await,
        }
    }

    async fn watch_over(&self, opened: &mut Opened, pushes: &Pushes) -> End {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut opened.gone => return End::Lost,
                _ = beats.tick() => {}
            }
            if matches!(pushes, Pushes::Keyspace(keyspace) if keyspace.has_ended()) {
                return End::Lost;
            }
            if self.quiet_until.is_some_and(|until| until <= Instant::now()) {
                return End::Stale;
            }
            match self.beat(opened).await {
                Some(Ok(())) => {}
                Some(Err(error)) => return End::Unfit(error),
                None => return End::Lost,
            }
        }
    }

    /// After more news than anybody can have asked for the keys are looked at by the clock for a while.
    fn heed_flood(&mut self, wire: &Wire, pushes: &Pushes, since: Instant) {
        let flooded = wire.crossed() == Some(Crossed::Flood)
            || matches!(pushes, Pushes::Keyspace(keyspace) if keyspace.was_flooded());
        let was_quiet = self.quiet_until.is_some();
        if flooded {
            if !self.told_of_flood {
                let place = &wire.place;
                warn!(
                    %place,
                    quiet = ?QUIET,
                    "redis floods us with news: its keys are looked at by the clock for a while, so that wakes are late by a \
                     `pollingInterval`; a Redis of their own would spare queues the changes of other keys"
                );
            }
            self.told_of_flood = true;
            self.quiet_until = Some(Instant::now() + QUIET);
            return;
        }
        self.told_of_flood &= was_quiet || since.elapsed() < QUIET;
        self.quiet_until = self.quiet_until.filter(|until| *until > Instant::now());
    }

    /// Asks the node whether it lives and is still what we want; `None` when the connection is gone. A master is
    /// asked for its role, since one that was demoted keeps answering; who has no right to that relies on
    /// Sentinel, which closes the connections of a master that it demotes.
    async fn beat(&self, opened: &mut Opened) -> Option<Result<(), ReadError>> {
        let place = &opened.wire.place.clone();
        let mut commands = vec![Command::new("PING", [])];
        if matches!(self.target, Target::Master(_)) && opened.tells_role {
            commands.push(Command::new("ROLE", []));
        }
        let replies = match timeout(BEAT_WITHIN, opened.wire.ask(&commands)).await {
            Ok(Ok(replies)) => replies,
            Ok(Err(_)) => return None,
            Err(_) => return Some(Err(trouble::silent(place, BEAT_WITHIN))),
        };
        if let Some(error) = replies.iter().filter_map(Reply::refusal).find_map(|refusal| not_serving(place, refusal)) {
            return Some(Err(error));
        }
        let role = replies.get(1);
        if role.and_then(Reply::refusal).is_some() {
            opened.tells_role = false;
        }
        let role = role.and_then(|role| role.items().first()).and_then(Reply::text);
        Some(if role.is_some_and(|role| role != "master") { Err(sentinel::demoted(place)) } else { Ok(()) })
    }
}
