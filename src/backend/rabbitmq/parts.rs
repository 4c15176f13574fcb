//! A number of RabbitMQ's, queue by queue, for people.

use std::{cmp::Reverse, sync::Arc};

use super::{
    measure::{Measure, Mode, Operation, Stats},
    question::Found,
};
use crate::reading::{Cell, Parts, Reading};

const COUNTS: &[&str] = &["queue", "ready", "unacknowledged", "messages"];
const RATES: &[&str] = &["queue", "ready", "unacknowledged", "messages", "published/s", "delivered/s"];

/// Those with the most messages, where there are more than are shown.
pub fn most(stats: &Found) -> Option<Found> {
    if stats.len() <= Parts::MOST {
        return None;
    }
    let mut by_size: Vec<&Stats> = stats.iter().collect();
    by_size.select_nth_unstable_by_key(Parts::MOST, |queue| Reverse(queue.messages));
    by_size.truncate(Parts::MOST);
    Some(by_size.into_iter().cloned().collect::<Arc<[Stats]>>())
}

/// What `of` was made of: these queues, and `omitted` more.
pub fn parts(of: Reading, stats: &[Stats], omitted: usize, measure: &Measure) -> Parts {
    let rates = measure.mode.needs_rates();
    let mut queues: Vec<&Stats> = stats.iter().collect();
    queues.sort_by(|one, other| other.messages.cmp(&one.messages).then_with(|| one.name.cmp(&other.name)));
    let row = |queue: &Stats| {
        let unacknowledged = queue.messages.zip(queue.ready).map(|(all, ready)| all.saturating_sub(ready));
        let counts = [Cell::from(&*queue.name), queue.ready.into(), unacknowledged.into(), queue.messages.into()];
        let of_rates = rates.then(|| [Cell::from(queue.published), Cell::from(queue.delivered)]);
        counts.into_iter().chain(of_rates.into_iter().flatten()).collect()
    };
    Parts {
        of,
        rule: rule(measure, stats.len() + omitted),
        activation: Some(measure.activation),
        columns: if rates { RATES } else { COUNTS },
        rows: queues.into_iter().map(row).collect(),
        omitted,
    }
}

fn rule(measure: &Measure, queues: usize) -> String {
    let what = match (measure.mode, measure.exclude_unacknowledged) {
        (Mode::QueueLength, false) => "messages",
        (Mode::QueueLength, true) => "ready messages (`excludeUnacknowledged`)",
        (Mode::MessageRate, _) => "messages published a second",
        (Mode::DeliverGetRate, _) => "messages delivered a second",
        (Mode::PublishedToDeliveredRatio, _) => "messages published by messages delivered",
        (Mode::ExpectedQueueConsumptionTime, _) => "seconds until all is consumed",
    };
    let over = match measure.operation {
        _ if queues == 1 => return what.to_owned(),
        Operation::Sum => "of all",
        Operation::Avg => "on average of",
        Operation::Max => "at most of",
    };
    format!("{what}, {over} {queues} queues that match")
}
