//! Offsets in, lag out: the arithmetic of KEDA's Kafka scalers, without any broker.
//!
//! Per partition a lag, over them a total, on the total a cap. Not for: where offsets come from (`client`), which
//! partitions count (`partitions.rs`). Where this parts from KEDA's letter, `docs/backends/kafka.md` says so and why.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::client::{Commit, PartitionOffsets};
use crate::{
    error::{ReadError, ReadErrorKind},
    reading::Reading,
};

/// What a trigger says about counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What one replica can carry; greater than zero.
    pub lag_threshold: i64,
    /// Active above this; not negative.
    pub activation_lag_threshold: i64,
    /// Where a consumer starts that has no commit.
    pub reset_policy: ResetPolicy,
    /// A partition without a commit counts for nothing.
    pub zero_without_commit: bool,
    /// More replicas than partitions may be asked for.
    pub allow_idle_consumers: bool,
    /// No more replicas than partitions that have lag.
    pub limit_to_partitions_with_lag: bool,
    /// Only as many replicas as divide the partitions evenly.
    pub even_distribution: bool,
    /// Leave out lag whose commit has not moved for this long; `None` counts it.
    pub exclude_persistent_after: Option<Duration>,
}

/// Where a consumer starts that has no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetPolicy {
    /// At the end.
    Latest,
    /// At the oldest record still in the log.
    Earliest,
}

/// What is remembered from look to look to tell lag that somebody works on from lag that nobody does.
#[derive(Debug, Default)]
pub struct Memory(HashMap<(Arc<str>, i32), Standstill>);

/// Since when a partition has had lag with its commit at the same place.
#[derive(Debug, Clone, Copy)]
struct Standstill {
    committed: i64,
    since: Instant,
}

/// One look at a group, counted.
///
/// # Errors
/// `BadReply` when the broker left something out without which the group might look idle and not be.
pub fn measure(
    offsets: &[PartitionOffsets],
    settings: &Settings,
    memory: &mut Memory,
    now: Instant,
) -> Result<Reading, ReadError> {
    let totals = Totals::of(offsets, settings, memory, now)?;
    let active = totals.lag_with_persistent > i128::from(settings.activation_lag_threshold);
    if let (false, Some(unknown)) = (active, &totals.unknown) {
        return Err(left_out(unknown, "end offset"));
    }
    Ok(Reading { value: as_metric(totals.capped(settings)), active })
}

/// Sums over all partitions. In `i128`, which no number of partitions can overflow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lag that counts for the metric.
    pub lag: i128,
    /// The same with the persistent lag: what decides about activity.
    pub lag_with_persistent: i128,
    /// Partitions whose end is known.
    pub partitions: u32,
    /// Those of them that have lag that counts.
    pub lagging: u32,
    /// A partition whose end is not known, if there is one: the sums are only a lower bound then.
    pub unknown: Option<PartitionOffsets>,
}

impl Totals {
    /// Counts, and moves the memory on.
    pub fn of(
        offsets: &[PartitionOffsets],
        settings: &Settings,
        memory: &mut Memory,
        now: Instant,
    ) -> Result<Self, ReadError> {
        let mut totals = Self::default();
        let mut seen = Memory::default();
        for partition in offsets {
            let Some(lag) = lag_of(partition, settings)? else {
                totals.unknown = Some(partition.clone());
                continue;
            };
            let persistent = settings.exclude_persistent_after.is_some_and(|after| {
                let standing = seen.carry_over(memory, partition, lag, now);
                standing.is_some_and(|since| now.duration_since(since) >= after)
            });
            totals.lag_with_persistent += i128::from(lag);
            totals.partitions += 1;
            if !persistent {
                totals.lag += i128::from(lag);
                totals.lagging += u32::from(lag > 0);
            }
        }
        // What was not seen this time is forgotten, so the memory is never larger than an answer.
        *memory = seen;
        Ok(totals)
    }

    /// The lag that the HPA gets: no more than what the useful replicas can carry.
    #[must_use]
    pub fn capped(&self, settings: &Settings) -> i128 {
        let Settings { allow_idle_consumers, limit_to_partitions_with_lag, even_distribution, .. } = *settings;
        if allow_idle_consumers && !limit_to_partitions_with_lag && !even_distribution {
            return self.lag;
        }
        let threshold = i128::from(settings.lag_threshold);
        let replicas = if limit_to_partitions_with_lag { self.lagging } else { self.partitions };
        let wanted = if even_distribution && self.lag > 0 {
            i128::from(even_replicas(self.lag, self.partitions, threshold)) * threshold
        } else {
            self.lag
        };
        wanted.min(i128::from(replicas) * threshold)
    }
}

/// One partition's whole lag, never negative; `None` when it takes an end that is not known.
pub(super) fn lag_of(partition: &PartitionOffsets, settings: &Settings) -> Result<Option<i64>, ReadError> {
    let committed = match partition.committed {
        Commit::Missing => return Err(left_out(partition, "committed offset")),
        Commit::None if settings.zero_without_commit => return Ok(Some(0)),
        Commit::None if settings.reset_policy == ResetPolicy::Latest => return Ok(Some(1)),
        Commit::None => 0,
        Commit::Offset(offset) => offset,
    };
    // A consumer cannot read what retention has deleted: it goes on at the start of the log.
    let next = partition.start.map_or(committed, |start| committed.max(start));
    Ok(partition.end.map(|end| end.saturating_sub(next).max(0)))
}

impl Memory {
    /// Since when a partition with lag has had its commit where it is, as far as is known.
    pub(super) fn since(&self, partition: &PartitionOffsets) -> Option<Instant> {
        let standing = self.0.get(&(Arc::clone(&partition.topic), partition.partition))?;
        (Commit::Offset(standing.committed) == partition.committed).then_some(standing.since)
    }

    /// Notes where `partition` stands. The answer is since when, if `before` knew it there: only of a partition
    /// with a commit and with lag, as an idle one has nothing to commit.
    fn carry_over(&mut self, before: &Self, partition: &PartitionOffsets, lag: i64, now: Instant) -> Option<Instant> {
        let Commit::Offset(committed) = partition.committed else { return None };
        if lag == 0 {
            return None;
        }
        let key = (Arc::clone(&partition.topic), partition.partition);
        let standing = before.0.get(&key).filter(|before| before.committed == committed).map(|before| before.since);
        self.0.insert(key, Standstill { committed, since: standing.unwrap_or(now) });
        standing
    }
}

/// The smallest divisor of `partitions` whose replicas can carry `lag`, or all of them.
pub fn even_replicas(lag: i128, partitions: u32, threshold: i128) -> u32 {
    let carries = |replicas: &u32| i128::from(*replicas) * threshold >= lag;
    (1..=partitions).filter(|replicas| partitions.is_multiple_of(*replicas)).find(carries).unwrap_or(partitions)
}

fn left_out(partition: &PartitionOffsets, what: &str) -> ReadError {
    let PartitionOffsets { topic, partition, .. } = partition;
    let text = format!(
        "the broker left the {what} of partition {partition} of topic `{topic}` out of its answer: look at the broker's log"
    );
    ReadError::new(ReadErrorKind::BadReply, text)
}

/// A count as the HPA gets it: a float is exact up to 2⁵³ messages and near enough beyond.
pub fn as_metric(count: i128) -> f64 {
    count as f64
}
