//! One node, kept in touch with: connects, watches over the connection, connects again, and never gives up.
//!
//! Whoever asks is served by the present connection, waits for one that is being made, or is told at once why
//! there is none. `session.rs` is one connection as its askers see it, `keeper.rs` makes and watches them. Not for:
//! which node has a key (`cluster`), what to ask it (`visit.rs`).

mod backoff;
mod keeper;
mod keyspace;
mod session;

pub use keeper::{Setup, Target};
pub use session::{Answer, Pushes};

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

use self::{
    keeper::Keeper,
    session::{State, ready},
};
use crate::{
    backend::redis::{
        client::connect::{Dialer, ask, trouble},
        reply::Command,
    },
    error::{ReadError, ReadErrorKind},
    task::{self, Task},
};

/// The longest wait for replies: more than it takes to find a node frozen, which is the better answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A link; dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    dialer: Arc<Dialer>,
    state: watch::Receiver<State>,
    _keeper: Task,
}

impl Link {
    /// A link to `target`; starts to connect.
    pub fn new(target: Target, setup: Setup) -> Self {
        let (tell, state) = watch::channel(State::Connecting);
        let dialer = Arc::clone(&setup.dialer);
        Self { dialer, state, _keeper: task::spawn(Keeper::new(target, setup, tell).run()) }
    }

    /// Sends `commands` in one go and waits for all replies. A connection that breaks meanwhile costs one more try
    /// on the next, since nothing we send changes anything.
    pub async fn ask(&self, commands: &[Command]) -> Result<Answer, ReadError> {
        let mut state = self.state.clone();
        let mut broken = None;
        let asking = async {
            loop {
                let mut session = ready(&mut state, broken).await?;
                match ask(&self.dialer, &mut session.wire, commands).await {
                    Ok(replies) => return Ok(Answer { replies, place: session.place, pushes: session.pushes }),
                    Err(_) if broken.is_none() => broken = Some(session.number),
                    Err(_) => return Err(trouble::lost(&session.place)),
                }
            }
        };
        timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(|_| Err(self.silent()))
    }

    /// Whether there is a connection now.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    fn silent(&self) -> ReadError {
        match &*self.state.borrow() {
            State::Up(session) => trouble::silent(&session.place, ANSWER_WITHIN),
            State::Down(error) => error.clone(),
            State::Connecting => {
                let text = format!("redis did not become reachable within {ANSWER_WITHIN:?}: see whether it is up");
                ReadError::new(ReadErrorKind::Timeout, text)
            }
        }
    }
}
