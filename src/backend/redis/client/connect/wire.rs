//! A connection that takes commands, with what is known of why it broke.

use std::sync::Arc;

use redis::{Pipeline, aio::MultiplexedConnection};

use super::{
    meter::{Crossed, Meter},
    terms, trouble,
};
use crate::{
    backend::{
        Account,
        redis::{
            refusal::Place,
            reply::{Command, Reply},
        },
    },
    error::ReadError,
};

/// Takes commands; a clone shares the connection.
#[derive(Debug, Clone)]
pub struct Wire {
    connection: MultiplexedConnection,
    meter: Arc<Meter>,
    /// On which commands are counted.
    account: Account,
    /// Who is at the other end.
    pub place: Place,
}

/// A connection that broke before all replies were there.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub error: ReadError,
    /// Whether a bound was crossed.
    pub crossed: bool,
    /// The command whose reply was too much, if that was it and it was one of ours.
    pub too_much: Option<usize>,
}

impl Wire {
    /// Over `connection`, whose bytes pass the guard that tells `meter`.
    pub fn new(connection: MultiplexedConnection, meter: Arc<Meter>, account: Account, place: Place) -> Self {
        Self { connection, meter, account, place }
    }

    /// Sends `commands` in one go and waits for all replies; refusals are replies.
    pub async fn ask(&mut self, commands: &[Command]) -> Result<Vec<Reply>, Broken> {
        self.account.sent(u64::try_from(commands.len()).unwrap_or(u64::MAX));
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(terms::pack(command));
        }
        let waiting = self.meter.ask(commands.len());
        match self.connection.send_packed_commands(&pipeline, 0, commands.len()).await {
            Ok(values) => Ok(values.into_iter().map(terms::reply).collect()),
            Err(_) => Err(Broken {
                error: self.why_lost(),
                crossed: self.meter.crossed().is_some(),
                too_much: self.too_much(waiting.first, commands.len()),
            }),
        }
    }

    /// Why it is of no use, when it is gone.
    pub fn why_lost(&self) -> ReadError {
        self.meter
            .crossed()
            .map_or_else(|| trouble::lost(&self.place), |crossed| trouble::crossed(&self.place, crossed))
    }

    /// What the other end has crossed.
    pub fn crossed(&self) -> Option<Crossed> {
        self.meter.crossed()
    }

    fn too_much(&self, first: u64, commands: usize) -> Option<usize> {
        self.meter.crossed().filter(|crossed| crossed.is_of_one_reply())?;
        let place = self.meter.answered().checked_sub(first)?;
        usize::try_from(place).ok().filter(|place| *place < commands)
    }
}
