//! One AMQP connection with its channels: asks about many queues in one pipelined burst.
//!
//! A passive declare of a queue that is missing makes the broker close the channel, and every call in flight on it
//! fails with that same error. A burst therefore says who was at fault; what it left unanswered is asked again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use lapin::{
    Channel, Connection, Error, ErrorKind, options::QueueDeclareOptions, protocol::AMQPErrorKind, types::FieldTable,
};
use tokio::{runtime::Handle, time::timeout};

use super::{
    dial::Socket,
    trouble::{self, Refusal},
};
use crate::task;

/// lapin never gives back the number of a channel that the broker has closed, and there are 2,047.
const MOST_CLOSED: usize = 1000;
/// For a polite goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a connection asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub channels: usize,
    /// Questions under way on each channel.
    pub at_once: usize,
}

/// Hears how many messages are ready in a queue.
pub(super) type TellReady<'t> = &'t (dyn Fn(&Arc<str>, u32) + Send + Sync);

/// A live connection.
pub(super) struct Link {
    connection: Connection,
    manner: Manner,
    /// Counts declares.
    requests: Arc<AtomicU64>,
    channels: Vec<Channel>,
    /// How many channels the broker has closed.
    closed: usize,
    socket: Socket,
}

/// What one burst came to, besides what was told.
#[derive(Default)]
pub(super) struct Burst {
    /// Queues that the broker refuses to tell of, and why.
    pub refused: Vec<(Arc<str>, Refusal)>,
    /// The connection is gone.
    pub broken: Option<Error>,
}

impl Link {
    pub fn new(connection: Connection, socket: Socket, manner: Manner, requests: Arc<AtomicU64>) -> Self {
        Self { connection, manner, requests, channels: Vec::new(), closed: 0, socket }
    }

    pub fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether it should make place for a new one while it still works.
    pub fn is_worn(&self) -> bool {
        self.closed >= MOST_CLOSED
    }

    /// Asks about `queues` and tells each number of ready messages as it comes. The caller sets the deadline, and
    /// gives this link up when that passes.
    pub async fn burst(&mut self, queues: Vec<Arc<str>>, tell: TellReady<'_>) -> Burst {
        let mut burst = Burst::default();
        if let Err(error) = self.open_channels(queues.len()).await {
            burst.broken = Some(error);
            return burst;
        }
        let per_channel = queues.len().div_ceil(self.channels.len()).max(1);
        let mut shares = queues.chunks(per_channel);
        let channels = std::mem::take(&mut self.channels);
        let asked = channels.into_iter().map(|channel| {
            let share = shares.next().unwrap_or_default();
            self.ask(channel, share, tell)
        });
        let asked = join_all(asked).await;
        for (channel, failure) in asked {
            let Some(Failure { error, refused }) = failure else {
                self.channels.push(channel);
                continue;
            };
            match error.kind() {
                ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)) => self.closed += 1,
                ErrorKind::InvalidChannelState(..) if self.is_alive() => {}
                _ => burst.broken = Some(error),
            }
            burst.refused.extend(refused);
        }
        burst
    }

    /// One channel's share. It ends at the first refusal, with the channel.
    async fn ask(&self, channel: Channel, queues: &[Arc<str>], tell: TellReady<'_>) -> (Channel, Option<Failure>) {
        for run in queues.chunks(self.manner.at_once.max(1)) {
            self.requests.fetch_add(u64::try_from(run.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            let asked = run.iter().map(|queue| {
                let options = QueueDeclareOptions::default().passive();
                let declared = channel.queue_declare(queue.as_ref().into(), options, FieldTable::default());
                declared.map(move |told| match told {
                    Ok(told) => {
                        tell(queue, told.message_count());
                        None
                    }
                    Err(error) => Some((queue, error)),
                })
            });
            // In the order in which they were sent, which is the order of the broker's answers.
            let failed: Vec<(&Arc<str>, Error)> = join_all(asked).await.into_iter().flatten().collect();
            if let Some((first, error)) = failed.first() {
                let names = failed.iter().map(|(queue, _)| *queue);
                let refused =
                    trouble::refusal(names, error).map(|(named, why)| (Arc::clone(named.unwrap_or(first)), why));
                return (channel, Some(Failure { error: error.clone(), refused }));
            }
        }
        (channel, None)
    }

    /// No more than there are questions.
    async fn open_channels(&mut self, questions: usize) -> Result<(), Error> {
        self.channels.retain(|channel| channel.status().connected());
        let missing = self.manner.channels.min(questions).saturating_sub(self.channels.len());
        let mut refused = None;
        for channel in join_all((0..missing).map(|_| self.connection.create_channel())).await {
            match channel {
                Ok(channel) => self.channels.push(channel),
                Err(error) => refused = Some(error),
            }
        }
        // A limit on channels may leave us with fewer.
        refused.filter(|_| self.channels.is_empty()).map_or(Ok(()), Err)
    }

    /// Says goodbye, away from whoever is in a hurry.
    pub fn retire(self) {
        // At the very end there is nobody left to say it.
        if Handle::try_current().is_err() {
            return;
        }
        let Self { connection, socket, .. } = self;
        task::detach(async move {
            timeout(GOODBYE, connection.close(200, "OK".into())).await.ok();
            drop(socket);
        });
    }
}

/// Why a channel is no more, and which queue's fault that is, if one's.
struct Failure {
    error: Error,
    refused: Option<(Arc<str>, Refusal)>,
}
