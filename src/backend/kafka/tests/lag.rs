//! Counting lag: the rules that were not recorded, and what must hold for any offsets.

use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

use super::super::{
    client::{Commit, PartitionOffsets},
    lag::{Memory, ResetPolicy, Settings, Totals, measure},
    parts::parts,
};
use crate::{
    error::ReadErrorKind,
    reading::{Cell, Parts, Reading},
};

const SETTINGS: Settings = Settings {
    lag_threshold: 10,
    activation_lag_threshold: 0,
    reset_policy: ResetPolicy::Latest,
    zero_without_commit: false,
    allow_idle_consumers: false,
    limit_to_partitions_with_lag: false,
    even_distribution: false,
    exclude_persistent_after: None,
};

fn partition(partition: i32, committed: Commit, end: Option<i64>) -> PartitionOffsets {
    PartitionOffsets { topic: Arc::from("t"), partition, committed, start: None, end }
}

/// Looks `seconds` after the beginning at one partition that was committed up to `committed`.
fn look(memory: &mut Memory, settings: &Settings, begin: Instant, seconds: u64, committed: i64, end: i64) -> f64 {
    let offsets = [partition(0, Commit::Offset(committed), Some(end))];
    let now = begin + Duration::from_secs(seconds);
    measure(&offsets, settings, memory, now).expect("nothing is missing").value
}

#[test]
fn a_commit_must_stand_still_for_a_while_before_its_lag_is_left_out() {
    let settings = Settings { exclude_persistent_after: Some(Duration::from_secs(10)), ..SETTINGS };
    let (mut memory, begin) = (Memory::default(), Instant::now());
    let mut look = |seconds, committed, end| look(&mut memory, &settings, begin, seconds, committed, end);
    assert_eq!(look(0, 3, 9), 6.0, "first seen");
    assert_eq!(look(5, 3, 9), 6.0, "a consumer that commits every 5 s looks like this");
    assert_eq!(look(10, 3, 9), 0.0, "nobody works on it");
    assert_eq!(look(15, 4, 9), 5.0, "it moved");
    assert_eq!(look(20, 3, 9), 6.0, "backwards is moved too");
    assert_eq!(look(30, 3, 9), 0.0);
}

#[test]
fn no_wait_for_persistent_lag_is_kedas_second_look() {
    let settings = Settings { exclude_persistent_after: Some(Duration::ZERO), ..SETTINGS };
    let (mut memory, begin) = (Memory::default(), Instant::now());
    let mut look = |committed, end| look(&mut memory, &settings, begin, 0, committed, end);
    assert_eq!([look(3, 9), look(3, 9), look(4, 9)], [6.0, 0.0, 5.0]);
}

#[test]
fn the_clock_of_a_standstill_starts_with_its_first_lag() {
    let settings = Settings { exclude_persistent_after: Some(Duration::from_secs(10)), ..SETTINGS };
    let (mut memory, begin) = (Memory::default(), Instant::now());
    let mut look = |seconds, end| look(&mut memory, &settings, begin, seconds, 3, end);
    assert_eq!([look(0, 3), look(60, 3), look(61, 8), look(65, 8), look(71, 8)], [0.0, 0.0, 5.0, 5.0, 0.0]);
}

#[test]
fn a_partition_that_went_away_is_forgotten() {
    let settings = Settings { exclude_persistent_after: Some(Duration::ZERO), ..SETTINGS };
    let mut memory = Memory::default();
    let (now, gone) = (Instant::now(), [partition(0, Commit::Offset(3), Some(9))]);
    let mut look =
        |offsets: &[PartitionOffsets]| measure(offsets, &settings, &mut memory, now).expect("complete").value;
    assert_eq!([look(&gone), look(&[]), look(&gone)], [6.0, 0.0, 6.0]);
}

#[test]
fn what_the_broker_leaves_out_is_an_error_where_it_could_hide_work() {
    let measure = |offsets: &[PartitionOffsets]| measure(offsets, &SETTINGS, &mut Memory::default(), Instant::now());
    let known = |end| partition(0, Commit::Offset(5), Some(end));
    let unknown = partition(7, Commit::Offset(5), None);

    let error = measure(&[known(5), unknown.clone()]).expect_err("idle or not, who knows");
    assert_eq!(error.kind, ReadErrorKind::BadReply);
    assert!(error.to_string().contains("end offset of partition 7 of topic `t`"), "{error}");
    assert_eq!(measure(&[known(8), unknown]), Ok(Reading { value: 3.0, active: true }));

    let error = measure(&[known(8), partition(7, Commit::Missing, Some(5))]).expect_err("no commit to count from");
    assert!(error.to_string().contains("committed offset of partition 7"), "{error}");
}

#[test]
fn a_partition_without_commit_needs_no_end_unless_the_policy_is_earliest() {
    let count = |settings: &Settings| {
        let offsets = [partition(0, Commit::None, None)];
        measure(&offsets, settings, &mut Memory::default(), Instant::now()).ok().map(|reading| reading.value)
    };
    assert_eq!(count(&SETTINGS), Some(1.0));
    assert_eq!(count(&Settings { zero_without_commit: true, ..SETTINGS }), Some(0.0));
    assert_eq!(count(&Settings { reset_policy: ResetPolicy::Earliest, ..SETTINGS }), None);
}

#[test]
fn a_group_without_partitions_is_idle() {
    let reading = measure(&[], &SETTINGS, &mut Memory::default(), Instant::now());
    assert_eq!(reading, Ok(Reading { value: 0.0, active: false }));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let settings = Settings { lag_threshold: i64::MAX, activation_lag_threshold: i64::MAX, ..SETTINGS };
    let offsets: Vec<_> = (0..100).map(|n| partition(n, Commit::Offset(i64::MIN), Some(i64::MAX))).collect();
    let reading = measure(&offsets, &settings, &mut Memory::default(), Instant::now()).expect("complete");
    assert_eq!(reading, Reading { value: 100.0 * 9_223_372_036_854_775_807.0, active: true });
}

prop_compose! {
    fn any_settings()(
        lag_threshold in prop_oneof![1..50_i64, Just(i64::MAX)],
        activation_lag_threshold in prop_oneof![0..50_i64, Just(i64::MAX)],
        earliest: bool,
        zero_without_commit: bool,
        allow_idle_consumers: bool,
        limit_to_partitions_with_lag: bool,
        even_distribution: bool,
        exclude: bool,
    ) -> Settings {
        let reset_policy = if earliest { ResetPolicy::Earliest } else { ResetPolicy::Latest };
        let exclude_persistent_after = exclude.then_some(Duration::ZERO);
        Settings {
            lag_threshold, activation_lag_threshold, reset_policy, zero_without_commit, allow_idle_consumers,
            limit_to_partitions_with_lag, even_distribution, exclude_persistent_after,
        }
    }
}

/// Offsets near each other and at the edges, with and without a commit and a start.
fn any_offsets() -> impl Strategy<Value = Vec<PartitionOffsets>> {
    let offset = || prop_oneof![8 => 0..60_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let commit = prop_oneof![4 => offset().prop_map(Commit::Offset), 1 => Just(Commit::None)];
    vec((commit, proptest::option::of(offset()), offset()), 0..20).prop_map(|partitions| {
        let number = |(number, (committed, start, end))| {
            let partition = i32::try_from(number).expect("small");
            PartitionOffsets { topic: Arc::from("t"), partition, committed, start, end: Some(end) }
        };
        partitions.into_iter().enumerate().map(number).collect()
    })
}

proptest! {
    #[test]
    fn whatever_the_offsets_the_numbers_make_sense(settings in any_settings(), looks in vec(any_offsets(), 1..4)) {
        let mut memory = Memory::default();
        for offsets in looks {
            let totals = Totals::of(&offsets, &settings, &mut memory, Instant::now()).expect("nothing is missing");
            let (capped, threshold) = (totals.capped(&settings), i128::from(settings.lag_threshold));
            prop_assert!(totals.lag >= 0 && capped >= 0, "never negative: {totals:?}, {capped}");
            prop_assert!(totals.lag <= totals.lag_with_persistent, "leaving out adds nothing: {totals:?}");
            prop_assert!(totals.lagging <= totals.partitions, "{totals:?}");
            prop_assert_eq!(totals.partitions as usize, offsets.len());
            prop_assert_eq!(capped == 0, totals.lag == 0, "work asks for a replica, no work for none");
            let may_idle = settings.allow_idle_consumers && !settings.even_distribution;
            if !may_idle || settings.limit_to_partitions_with_lag {
                prop_assert!(capped <= i128::from(totals.partitions) * threshold, "more replicas than partitions");
            }
            if settings.limit_to_partitions_with_lag {
                prop_assert!(capped <= i128::from(totals.lagging) * threshold, "more replicas than lagging partitions");
            }
            if settings.even_distribution && !settings.limit_to_partitions_with_lag && capped > 0 {
                let replicas = u32::try_from(capped / threshold).expect("at most the partitions");
                prop_assert_eq!(capped % threshold, 0);
                prop_assert!(totals.partitions.is_multiple_of(replicas), "an uneven share: {replicas} of {totals:?}");
            }
        }
    }

    #[test]
    fn an_uncapped_metric_is_the_sum_of_the_lag(committed in vec(0..100_i64, 1..20)) {
        let settings = Settings { allow_idle_consumers: true, ..SETTINGS };
        let offsets: Vec<_> = committed.iter().map(|at| partition(0, Commit::Offset(*at), Some(100))).collect();
        let reading = measure(&offsets, &settings, &mut Memory::default(), Instant::now()).expect("complete");
        let sum: i64 = committed.iter().map(|at| 100 - at).sum();
        prop_assert_eq!(reading, Reading { value: sum as f64, active: sum > 0 });
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_lag_add_up_to_its_value(settings in any_settings(), offsets in any_offsets()) {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let reading = measure(&offsets, &settings, &mut memory, now).expect("nothing is missing");
        let parts = parts(reading, &offsets, &settings, &memory, now);
        prop_assert_eq!(parts.rows.len(), offsets.len());
        let lag = |row: &Vec<Cell>| match row[4] { Cell::Number(lag) => lag, _ => panic!("{row:?}") };
        let sum: f64 = parts.rows.iter().map(lag).sum();
        let told = parts.rule.contains("capped at") || parts.rule.contains("made");
        prop_assert!(told || (sum - reading.value).abs() <= sum * 1e-9, "{sum} and {reading:?}: {}", parts.rule);
    }
}

#[test]
fn a_part_says_why_it_counts_otherwise_than_it_seems() {
    let settings = Settings { exclude_persistent_after: Some(Duration::from_secs(10)), ..SETTINGS };
    let deleted = PartitionOffsets { start: Some(50), ..partition(2, Commit::Offset(20), Some(60)) };
    let offsets = [
        partition(0, Commit::Offset(3), Some(9)),
        partition(1, Commit::None, Some(9)),
        deleted,
        partition(3, Commit::Offset(3), None),
    ];
    let (mut memory, begin) = (Memory::default(), Instant::now());
    let mut look = |seconds| {
        let now = begin + Duration::from_secs(seconds);
        let reading = measure(&offsets, &settings, &mut memory, now).expect("active");
        let told = parts(reading, &offsets, &settings, &memory, now);
        let remark = |row: &Vec<Cell>| match (&row[1], &row[5]) {
            (Cell::Number(partition), Cell::Text(remark)) => format!("{partition}: {remark}"),
            other => panic!("{other:?}"),
        };
        (reading.value, told.rows.iter().map(remark).collect::<Vec<_>>())
    };
    let (value, remarks) = look(0);
    assert_eq!(value, 17.0);
    assert_eq!(
        remarks,
        [
            "2: not counted: 30 records, deleted before anybody read that far",
            "0: ",
            "1: nothing is committed: counts 1, so that a consumer comes and commits",
            "3: the broker did not say its end",
        ]
    );
    let (value, remarks) = look(12);
    assert_eq!(value, 1.0);
    assert!(remarks[1].contains("stood still for 12 s: left out of the value"), "{remarks:?}");
}

#[test]
fn of_many_partitions_the_largest_are_told() {
    let offsets: Vec<_> = (0..1000).map(|n| partition(n, Commit::Offset(0), Some(i64::from(n)))).collect();
    let (mut memory, now) = (Memory::default(), Instant::now());
    let reading = measure(&offsets, &SETTINGS, &mut memory, now).expect("complete");
    let told = parts(reading, &offsets, &SETTINGS, &memory, now);
    assert_eq!((told.rows.len(), told.omitted, &told.rows[0][1]), (Parts::MOST, 900, &Cell::Number(999.0)));
    assert!(told.rule.contains("capped at 10000: 10 for each of 1000 partitions"), "{}", told.rule);
}
