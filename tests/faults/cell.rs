//! One fault befalls one broker: what must hold before, during and after, and how long it took to be well again.
//!
//! Not for: judging single answers (`watch.rs`).

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tonic::Code;

use crate::{
    fault::Fault,
    harm::{Harm, seconds},
    host::resident_mb,
    node::Node,
    proxy::Mode,
    watch::Violations,
    world::{BUSY, Member, PATIENCE, World, clear, put, said},
};

/// How long it is quiet before a fault.
const QUIET: Duration = Duration::from_secs(6);
/// How long a fault lasts: some polling intervals, two timeouts of a read, and the staleness.
const FAULT: Duration = Duration::from_secs(6);
/// How long it goes on at most while others seem to be harmed.
const LONG_FAULT: Duration = Duration::from_secs(30);
/// When work comes while a fault lasts.
const WORK_AT: Duration = Duration::from_secs(1);
const WORK: usize = 3;

/// What one fault did to one broker.
pub struct Cell {
    pub broker: &'static str,
    pub fault: Fault,
    /// The first failure that KEDA was told, if any.
    pub told: Option<Code>,
    /// From the broker's return until both numbers were right; `None` if they never were.
    pub right: Option<Duration>,
    /// From then until the work written meanwhile was pushed: zero if it was already, `None` if it never was.
    pub woken: Option<Duration>,
    /// How fast the others were answered, against the same without any fault.
    pub harm: Harm,
    /// Resident memory afterwards.
    pub memory_mb: f64,
}

/// Everything hit by `fault` of the member at `index`: a process may be two members'.
fn hit(world: &World, index: usize, fault: Fault) -> BTreeSet<usize> {
    let node = world.members[index].broker.node();
    let shares =
        |other: &usize| *other == index || fault.hits_the_process() && world.members[*other].broker.node() == node;
    (0..world.members.len()).filter(shares).collect()
}

/// Runs one fault from a healthy world to a healthy world: a cell for each member that it hits.
pub async fn run(world: &mut World, index: usize, fault: Fault) -> Vec<Cell> {
    world.settle().await;
    let hit = hit(world, index, fault);
    for member in &mut world.members {
        for source in [&mut member.busy, &mut member.idle] {
            source.troubled.forget_times();
            source.calm.forget_times();
        }
    }
    let quiet = Instant::now();
    sleep(QUIET).await;
    world.quiet.extend(seconds(world, &hit, quiet));
    for index in &hit {
        let member = &mut world.members[*index];
        for source in [&member.busy, &member.idle] {
            source.troubled.may_fail(true);
            source.troubled.take_failure();
            // What hits the broker, and not only our way to it, hits this one too.
            source.calm.may_fail(true);
        }
    }
    let begin = Instant::now();
    let node = befall(&world.members[index], fault).await;
    let mut written = begin;
    if !fault.hits_the_process() {
        sleep(WORK_AT).await;
        written = Instant::now();
        write(&world.members[index]).await;
    }
    sleep_until(begin + FAULT).await;
    let mut harm = Harm::of_others(world, &hit, begin);
    while harm.is_too_much() && begin.elapsed() < LONG_FAULT {
        sleep(Duration::from_secs(2)).await;
        harm = Harm::of_others(world, &hit, begin);
    }
    lift(&world.members[index], fault, node).await;
    if fault.hits_the_process() {
        for index in &hit {
            refill(&world.members[*index]).await;
        }
        written = Instant::now();
        for index in &hit {
            write(&world.members[*index]).await;
        }
    }
    let back = Instant::now();
    let violations = world.violations.clone();
    let mut cells = Vec::new();
    for index in &hit {
        let member = &mut world.members[*index];
        let (right, woken) = recovery(member, &violations, fault, written, back).await;
        let told = member.busy.troubled.take_failure().or_else(|| member.idle.troubled.take_failure());
        let (broker, memory_mb) = (member.broker.name(), resident_mb(world.troubled.pid()));
        cells.push(Cell { broker, fault, told, right, woken, harm: harm.clone(), memory_mb });
    }
    for index in &hit {
        let Member { broker, idle, .. } = &world.members[*index];
        clear(broker.as_ref(), &idle.name, &idle.truth).await;
    }
    world.settle().await;
    cells
}

/// How long until numbers were right and the work was pushed. Notes what must not be.
async fn recovery(
    member: &mut Member,
    violations: &Violations,
    fault: Fault,
    written: Instant,
    back: Instant,
) -> (Option<Duration>, Option<Duration>) {
    let mut right = Some(Duration::ZERO);
    for source in [&mut member.busy, &mut member.idle] {
        let took = source.troubled.right(back, PATIENCE).await;
        if took.is_none() {
            let last = source.troubled.last();
            violations.note(format!("{}: not right {PATIENCE:?} after {}: {last}", source.name, fault.name()));
        }
        right = right.zip(took).map(|(one, other)| one.max(other));
    }
    let woken = member.idle.troubled.pushed(written, PATIENCE).await.map(|at| at.saturating_duration_since(back));
    if woken.is_none() {
        violations.note(format!("{}: never woken after {}", member.idle.name, fault.name()));
    }
    (right, woken)
}

async fn write(member: &Member) {
    put(member.broker.as_ref(), &member.idle.name, &member.idle.truth, WORK).await;
}

/// What did not survive the broker's end is there again.
async fn refill(member: &Member) {
    let Member { broker, busy, idle, .. } = member;
    broker.admit().await;
    for (source, work) in [(busy, BUSY), (idle, 0)] {
        if said(broker.as_ref(), &source.name).await != work {
            source.truth.begins(0);
            put(broker.as_ref(), &source.name, &source.truth, work).await;
        }
    }
}

async fn befall(member: &Member, fault: Fault) -> Option<Node> {
    let proxy = &member.proxy;
    match fault {
        Fault::Refused => proxy.set(Mode::Refuse),
        Fault::Reset => proxy.set(Mode::Reset),
        Fault::Frozen => proxy.set(Mode::Freeze),
        Fault::Deaf => proxy.set(Mode::Deafen),
        Fault::Slow => proxy.set(Mode::Slow),
        Fault::Trickling => proxy.set(Mode::Trickle),
        Fault::Truncated => proxy.set(Mode::Truncate),
        Fault::Garbage => proxy.set(Mode::Garble),
        Fault::Denied => member.broker.deny(proxy).await,
        Fault::Killed => {
            member.broker.save().await;
            let node = Node::of(member.broker.node());
            node.kill();
            return Some(node);
        }
        Fault::Stopped => {
            let node = Node::of(member.broker.node());
            node.stop();
            return Some(node);
        }
    }
    None
}

async fn lift(member: &Member, fault: Fault, node: Option<Node>) {
    match (fault, node) {
        (Fault::Denied, _) => member.broker.allow(&member.proxy).await,
        (_, Some(node)) => {
            node.bring_back().await;
            said(member.broker.as_ref(), &member.busy.name).await;
        }
        (_, None) => member.proxy.set(Mode::Through),
    }
}
