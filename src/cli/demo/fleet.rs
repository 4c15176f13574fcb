//! The fleet: one real Kafka consumer per replica, started and stopped as the scaler says.
//!
//! The partitions are dealt out by the fleet (`assign`), not by a group rebalance, which takes the embedded
//! broker three seconds. Each replica works off one message at a time and commits, at least once, as usual.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::Message,
};
use tokio::{
    sync::{oneshot, watch},
    task::spawn_blocking,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Topic},
    cluster::{GROUP, PARTITIONS, TOPIC},
};
use crate::task::{self, Task};

/// How long one replica works on one message.
const WORK: Duration = Duration::from_millis(200);

/// The consumers that run now.
pub(super) struct Fleet {
    servers: String,
    board: Board,
    /// How long a replica takes to start, as a pod would.
    start: Duration,
    replicas: Vec<Replica>,
}

struct Replica {
    consumer: Arc<StreamConsumer>,
    /// While it has partitions.
    work: Option<Work>,
}

struct Work {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
    _task: Task,
}

impl Fleet {
    pub(super) fn new(servers: String, board: Board, start: Duration) -> Self {
        Self { servers, board, start, replicas: Vec::new() }
    }

    /// Follows the wanted number of replicas for ever.
    pub(super) async fn run(&mut self, mut wanted: watch::Receiver<u32>) -> Result<()> {
        loop {
            let mut replicas = *wanted.borrow_and_update();
            if usize::try_from(replicas)? > self.replicas.len() {
                sleep(self.start).await;
                replicas = replicas.min(*wanted.borrow());
            }
            self.scale(usize::try_from(replicas)?).await?;
            wanted.changed().await?;
        }
    }

    /// Stops every consumer; each commits what it has done.
    pub(super) async fn close(&mut self) {
        if let Err(error) = self.scale(0).await {
            self.board.say(Topic::Trouble, format!("a consumer did not stop well: {error:#}"));
        }
    }

    /// Takes all partitions back, changes the number of consumers and deals the partitions out again.
    async fn scale(&mut self, replicas: usize) -> Result<()> {
        try_join_all(self.replicas.iter_mut().map(Replica::stop)).await?;
        let surplus = self.replicas.split_off(replicas.min(self.replicas.len()));
        // A consumer's end blocks until the broker has heard of it.
        try_join_all(surplus.into_iter().map(|replica| spawn_blocking(move || drop(replica)))).await?;
        while self.replicas.len() < replicas {
            self.replicas.push(Replica::start(&self.servers, self.replicas.len())?);
        }
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            replica.assign(number, replicas, &self.board)?;
        }
        let at_work = u32::try_from(replicas)?;
        self.board.note(|facts| facts.at_work = at_work);
        Ok(())
    }
}

impl Replica {
    fn start(servers: &str, number: usize) -> Result<Self> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("client.id", format!("{GROUP}-{number}"))
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("auto.commit.interval.ms", "200")
            .set("enable.auto.offset.store", "false")
            // The embedded broker lets a reader wait this long even when messages come.
            .set("fetch.wait.max.ms", "50")
            .create()
            .context("a consumer did not start")?;
        Ok(Self { consumer: Arc::new(consumer), work: None })
    }

    /// Works on each partition whose turn is `number` among `replicas`, from where the group stands.
    fn assign(&mut self, number: usize, replicas: usize, board: &Board) -> Result<()> {
        let mut partitions = TopicPartitionList::new();
        for partition in (0..PARTITIONS).skip(number).step_by(replicas) {
            partitions.add_partition_offset(TOPIC, partition, Offset::Stored)?;
        }
        self.consumer.assign(&partitions).context("a consumer did not take its partitions")?;
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel();
        let (consumer, stopped, board) = (Arc::clone(&self.consumer), stop.clone(), board.clone());
        let task = task::spawn(async move {
            work(consumer, stopped, board).await;
            drop(end);
        });
        self.work = Some(Work { stop, ended, _task: task });
        Ok(())
    }

    /// Stops working and commits, so that another replica goes on where this one stood.
    async fn stop(&mut self) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        work.stop.cancel();
        // Its sender is dropped, never used: the work has ended.
        work.ended.await.ok();
        let consumer = Arc::clone(&self.consumer);
        spawn_blocking(move || {
            // An error here is "nothing new to commit", or it is met again by who reads next.
            consumer.commit_consumer_state(CommitMode::Sync).ok();
            consumer.unassign()
        })
        .await?
        .context("a consumer did not give its partitions back")
    }
}

/// Works off one message after the other until told to stop; a message half done is left to the next reader.
async fn work(consumer: Arc<StreamConsumer>, stop: CancellationToken, board: Board) {
    let one_message = async || {
        let message = consumer.recv().await?;
        sleep(WORK).await;
        consumer.store_offset(message.topic(), message.partition(), message.offset())
    };
    loop {
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            done = one_message() => done,
        };
        match done {
            Ok(()) => board.note(|facts| facts.worked_off += 1),
            Err(error) => {
                board.say(Topic::Trouble, format!("a consumer met an error: {error}"));
                sleep(WORK).await;
            }
        }
    }
}
