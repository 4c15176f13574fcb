//! Whether what was armed on a connection and has not rung is unchanged: yes, once the server has answered a `PING` of now, since it
//! sends its news before it answers what comes after.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::keeper::BEAT_WITHIN;
use crate::backend::{
    batch::{Ask, Batcher},
    redis::{
        client::connect::Wire,
        reply::{Command, Reply},
    },
};

/// Signs of life of one connection; whoever asks at the same moment shares one.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Batcher<(), bool>>);

impl Pulse {
    /// Of the connection behind `wire`.
    pub(super) fn new(wire: &Wire) -> Self {
        let wire = wire.clone();
        Self(Arc::new(Batcher::new(Duration::ZERO, move |batch| answer(wire.clone(), batch))))
    }

    /// Whether the server answers on this connection now; not while a script holds it up.
    pub async fn beats(&self) -> bool {
        self.0.ask(()).await.unwrap_or(false)
    }
}

async fn answer(mut wire: Wire, batch: Vec<Ask<(), bool>>) {
    let replies = timeout(BEAT_WITHIN, wire.ask(&[Command::new("PING", [])])).await;
    let replies = replies.ok().and_then(Result::ok).unwrap_or_default();
    let beats = replies.first().is_some_and(|pong: &Reply| pong.refusal().is_none());
    batch.into_iter().for_each(|ask| ask.answer(Ok(beats)));
}
