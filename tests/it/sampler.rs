//! One sample, many askers: the sampler's promises, each by a scripted source on a paused clock.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use futures::future::join_all;
use plimsoll::{
    object::ObjectRef,
    sampler::{Allowance, Room, Settings},
};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::scripted::{Act, Bench, WALL, missing, timed, trigger};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_cost_one_read() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Slow(SECOND, 7.0));
    let metadata = trigger(&[("queue", "a")]);
    let answers = join_all((0..100).map(|_| bench.value(&metadata))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(7.0)), "{answers:?}");
    assert_eq!(queue.reads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_cancels_nothing() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Slow(3 * SECOND, 7.0));
    let metadata = trigger(&[("queue", "a")]);
    timeout(SECOND, bench.value(&metadata)).await.expect_err("the read takes longer");
    let (value, took) = timed(bench.value(&metadata)).await;
    assert_eq!((value, took), (Ok(7.0), 2 * SECOND));
    assert_eq!(queue.reads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_question_waits() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Slow(SECOND, 7.0));
    let metadata = trigger(&[("queue", "a")]);
    let (_, first) = timed(bench.value(&metadata)).await;
    assert_eq!(first, SECOND);
    for _ in 0..200 {
        sleep(Duration::from_millis(730)).await;
        let (value, took) = timed(bench.value(&metadata)).await;
        assert_eq!((value, took), (Ok(7.0), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_look_takes_what_it_finds_even_if_it_took_longer_than_a_sample_may_live() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Slow(SECOND, 7.0));
    let metadata = trigger(&[("queue", "a"), ("pollingInterval", "100ms"), ("maxStaleness", "200ms")]);
    for _ in 0..3 {
        assert_eq!(bench.value(&metadata).await, Ok(7.0));
        sleep(Duration::from_millis(730)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_fall_on_the_clock_grid() {
    let bench = Bench::new();
    let start = Instant::now();
    let metadata = trigger(&[("queue", "a"), ("pollingInterval", "10")]);
    bench.value(&metadata).await.unwrap();
    sleep(35 * SECOND).await;
    let walls: Vec<_> = bench.world.queue("a").reads().iter().map(|at| (WALL + (*at - start)).as_millis()).collect();
    let first = WALL.as_millis();
    let grid = first - first % 10_000;
    // Tokio's timers have a resolution of 1 ms.
    let rounded: Vec<_> = walls.iter().map(|wall| wall - wall % 2).collect();
    assert_eq!(rounded, [first, grid + 10_000, grid + 20_000, grid + 30_000]);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_refresh_at_the_same_instants() {
    let start = Instant::now();
    let one = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    one.value(&metadata).await.unwrap();
    sleep(Duration::from_millis(2_345)).await;
    let other = Bench::with(Settings::default(), SystemTime::UNIX_EPOCH + WALL + start.elapsed());
    other.value(&metadata).await.unwrap();
    sleep(21 * SECOND).await;
    let last = |bench: &Bench| bench.world.queue("a").reads().split_off(1);
    assert_eq!(last(&one), last(&other));
    assert_eq!(last(&one).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn equal_triggers_share_one_read_and_different_ones_never_collide() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Value(7.0));
    bench.world.queue("b").set(Act::Value(70.0));
    // Two ScaledObjects with the same trigger, one of them over another address of ours.
    let same = [("queue", "a"), ("scalerAddress", "elsewhere:6000"), ("enableTLS", "true")];
    assert_eq!(bench.value(&trigger(&[("queue", "a")])).await, Ok(7.0));
    assert_eq!(bench.value(&trigger(&same)).await, Ok(7.0));
    assert_eq!(bench.world.queue("a").reads().len(), 1);
    // A second trigger of the same ScaledObject.
    assert_eq!(bench.value(&trigger(&[("queue", "b")])).await, Ok(70.0));
    // The same queue with another target is another trigger: its metric differs.
    assert_eq!(bench.value(&trigger(&[("queue", "a"), ("threshold", "3")])).await, Ok(7.0));
    assert_eq!(bench.world.queue("a").reads().len(), 2);
    assert_eq!(bench.sampler.triggers().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_sample_until_it_is_too_old_and_recovers() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Value(7.0));
    let metadata = trigger(&[("queue", "a"), ("pollingInterval", "2"), ("maxStaleness", "6")]);
    bench.value(&metadata).await.unwrap();
    // The last good sample is the one of the next tick.
    sleep(2 * SECOND).await;
    let last_good = *queue.reads().last().unwrap();
    queue.set(missing());
    while last_good.elapsed() <= 6 * SECOND {
        let (value, took) = timed(bench.value(&metadata)).await;
        assert_eq!((value, took), (Ok(7.0), Duration::ZERO), "after {:?}", last_good.elapsed());
        advance(Duration::from_millis(250)).await;
    }
    let (answer, took) = timed(bench.value(&metadata)).await;
    assert_eq!((answer, took), (Err("queue is not there: create it".to_owned()), Duration::ZERO));
    let view = &bench.sampler.triggers()[0];
    assert_eq!(view.value, Some(7.0), "the page still shows the last value, with its age");
    assert_eq!(view.error.as_ref().unwrap().kind, "not_found");
    queue.set(Act::Value(8.0));
    sleep(2 * SECOND).await;
    assert_eq!(bench.value(&metadata).await, Ok(8.0));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_value_is_an_error_and_never_zero() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Value(f64::NAN));
    let answer = bench.value(&trigger(&[("queue", "a")])).await;
    assert!(answer.unwrap_err().contains("not a number"));
}

#[tokio::test(start_paused = true)]
async fn a_hung_read_hits_its_deadline_and_the_next_one_runs() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Hang);
    let metadata = trigger(&[("queue", "a")]);
    let (answer, took) = timed(bench.value(&metadata)).await;
    assert!(answer.unwrap_err().contains("did not answer in time"));
    assert!((5 * SECOND..6 * SECOND).contains(&took), "{took:?}");
    queue.set(Act::Value(3.0));
    sleep(10 * SECOND).await;
    assert_eq!(bench.value(&metadata).await, Ok(3.0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_source_harms_no_other() {
    let bench = Bench::new();
    let broken = trigger(&[("queue", "broken")]);
    let fine = trigger(&[("queue", "fine")]);
    bench.world.queue("broken").set(Act::Panic);
    bench.world.queue("fine").set(Act::Value(5.0));
    assert!(bench.value(&broken).await.unwrap_err().contains("defect of this server"));
    assert_eq!(bench.value(&fine).await, Ok(5.0));
    bench.world.queue("broken").set(Act::Value(6.0));
    sleep(6 * SECOND).await;
    assert_eq!(bench.value(&broken).await, Ok(6.0));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_is_an_answer_and_begins_anew() {
    let bench = Bench::new();
    let queue = bench.world.queue("broken");
    let (broken, fine) = (trigger(&[("queue", "broken")]), trigger(&[("queue", "fine"), ("host", "other")]));
    for metadata in [&broken, &fine] {
        bench.value(metadata).await.unwrap();
    }
    // Saying what is wrong with the next value panics: outside of everything that guards a read.
    queue.describe_panics.store(true, Ordering::Relaxed);
    queue.set(Act::Value(f64::NAN));
    for _ in 0..60 {
        sleep(SECOND).await;
        let (answer, took) = timed(bench.value(&broken)).await;
        assert!(took < SECOND, "{took:?}");
        assert!(answer.is_ok() || answer.unwrap_err().contains("defect of this server"));
    }
    assert_eq!(bench.value(&fine).await, Ok(0.0));
    queue.describe_panics.store(false, Ordering::Relaxed);
    queue.set(Act::Value(6.0));
    sleep(40 * SECOND).await;
    assert_eq!(bench.value(&broken).await, Ok(6.0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_not_read_and_then_forgotten_with_its_client() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    bench.value(&metadata).await.unwrap();
    sleep(60 * SECOND).await;
    let reads = bench.world.queue("a").reads().len();
    sleep(500 * SECOND).await;
    assert_eq!(bench.world.queue("a").reads().len(), reads, "nobody has asked for a minute");
    assert_eq!((bench.sampler.triggers().len(), bench.world.live_clients()), (1, 1));
    sleep(60 * SECOND).await;
    assert_eq!((bench.sampler.triggers().len(), bench.world.live_clients()), (0, 0));
    assert_eq!(bench.world.live_sources.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_question_after_a_long_pause_gets_a_new_sample() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    bench.value(&metadata).await.unwrap();
    sleep(120 * SECOND).await;
    bench.world.queue("a").set(Act::Value(9.0));
    assert_eq!(bench.value(&metadata).await, Ok(9.0));
    // And it is refreshed ahead of time again.
    let reads = bench.world.queue("a").reads().len();
    sleep(11 * SECOND).await;
    assert_eq!(bench.world.queue("a").reads().len(), reads + 2);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_triggers_come_and_go() {
    let connections = Room { in_all: 10_000, per_namespace: 10_000 };
    let settings = Settings { allowance: Allowance { connections, ..Allowance::default() }, ..Settings::default() };
    let bench = Bench::with(settings, SystemTime::UNIX_EPOCH + WALL);
    let names: Vec<String> = (0..10_000).map(|n| format!("q{n}")).collect();
    for name in &names {
        bench.value(&trigger(&[("queue", name), ("host", name)])).await.unwrap();
    }
    assert_eq!((bench.sampler.triggers().len(), bench.world.live_clients()), (10_000, 10_000));
    sleep(700 * SECOND).await;
    assert_eq!((bench.sampler.triggers().len(), bench.world.live_clients()), (0, 0));
    assert_eq!(bench.world.live_sources.load(Ordering::Relaxed), 0);
    assert_eq!(bench.metrics.triggers.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_metric_is_pure() {
    let bench = Bench::new();
    let metric = bench
        .sampler
        .metric(ObjectRef { namespace: "n", name: "o" }, &trigger(&[("queue", "a/b"), ("threshold", "25")]))
        .unwrap();
    assert_eq!((metric.name.as_str(), metric.target), ("scripted-a-b", 25.0));
    assert!(bench.world.queue("a/b").reads().is_empty());
    assert!(bench.sampler.triggers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_known_trigger_is_not_parsed_again() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    for _ in 0..10 {
        bench.value(&metadata).await.unwrap();
        bench.sampler.metric(ObjectRef { namespace: "n", name: "o" }, &metadata).unwrap();
    }
    assert_eq!(bench.world.parses.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_metadata_names_the_key_and_the_cure() {
    let bench = Bench::new();
    for (pairs, expected) in [
        (
            &[("queue", "a"), ("scalerType", "scripte")][..],
            "`scalerType` is not one this server knows: use one of `scripted`",
        ),
        (
            &[("queue", "a"), ("pollingInterval", "soon")],
            "`pollingInterval` must be seconds (`15`) or a duration (`500ms`)",
        ),
        (&[("queue", "a"), ("pollingInterval", "10ms")], "`pollingInterval` must be at least `100ms`"),
        (&[("queue", "a"), ("maxStaleness", "1")], "`maxStaleness` must be at least `pollingInterval`"),
        (
            &[("queue", "a"), ("threshold", "0")],
            "`threshold` must be greater than 0, at least 0.001: it is the target per replica",
        ),
        (
            &[("threshold", "x")],
            "`queue` is required: set it in the trigger's metadata; `threshold` must be a whole number such as `10`",
        ),
    ] {
        assert_eq!(bench.value(&trigger(pairs)).await, Err(expected.to_owned()));
    }
    assert!(bench.sampler.triggers().iter().all(|row| row.state.as_str() == "refused"), "none is observed");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_trigger_and_client() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    bench.world.queue("hung").set(Act::Hang);
    let sampler = bench.sampler.clone();
    let hung = trigger(&[("queue", "hung")]);
    let waiting = async { sampler.sample(ObjectRef { namespace: "n", name: "o" }, &hung).await };
    bench.value(&metadata).await.unwrap();
    let closing = async {
        sleep(SECOND).await;
        bench.sampler.close();
    };
    let (answer, ()) = tokio::join!(waiting, closing);
    assert!(answer.unwrap_err().to_string().contains("shutting down"));
    sleep(SECOND).await;
    assert_eq!(Arc::strong_count(&bench.world), 2, "only the registry's and ours are left");
    assert_eq!(bench.world.live_clients(), 0);
}
