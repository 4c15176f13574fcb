//! A lag, partition by partition, for people: what `lag.rs` has counted, and why where a number is not as it seems.

use tokio::time::Instant;

use super::{
    client::{Commit, PartitionOffsets},
    lag::{Memory, ResetPolicy, Settings, Totals, lag_of},
};
use crate::{
    error::counted,
    reading::{Cell, Parts, Reading},
};

const COLUMNS: &[&str] = &["topic", "partition", "end", "committed", "lag", "remark"];

/// What `of` was made of by the look at `at` that left `memory`.
pub fn parts(of: Reading, offsets: &[PartitionOffsets], settings: &Settings, memory: &Memory, at: Instant) -> Parts {
    let mut totals = Totals::default();
    let mut rows: Vec<(i64, &PartitionOffsets, String)> = Vec::new();
    for partition in offsets {
        // What was left out of an answer has made the look fail, or is unknown.
        let lag = lag_of(partition, settings).ok().flatten();
        let since = memory.since(partition);
        let stands =
            settings.exclude_persistent_after.zip(since).filter(|(after, since)| *since < at && at - *since >= *after);
        if let Some(lag) = lag {
            totals.partitions += 1;
            if stands.is_none() {
                totals.lag += i128::from(lag);
                totals.lagging += u32::from(lag > 0);
            }
        }
        let stood = stands.map(|(_, since)| (at - since).as_secs());
        rows.push((lag.unwrap_or(-1), partition, remark(partition, settings, stood)));
    }
    rows.sort_by(|(one, first, _), (other, second, _)| {
        let place = |partition: &PartitionOffsets| (partition.topic.to_string(), partition.partition);
        other.cmp(one).then_with(|| place(first).cmp(&place(second)))
    });
    let omitted = rows.len().saturating_sub(Parts::MOST);
    let row = |(lag, partition, remark): (i64, &PartitionOffsets, String)| {
        let committed = match partition.committed {
            Commit::Offset(offset) => Cell::from(offset),
            Commit::None | Commit::Missing => Cell::Unknown,
        };
        vec![
            Cell::from(&*partition.topic),
            Cell::from(i64::from(partition.partition)),
            Cell::from(partition.end),
            committed,
            Cell::from(Some(lag).filter(|lag| *lag >= 0)),
            Cell::Text(remark),
        ]
    };
    Parts {
        of,
        rule: rule(&totals, settings),
        activation: Some(settings.activation_lag_threshold as f64),
        columns: COLUMNS,
        rows: rows.into_iter().take(Parts::MOST).map(row).collect(),
        omitted,
    }
}

fn remark(partition: &PartitionOffsets, settings: &Settings, stood: Option<u64>) -> String {
    let skipped = partition.start.zip(match partition.committed {
        Commit::Offset(offset) => Some(offset),
        _ => None,
    });
    match (partition.committed, skipped) {
        _ if partition.end.is_none() && partition.committed != Commit::None => {
            "the broker did not say its end".to_owned()
        }
        (Commit::Missing, _) => "the broker did not say what is committed".to_owned(),
        (Commit::None, _) if settings.zero_without_commit => {
            "nothing is committed: counts 0, as `scaleToZeroOnInvalidOffset` says".to_owned()
        }
        (Commit::None, _) if settings.reset_policy == ResetPolicy::Latest => {
            "nothing is committed: counts 1, so that a consumer comes and commits".to_owned()
        }
        (Commit::None, _) => "nothing is committed: counts from the beginning".to_owned(),
        _ if stood.is_some() => format!(
            "the commit has stood still for {} s: left out of the value, as `excludePersistentLag` says",
            stood.unwrap_or_default()
        ),
        (_, Some((start, committed))) if start > committed => {
            let gone = start.saturating_sub(committed);
            format!("not counted: {}, deleted before anybody read that far", counted(gone, "record"))
        }
        _ => String::new(),
    }
}

fn rule(totals: &Totals, settings: &Settings) -> String {
    let Totals { lag, partitions, lagging, .. } = totals;
    let (value, threshold) = (totals.capped(settings), settings.lag_threshold);
    let sum = format!("the sum of the lags, {lag}");
    if value == *lag {
        return sum;
    }
    let (count, which) = if settings.limit_to_partitions_with_lag {
        (lagging, "with lag (`limitToPartitionsWithLag`)")
    } else {
        (partitions, "(more consumers would be idle, `allowIdleConsumers`)")
    };
    if settings.even_distribution && value > *lag {
        return format!(
            "{sum}, made {value} so that {threshold} for each replica divide the {} evenly \
             (`ensureEvenDistributionOfPartitions`)",
            counted(partitions, "partition")
        );
    }
    format!("{sum}, capped at {value}: {threshold} for each of {} {which}", counted(count, "partition"))
}
