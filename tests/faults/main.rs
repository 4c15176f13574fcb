//! Whatever befalls a broker, no number is wrong, no work is missed and nobody else suffers: the real binary on real
//! brokers, through proxies that break.
//!
//! Needs brokers of its own, since it kills and stops them: `make faults` for every cell, `make test` for the short form.
//! `FAULTS=all` selects every cell, `FAULTS="redis frozen"` those of one broker, one fault or both.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "tests"
)]

mod brokers;
mod cell;
mod fault;
mod harm;
mod node;
mod proxy;
mod report;
mod truth;
mod watch;
mod world;

#[path = "../emulator/mod.rs"]
#[allow(dead_code, reason = "shared")]
mod emulator;
#[path = "../../benches/figures/host.rs"]
#[allow(dead_code, reason = "shared")]
mod host;
#[path = "../emulator/process.rs"]
#[allow(dead_code, reason = "shared")]
mod process;

use std::time::Duration;

use fault::Fault;
use world::World;

/// How soon after a broker's return everything is right again, and the work pushed that came meanwhile.
const SOON: Duration = Duration::from_secs(15);
/// What the process may grow by from its first fault to its last.
const GROWTH_MB: f64 = 32.0;

/// Each fault once and each broker more than once.
const SHORT: [(&str, Fault); 12] = [
    ("redis", Fault::Refused),
    ("kafka", Fault::Reset),
    ("kafka", Fault::Frozen),
    ("rabbitmq", Fault::Deaf),
    ("sqs", Fault::Slow),
    ("rabbitmq-http", Fault::Trickling),
    ("rabbitmq", Fault::Truncated),
    ("redis", Fault::Garbage),
    ("redis", Fault::Killed),
    ("prometheus", Fault::Stopped),
    ("sqs", Fault::Denied),
    ("prometheus", Fault::Refused),
];

/// The cells that this run has, by index of the member.
fn selected(world: &World) -> Vec<(usize, Fault)> {
    let wanted = std::env::var("FAULTS").unwrap_or_default();
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let names: Vec<&str> = world.members.iter().map(|member| member.broker.name()).collect();
    let every = names.iter().enumerate().flat_map(|(index, name)| Fault::ALL.map(|fault| (index, *name, fault)));
    let of_broker = |name: &str| words.contains(&name) || !words.iter().any(|word| names.contains(word));
    let of_fault = |fault: Fault| {
        words.contains(&fault.name().as_str())
            || !words.iter().any(|word| Fault::ALL.iter().any(|fault| fault.name() == *word))
    };
    // A process that is two members' is hit once.
    let node = |index: usize| world.members[index].broker.node();
    let is_first = |index: usize| (0..index).all(|other| node(other) != node(index));
    let every = every.filter(|(index, _, fault)| is_first(*index) || !fault.hits_the_process());
    let chosen = every.filter(|(_, name, fault)| match words[..] {
        [] => SHORT.contains(&(name, *fault)),
        ["all"] => true,
        _ => of_broker(name) && of_fault(*fault),
    });
    let chosen: Vec<_> = chosen.map(|(index, _, fault)| (index, fault)).collect();
    assert!(!chosen.is_empty(), "FAULTS={wanted}: brokers are {names:?}, faults {:?}", Fault::ALL.map(Fault::name));
    chosen
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_befalls_a_broker_no_number_is_wrong_no_work_is_missed_and_nobody_else_suffers() {
    let mut world = World::start().await;
    let mut cells = Vec::new();
    for (index, fault) in selected(&world) {
        let found = cell::run(&mut world, index, fault).await;
        found.iter().for_each(|cell| println!("{}", report::row(cell)));
        cells.extend(found);
    }
    let quiet = harm::usual(world.quiet.clone());
    let violations = world.end().await;
    report::write(&cells);
    for cell in &cells {
        let name = format!("{} {}", cell.broker, cell.fault.name());
        for (what, took) in [("right", cell.right), ("woken", cell.woken)] {
            if took.is_some_and(|took| took > SOON) {
                violations.note(format!("{name}: {what} only after {took:?}"));
            }
        }
        if cell.harm.is_too_much() {
            violations.note(format!("{name}: the others had to wait: {:?}", cell.harm));
        }
    }
    // Harm that soon passes is in no fault's usual second, but in the usual first one.
    let first = harm::usual(cells.iter().map(|cell| cell.harm.seconds[0]).collect());
    if harm::is_too_much(first, quiet.ratio()) {
        violations.note(format!("the others have to wait when a fault begins: {first:?}"));
    }
    let memory = cells.iter().map(|cell| cell.memory_mb);
    let (first, most) = (cells[0].memory_mb, memory.fold(0.0, f64::max));
    if most > first + GROWTH_MB {
        violations.note(format!("memory has grown from {first:.1} to {most:.1} MB"));
    }
    let violations = violations.all();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
