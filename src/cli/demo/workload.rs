//! The producer: long spells of nothing, then a burst.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::{Instant, sleep};

use super::{
    board::{Board, Facts, Topic},
    cluster::{PARTITIONS, TOPIC},
};

/// The sizes of the bursts, in turn: work for ten replicas, for four, for seven.
const BURSTS: [u32; 3] = [200, 80, 140];
/// How long one message may take to the broker.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes to the topic.
pub(super) struct Workload {
    producer: FutureProducer,
    board: Board,
    /// How long nothing happens before a burst.
    idle: Duration,
}

impl Workload {
    pub(super) fn new(servers: &str, board: Board, idle: Duration) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("linger.ms", "0")
            .create()
            .context("the producer did not start")?;
        Ok(Self { producer, board, idle })
    }

    /// Cycle after cycle, `cycles` of them or for ever: idle, a burst, and no more until it is worked off and the
    /// replicas are gone.
    pub(super) async fn run(&self, cycles: Option<usize>) -> Result<()> {
        for burst in BURSTS.into_iter().cycle().take(cycles.unwrap_or(usize::MAX)) {
            self.board.say(Topic::Quiet, "idle: nothing to do, 0 replicas");
            sleep(self.idle).await;
            self.burst(burst).await?;
            self.until(|facts| facts.replicas > 0).await?;
            self.until(|facts| facts.waiting() == 0 && facts.replicas == 0 && facts.at_work == 0).await?;
            self.board.note(|facts| facts.cycles += 1);
        }
        Ok(())
    }

    async fn burst(&self, messages: u32) -> Result<()> {
        self.board.note(|facts| {
            facts.burst = u64::from(messages);
            facts.produced += u64::from(messages);
            facts.say(Topic::Work, format!("burst of {messages} messages"));
            facts.burst_at = Some(Instant::now());
        });
        let sends = (0..PARTITIONS).cycle().zip(0..messages).map(async |(partition, number)| {
            let (key, payload) = (format!("order-{number}"), "one order");
            let record = FutureRecord::to(TOPIC).partition(partition).key(&key).payload(payload);
            self.producer.send(record, SEND_TIMEOUT).await.map_err(|(error, _)| error)
        });
        try_join_all(sends).await.context("the embedded Kafka did not take a message")?;
        Ok(())
    }

    async fn until(&self, condition: impl FnMut(&Facts) -> bool) -> Result<()> {
        self.board.watch().wait_for(condition).await?;
        Ok(())
    }
}
