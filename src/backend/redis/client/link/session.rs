//! One connection of a link as its askers see it, and the answers it gives.

use tokio::sync::watch;

use super::{keyspace::Keyspace, pulse::Pulse};
use crate::{
    backend::redis::{
        client::connect::{Broken, Wire},
        refusal::Place,
        reply::Reply,
    },
    error::{ReadError, ReadErrorKind},
};

/// Replies, and who gave them.
#[derive(Debug)]
pub struct Answer {
    /// In the order of the commands.
    pub replies: Vec<Reply>,
    /// Who.
    pub place: Place,
    /// How changes of the keys will be known.
    pub pushes: Pushes,
    /// Whether that can be relied on.
    pub pulse: Pulse,
}

/// Why there is none.
#[derive(Debug)]
pub struct NoAnswer {
    /// For the askers.
    pub error: ReadError,
    /// The command whose reply was too much, if that was it: the others may be answered without it.
    pub too_much: Option<usize>,
}

impl From<ReadError> for NoAnswer {
    fn from(error: ReadError) -> Self {
        Self { error, too_much: None }
    }
}

impl From<Broken> for NoAnswer {
    fn from(Broken { error, too_much, .. }: Broken) -> Self {
        Self { error, too_much }
    }
}

/// How a node tells of changes of a key that was read.
#[derive(Debug, Clone)]
pub enum Pushes {
    /// By invalidations: the read has armed one.
    Tracking,
    /// By keyspace notifications, for kinds of keys that have them.
    Keyspace(Keyspace),
    /// Not at all: look again.
    None,
}

/// How a link stands.
#[derive(Debug, Clone)]
pub enum State {
    /// Not yet, or not again.
    Connecting,
    /// By this connection.
    Up(Session),
    /// There is none, for this reason.
    Down(ReadError),
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Session {
    /// Tells connections of one link apart.
    pub number: u64,
    /// Takes commands.
    pub wire: Wire,
    /// How the node tells of changes.
    pub pushes: Pushes,
    /// When it last lived.
    pub pulse: Pulse,
}

/// The present session, or the next after number `broken`, or why there is none.
pub async fn ready(state: &mut watch::Receiver<State>, broken: Option<u64>) -> Result<Session, ReadError> {
    let usable = |state: &State| match state {
        State::Connecting => false,
        State::Up(session) => Some(session.number) != broken,
        State::Down(_) => true,
    };
    let gone = |_| ReadError::new(ReadErrorKind::Unreachable, "the server is shutting down");
    match &*state.wait_for(usable).await.map_err(gone)? {
        State::Up(session) => Ok(session.clone()),
        State::Down(error) => Err(error.clone()),
        State::Connecting => Err(ReadError::new(ReadErrorKind::Internal, "a link neither up nor down")),
    }
}
