//! From what RabbitMQ says of queues to a reading: KEDA's five modes and three ways to sum up, with one rule added:
//! a number that is not known is an error, never 0.

use crate::{
    error::{ReadError, ReadErrorKind},
    reading::Reading,
};

/// What one queue is said to hold and do. `None` is not known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// The queue.
    pub name: String,
    /// Ready and unacknowledged messages.
    pub messages: Option<i64>,
    /// Ready messages.
    pub ready: Option<i64>,
    /// Messages published per second.
    pub published: Option<f64>,
    /// Messages delivered or got per second.
    pub delivered: Option<f64>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Messages.
    QueueLength,
    /// Messages published per second.
    MessageRate,
    /// Messages delivered or got per second.
    DeliverGetRate,
    /// The first of these rates by the second.
    PublishedToDeliveredRatio,
    /// Seconds until the queue is empty.
    ExpectedQueueConsumptionTime,
}

/// How several queues become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// All together.
    Sum,
    /// Their mean; of counts without the fraction.
    Avg,
    /// Each number's largest, maybe of different queues.
    Max,
}

/// How a trigger counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What.
    pub mode: Mode,
    /// Active above this.
    pub activation: f64,
    /// Count ready messages only.
    pub exclude_unacknowledged: bool,
    /// With several queues.
    pub operation: Operation,
}

/// The numbers that the modes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    pub messages: i64,
    pub published: f64,
    pub delivered: f64,
}

impl Mode {
    /// Whether rates are needed, which are samples of some seconds ago.
    #[must_use]
    pub fn needs_rates(self) -> bool {
        self != Self::QueueLength
    }
}

impl Measure {
    /// Counts `queues`; none at all count 0, as in KEDA.
    pub fn reading(&self, queues: &[Stats]) -> Result<Reading, ReadError> {
        let totals: Result<Vec<Totals>, ReadError> = queues.iter().map(|queue| self.totals(queue)).collect();
        Ok(self.formula(aggregate(self.operation, &totals?)))
    }

    fn totals(&self, queue: &Stats) -> Result<Totals, ReadError> {
        let messages = if self.exclude_unacknowledged { queue.ready } else { queue.messages };
        let messages = messages.ok_or_else(|| unknown(&queue.name, "number of messages"))?;
        if !self.mode.needs_rates() {
            return Ok(Totals { messages, ..Totals::default() });
        }
        let published = queue.published.ok_or_else(|| unknown(&queue.name, "publish rate"))?;
        let delivered = queue.delivered.ok_or_else(|| unknown(&queue.name, "delivery rate"))?;
        Ok(Totals { messages, published, delivered })
    }

    /// KEDA's formulas. Where nothing is consumed the value is `activationValue`, as there.
    fn formula(&self, Totals { messages, published, delivered }: Totals) -> Reading {
        let activation = self.activation;
        let above = |value: f64| Reading { value: value.max(0.0), active: value > activation };
        let messages_waiting = messages as f64;
        let stuck = Reading { value: activation.max(0.0), active: true };
        match self.mode {
            Mode::QueueLength => above(messages_waiting),
            Mode::MessageRate => {
                let active = published > activation || messages_waiting > activation;
                Reading { value: published.max(0.0), active }
            }
            Mode::DeliverGetRate => above(delivered),
            Mode::PublishedToDeliveredRatio if published <= 0.0 => above(0.0),
            Mode::PublishedToDeliveredRatio if delivered <= 0.0 => stuck,
            Mode::PublishedToDeliveredRatio => above(published / delivered),
            Mode::ExpectedQueueConsumptionTime if messages == 0 => above(0.0),
            Mode::ExpectedQueueConsumptionTime if delivered <= 0.0 => stuck,
            Mode::ExpectedQueueConsumptionTime => {
                above((published - delivered) / delivered + messages_waiting / delivered)
            }
        }
    }
}

/// Each number by itself.
pub fn aggregate(operation: Operation, queues: &[Totals]) -> Totals {
    let zero = Totals::default();
    let sum = queues.iter().fold(zero, |sum, queue| Totals {
        messages: sum.messages.saturating_add(queue.messages),
        published: sum.published + queue.published,
        delivered: sum.delivered + queue.delivered,
    });
    match operation {
        Operation::Sum => sum,
        Operation::Avg => {
            let Some(count) = i64::try_from(queues.len()).ok().filter(|count| *count > 0) else { return zero };
            Totals {
                messages: sum.messages / count,
                published: sum.published / count as f64,
                delivered: sum.delivered / count as f64,
            }
        }
        Operation::Max => queues.iter().fold(zero, |max, queue| Totals {
            messages: max.messages.max(queue.messages),
            published: max.published.max(queue.published),
            delivered: max.delivered.max(queue.delivered),
        }),
    }
}

fn unknown(queue: &str, what: &str) -> ReadError {
    let text = format!(
        "the management API does not say the {what} of queue `{queue}`: check the queue's state, and that the broker \
         keeps statistics (`management.rates_mode`, `management_agent.disable_metrics_collector`)"
    );
    ReadError::new(ReadErrorKind::BadReply, text)
}
