//! The recorded looks at a group: offsets in, metric and activity out.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    super::super::{
        client::{Commit, PartitionOffsets, Topics},
        count,
        lag::{Memory, Totals},
        spec::Spec,
    },
    VECTORS, dialect, metadata,
};
use crate::{backend::recorded::Difference, metadata::Reader, net::Reach};

/// One look: the metric, the lag with its persistent part, activity; or an error.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Look {
    Counted { value: f64, with_persistent: i64, active: bool },
    Refused,
}

/// What KEDA evaluates, it evaluates about every 10 to 30 s.
const BETWEEN_LOOKS: Duration = Duration::from_secs(15);

const DIFFERENCES: [Difference<Vec<Look>>; 16] = [
    Difference {
        why: "without a commit, what retention has deleted is no lag (as in KEDA's later versions)",
        ids: &["kafka-lag-earliest-uncommitted"],
        ours: |looks| *looks == [counted(14.0, 14, true)],
    },
    Difference {
        why: "the same, and no work at all is left",
        ids: &["kafka-lag-earliest-uncommitted-empty-retained", "apache-kafka-lag-earliest-uncommitted-empty-retained"],
        ours: |looks| *looks == [counted(0.0, 0, false)],
    },
    Difference {
        why: "the same with a commit that is older than the log",
        ids: &["kafka-lag-committed-below-start"],
        ours: |looks| *looks == [counted(10.0, 10, true)],
    },
    Difference {
        why: "a commit beyond the end is no negative lag that hides another partition's",
        ids: &["kafka-lag-committed-above-end", "apache-kafka-lag-committed-above-end"],
        ours: |looks| *looks == [counted(20.0, 25, true)],
    },
    Difference {
        why: "the same with nothing to hide",
        ids: &["kafka-lag-committed-above-end-total", "apache-kafka-lag-committed-above-end-total"],
        ours: |looks| *looks == [counted(0.0, 0, false)],
    },
    Difference {
        why: "the same under `limitToPartitionsWithLag`",
        ids: &["kafka-lag-limit-negative"],
        ours: |looks| *looks == [counted(10.0, 1000, true)],
    },
    Difference {
        why: "the cap has no remainder that makes one replica too many",
        ids: &["kafka-lag-cap-leak"],
        ours: |looks| *looks == [counted(20.0, 29, true)],
    },
    Difference {
        why: "the same under `limitToPartitionsWithLag`",
        ids: &["kafka-lag-limit-leak"],
        ours: |looks| *looks == [counted(10.0, 19, true)],
    },
    Difference {
        why: "even distribution of no lag is 0, not the threshold",
        ids: &["kafka-lag-even-10p-lag0", "apache-kafka-lag-even-10p-lag0", "apache-kafka-lag-even-negative"],
        ours: |looks| *looks == [counted(0.0, 0, false)],
    },
    Difference {
        why: "the same when all lag is persistent",
        ids: &["apache-kafka-lag-persist-even"],
        ours: |looks| *looks == [counted(20.0, 30, true), counted(0.0, 30, true)],
    },
    Difference {
        why: "the cap again: 13 of lag on one partition is one replica's worth",
        ids: &["kafka-lag-persist-seq"],
        ours: |looks| {
            *looks == [counted(10.0, 10, true), counted(0.0, 15, true), counted(10.0, 13, true), counted(0.0, 13, true)]
        },
    },
    Difference {
        why: "an idle partition does not stand still, so its first records count",
        ids: &["apache-kafka-lag-persist-caughtup"],
        ours: |looks| {
            *looks == [counted(0.0, 0, false), counted(0.0, 0, false), counted(2.0, 2, true), counted(0.0, 4, true)]
        },
    },
    Difference {
        why: "an end that is not known is no 0, unless others show work",
        ids: &["kafka/TestGetLagForPartition_MissingPartition/02"],
        ours: |looks| *looks == [Look::Refused],
    },
    Difference {
        why: "`apache-kafka` follows the rules of `kafka`: broker errors and a limitation that matches nothing are errors",
        ids: &[
            "apache-kafka-lag-limit-partitions-none",
            "apache-kafka-lag-offsetfetch-err",
            "apache-kafka-lag-listoffsets-err",
        ],
        ours: |looks| *looks == [Look::Refused],
    },
    Difference {
        why: "without a topic, those count in which the group has commits, not all of the cluster",
        ids: &["apache-kafka-lag-notopic"],
        ours: |looks| *looks == [counted(11.0, 11, true)],
    },
    Difference {
        why: "the same without any commit",
        ids: &["kafka-lag-notopic-nocommit"],
        ours: |looks| *looks == [counted(0.0, 0, false)],
    },
];

#[test]
fn lag_counts_as_recorded() {
    VECTORS.hold("lag", &DIFFERENCES, keda, ours);
}

const fn counted(value: f64, with_persistent: i64, active: bool) -> Look {
    Look::Counted { value, with_persistent, active }
}

fn looks(case: &Value) -> &[Value] {
    case["looks"].as_array().expect("looks")
}

fn keda(case: &Value) -> Vec<Look> {
    let look = |look: &Value| {
        if look["error"] == true {
            return Look::Refused;
        }
        let number = |key: &str| look[key].as_i64().expect("a number");
        // Two cases were recorded of the function for one partition, which knows no metric.
        let value = look["value"].as_f64().unwrap_or_else(|| look["lag"].as_f64().expect("a number"));
        let active = look["active"].as_bool().unwrap_or(number("lagWithPersistent") > 0);
        counted(value, number("lagWithPersistent"), active)
    };
    looks(case).iter().map(look).collect()
}

fn ours(case: &Value) -> Vec<Look> {
    let metadata = metadata(case);
    let spec = Spec::read(dialect(case), &mut Reader::new(&metadata), &Reach::open()).expect("a legal trigger");
    let (mut memory, mut shadow, mut now) = (Memory::default(), Memory::default(), Instant::now());
    let look = |look: &Value| {
        now += BETWEEN_LOOKS;
        let Some(offsets) = answer(look, &spec) else { return Look::Refused };
        let Ok(reading) = count(&spec, &offsets, &mut memory, now) else { return Look::Refused };
        let totals = Totals::of(&offsets, &spec.settings, &mut shadow, now).expect("counted once already");
        counted(reading.value, i64::try_from(totals.lag_with_persistent).expect("small"), reading.active)
    };
    looks(case).iter().map(look).collect()
}

/// The client's answer to the spec's question, if the cluster is as recorded; `None` when the client refuses.
fn answer(look: &Value, spec: &Spec) -> Option<Vec<PartitionOffsets>> {
    let recorded = look["partitions"].as_array().expect("partitions");
    let committed_in =
        |topic: &Value| recorded.iter().any(|other| &other["topic"] == topic && other["committed"] != -1);
    let mut offsets = Vec::new();
    for recorded in recorded {
        let (topic, number) = (recorded["topic"].as_str().expect("a name"), recorded["partition"].as_i64());
        let partition = i32::try_from(number.expect("a number")).expect("small");
        let asked = match &spec.query.topics {
            Topics::Named(topics) => topics.iter().any(|named| named == topic),
            Topics::All => committed_in(&recorded["topic"]),
        };
        let counts = spec.query.partitions.as_ref().is_none_or(|limit| limit.contains(partition));
        if !asked || !counts {
            continue;
        }
        if !recorded["commitError"].is_null() || !recorded["endError"].is_null() {
            return None;
        }
        let committed = match recorded["committed"].as_i64() {
            None => Commit::Missing,
            Some(-1) => Commit::None,
            Some(offset) => Commit::Offset(offset),
        };
        let start = recorded["start"].as_i64().filter(|_| spec.query.start_offsets);
        offsets.push(PartitionOffsets {
            topic: Arc::from(topic),
            partition,
            committed,
            start,
            end: recorded["end"].as_i64(),
        });
    }
    Some(offsets)
}
