//! How fast healthy triggers are answered while another broker is in trouble, against the same triggers of a server that
//! knows no trouble, at the same moments.
//!
//! Both servers live on one machine, so what slows it slows both. Each second is compared by itself, and the median of
//! these counts: a hiccup of the machine that meets only one of the two does not decide.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use crate::world::World;

const SLICE: Duration = Duration::from_secs(1);
/// Below this an answer is as good as any: KEDA asks every 15 s and waits for seconds, and an unoptimised build beside five
/// brokers on two cores has hiccups of tens of milliseconds. Who waits for somebody else's broker waits for longer.
const FLOOR_MS: f64 = 50.0;
const AT_MOST: f64 = 1.5;

/// 99th percentiles of one fault, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Harm {
    pub troubled_ms: f64,
    pub calm_ms: f64,
}

impl Harm {
    /// Whether the others had to wait longer than they may.
    pub fn is_too_much(self) -> bool {
        self.troubled_ms > AT_MOST * self.calm_ms.max(FLOOR_MS)
    }
}

/// Of all members that were not `hit`, since `begin`.
pub fn of_others(world: &World, hit: &BTreeSet<usize>, begin: Instant) -> Harm {
    let (mut troubled, mut calm) = (Vec::new(), Vec::new());
    for (index, member) in world.members.iter().enumerate() {
        for source in [&member.busy, &member.idle] {
            let times = (source.troubled.take_times(), source.calm.take_times());
            if !hit.contains(&index) {
                troubled.extend(times.0);
                calm.extend(times.1);
            }
        }
    }
    let slices = begin.elapsed().as_millis() / SLICE.as_millis();
    let pairs = (0..u32::try_from(slices).unwrap()).map(|slice| {
        let from = begin + slice * SLICE;
        (p99(&troubled, from), p99(&calm, from))
    });
    let mut pairs: Vec<_> = pairs.collect();
    let ratio = |(troubled, calm): &(f64, f64)| troubled / calm.max(FLOOR_MS);
    pairs.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    let (troubled_ms, calm_ms) = pairs[pairs.len() / 2];
    Harm { troubled_ms, calm_ms }
}

/// Of one slice, in milliseconds.
fn p99(times: &[(Instant, Duration)], from: Instant) -> f64 {
    let within = times.iter().filter(|(at, _)| (from..from + SLICE).contains(at));
    let mut took: Vec<f64> = within.map(|(_, took)| took.as_secs_f64() * 1e3).collect();
    took.sort_by(f64::total_cmp);
    assert!(!took.is_empty(), "nobody asked for a second");
    took[(took.len() - 1) * 99 / 100]
}
