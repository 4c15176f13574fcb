//! One node, kept in touch with: connects, watches over the connection, connects again, and never gives up.
//!
//! Whoever asks is served by the present connection, waits for one that is being made, or is told at once why
//! there is none. `session.rs` is one connection as its askers see it, `keeper.rs` makes and watches them. Not for:
//! which node has a key (`cluster`), what to ask it (`visit.rs`).

mod backoff;
mod keeper;
mod keyspace;
mod pulse;
mod session;

pub use keeper::{Setup, Target};
pub use pulse::Pulse;
pub use session::{Answer, NoAnswer, Pushes};

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::Instrument;

use self::{
    keeper::Keeper,
    session::{Session, State, ready},
};
use crate::{
    backend::redis::{client::connect::trouble, refusal::Place, reply::Command},
    error::{ReadError, ReadErrorKind},
    task::{self, Task},
    telemetry::spans,
};

/// The longest wait for replies: more than it takes to find a node frozen, which is the better answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A link; dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    /// For people.
    to: String,
    state: watch::Receiver<State>,
    _keeper: Task,
}

impl Link {
    /// A link to `target`; starts to connect.
    pub fn new(target: Target, setup: Setup) -> Self {
        let (tell, state) = watch::channel(State::Connecting);
        let to = match &target {
            Target::Node(address) => Place::node(address).to_string(),
            Target::Master(_) => "the redis master that the sentinels name".to_owned(),
        };
        let (tell, attempts) = (Arc::new(tell), Arc::default());
        let keep = move || Keeper::new(target.clone(), setup.clone(), Arc::clone(&tell), Arc::clone(&attempts)).run();
        Self { to, state, _keeper: task::supervise("redis link", keep) }
    }

    /// Sends `commands` in one go and waits for all replies. A connection that breaks meanwhile costs one more try
    /// on the next, since nothing we send changes anything; unless it was one of these replies that was too much.
    pub async fn ask(&self, commands: &[Command]) -> Result<Answer, NoAnswer> {
        let mut state = self.state.clone();
        let mut broken = None;
        let asking = async {
            loop {
                let mut session = ready(&mut state, broken).await?;
                match session.wire.ask(commands).await {
                    Ok(replies) => {
                        let Session { wire, pushes, pulse, .. } = session;
                        return Ok(Answer { replies, place: wire.place, pushes, pulse });
                    }
                    Err(why) if why.too_much.is_some() || broken.is_some() => return Err(why.into()),
                    Err(_) => broken = Some(session.number),
                }
            }
        };
        let span = spans::request("redis", "pipeline", &self.to);
        timeout(ANSWER_WITHIN, asking).instrument(span).await.unwrap_or_else(|_| Err(self.silent().into()))
    }

    /// Whether there is a connection now.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    fn silent(&self) -> ReadError {
        match &*self.state.borrow() {
            State::Up(session) => trouble::silent(&session.wire.place, ANSWER_WITHIN),
            State::Down(error) => error.clone(),
            State::Connecting => {
                let text = format!("{} is not reachable within {ANSWER_WITHIN:?}: see whether it is up", self.to);
                ReadError::new(ReadErrorKind::Timeout, text)
            }
        }
    }
}
