//! How fast healthy triggers are answered while another broker is in trouble, against the same triggers of a server that
//! knows no trouble, at the same moments.
//!
//! Both servers live on one machine, so what slows it slows both. Each second is compared by itself, and the median of
//! these counts: a hiccup of the machine that meets only one of the two does not decide. Both look at the same instants, and
//! the one whose timer ticks first is served first, a whole run long: so the quiet seconds before the faults are compared
//! too, and harm is what is beyond them. It lasts as long as its cause: where the median is too high, the fault goes on and
//! more seconds are taken (`cell.rs`), until chance is no excuse.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use crate::{watch::Watch, world::World};

const SECOND: Duration = Duration::from_secs(1);
/// How much longer the others may have to wait.
const AT_MOST: f64 = 1.5;
/// As exact as a time can be here: the runtime's timer ticks by the millisecond.
const TICK_MS: f64 = 1.0;

/// 99th percentiles of one second, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Second {
    pub troubled_ms: f64,
    pub calm_ms: f64,
}

impl Second {
    /// How much longer the others had to wait for the trouble.
    pub fn ratio(self) -> f64 {
        self.troubled_ms.max(TICK_MS) / self.calm_ms.max(TICK_MS)
    }
}

/// What was seen of one fault, second by second.
#[derive(Debug, Clone)]
pub struct Harm {
    pub seconds: Vec<Second>,
    /// How much longer the same server had to be waited for in the quiet seconds of the run.
    pub before: f64,
}

impl Harm {
    /// Of all members that were not `hit`, since `begin`.
    pub fn of_others(world: &World, hit: &BTreeSet<usize>, begin: Instant) -> Self {
        let before = usual(world.quiet.clone()).ratio();
        Self { seconds: seconds(world, hit, begin), before }
    }

    /// The second that is worse than one half of them and better than the other.
    pub fn usual(&self) -> Second {
        usual(self.seconds.clone())
    }

    /// Whether the others had to wait longer than they may.
    pub fn is_too_much(&self) -> bool {
        is_too_much(self.usual(), self.before)
    }
}

/// Whether a server that was waited for `before` times as long as the other is waited for much longer now.
pub fn is_too_much(second: Second, before: f64) -> bool {
    second.ratio() > AT_MOST * before.max(1.0)
}

/// The seconds since `begin`, of all members that are not `hit`.
pub fn seconds(world: &World, hit: &BTreeSet<usize>, begin: Instant) -> Vec<Second> {
    let others = world.members.iter().enumerate().filter(|(index, _)| !hit.contains(index));
    let sources: Vec<_> = others.flat_map(|(_, member)| [&member.busy, &member.idle]).collect();
    let troubled = sorted(sources.iter().map(|source| &source.troubled));
    let calm = sorted(sources.iter().map(|source| &source.calm));
    let second = |second: u32| {
        let from = begin + second * SECOND;
        Second { troubled_ms: p99(&troubled, from), calm_ms: p99(&calm, from) }
    };
    (0..u32::try_from(begin.elapsed().as_secs()).unwrap()).map(second).collect()
}

/// The median of some seconds, the worse of two.
pub fn usual(mut seconds: Vec<Second>) -> Second {
    seconds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    seconds[seconds.len() / 2]
}

/// How long each answer took, in the order of their questions.
fn sorted<'w>(watches: impl Iterator<Item = &'w Watch>) -> Vec<(Instant, Duration)> {
    let mut times: Vec<_> = watches.flat_map(Watch::times).collect();
    times.sort();
    times
}

/// Of the second after `from`, in milliseconds.
fn p99(times: &[(Instant, Duration)], from: Instant) -> f64 {
    let place = |at: Instant| times.partition_point(|(asked, _)| *asked < at);
    let mut took: Vec<_> = times[place(from)..place(from + SECOND)].iter().map(|(_, took)| *took).collect();
    took.sort();
    assert!(!took.is_empty(), "nobody asked for a second");
    took[(took.len() - 1) * 99 / 100].as_secs_f64() * 1e3
}
