//! Connections that fail: all their triggers hold off together, one question at a time finds out whether they are back,
//! and nobody suffers from what is another trigger's own.

use std::time::Duration;

use plimsoll::{
    error::{ReadError, ReadErrorKind},
    metadata::Metadata,
    object::ObjectRef,
};
use tokio::time::{Instant, sleep};

use crate::scripted::{Act, Bench, down, trigger};

const SECOND: Duration = Duration::from_secs(1);

/// Triggers of one host, each with its queue, that have all been read once.
async fn known(bench: &Bench, count: usize, interval: &str) -> Vec<Metadata> {
    let of = |n| trigger(&[("queue", &format!("q{n}")), ("host", "h"), ("pollingInterval", interval)]);
    let triggers: Vec<_> = (0..count).map(of).collect();
    for metadata in &triggers {
        bench.value(metadata).await.unwrap();
    }
    triggers
}

fn set_all(bench: &Bench, count: usize, act: &Act) {
    (0..count).for_each(|n| bench.world.queue(&format!("q{n}")).set(act.clone()));
}

/// When any of the host's queues was asked, after `since`.
fn asked(bench: &Bench, count: usize, since: Instant) -> Vec<Instant> {
    let mut asked: Vec<_> = (0..count).flat_map(|n| bench.world.queue(&format!("q{n}")).reads()).collect();
    asked.retain(|at| *at > since);
    asked.sort_unstable();
    asked
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_tried_by_one_question_at_a_time_and_never_more_rarely_than_its_bound() {
    for (interval, longest) in [("1s", SECOND), ("5s", 5 * SECOND), ("60s", 5 * SECOND)] {
        let bench = Bench::new();
        let triggers = known(&bench, 50, interval).await;
        set_all(&bench, 50, &down());
        // Until no sample is young enough to serve.
        for _ in 0..19 {
            sleep(10 * SECOND).await;
            for metadata in &triggers {
                bench.value(metadata).await.ok();
            }
        }
        let since = Instant::now();
        for _ in 0..30 {
            sleep(10 * SECOND).await;
            for metadata in &triggers {
                assert_eq!(bench.value(metadata).await, Err("host: connection refused".to_owned()));
            }
        }
        let tries = asked(&bench, 50, since);
        let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let tick = Duration::from_millis(3);
        assert!(pauses.iter().all(|pause| *pause <= longest + tick), "{interval}: {:?}", pauses.iter().max());
        assert!(pauses.iter().all(|pause| *pause + tick >= longest / 2), "{interval}: {:?}", pauses.iter().min());
        let mut different: Vec<_> = pauses.iter().map(|pause| pause.as_millis() / 100).collect();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 3, "no jitter: {different:?}");
        assert_eq!(bench.sampler.failing_connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn all_triggers_are_right_again_within_the_bound_after_any_outage() {
    for (interval, bound) in [("1s", SECOND), ("2s", 2 * SECOND), ("60s", 5 * SECOND)] {
        let bench = Bench::new();
        let triggers = known(&bench, 20, interval).await;
        for outage in [20_000_u32, 300, 61_700, 600_123] {
            set_all(&bench, 20, &down());
            let over = Instant::now() + Duration::from_millis(outage.into());
            while Instant::now() < over {
                sleep((10 * SECOND).min(over - Instant::now())).await;
                for metadata in &triggers {
                    bench.value(metadata).await.ok();
                }
            }
            set_all(&bench, 20, &Act::Value(f64::from(outage)));
            sleep(bound + Duration::from_millis(20)).await;
            if outage > 61_000 {
                for metadata in &triggers {
                    assert_eq!(bench.value(metadata).await, Ok(f64::from(outage)), "{interval} after {outage} ms");
                }
            }
            // Those that had not met the outage have their own time.
            sleep(61 * SECOND).await;
            assert_eq!(bench.value(&triggers[7]).await, Ok(f64::from(outage)));
            assert_eq!(bench.sampler.failing_connections(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_does_not_keep_others_from_trying() {
    let bench = Bench::new();
    let triggers = known(&bench, 10, "1s").await;
    set_all(&bench, 10, &down());
    sleep(20 * SECOND).await;
    set_all(&bench, 10, &Act::Hang);
    sleep(5 * SECOND).await;
    let since = Instant::now();
    sleep(10 * SECOND).await;
    assert!(asked(&bench, 10, since).len() >= 9, "{}", asked(&bench, 10, since).len());
    set_all(&bench, 10, &Act::Value(1.0));
    sleep(2 * SECOND).await;
    assert_eq!(bench.value(&triggers[0]).await, Ok(1.0));
}

#[tokio::test(start_paused = true)]
async fn triggers_with_a_deadline_of_their_own_fail_alone() {
    let bench = Bench::new();
    let hasty: Vec<_> = (0..3).map(|n| trigger(&[("queue", &format!("hasty{n}")), ("timeout", "1")])).collect();
    for (n, metadata) in hasty.iter().enumerate() {
        bench.world.queue(&format!("hasty{n}")).set(Act::Hang);
        let text = bench.value(metadata).await.unwrap_err();
        assert!(text.contains(&format!("`hasty{n}`")), "{text}");
    }
    assert_eq!(bench.sampler.failing_connections(), 0);
    bench.world.queue("new").set(Act::Value(4.0));
    assert_eq!(bench.value(&trigger(&[("queue", "new")])).await, Ok(4.0));
    // One that is as hasty hears of itself.
    bench.world.queue("late").set(Act::Hang);
    let text = bench.value(&trigger(&[("queue", "late"), ("timeout", "1")])).await.unwrap_err();
    assert!(text.contains("`late`") && !text.contains("hasty"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_holds_up_others_once_at_most_and_lends_nobody_its_words() {
    let bench = Bench::new();
    let slow = trigger(&[("queue", "slow")]);
    bench.world.queue("slow").set(Act::Hang);
    assert!(bench.value(&slow).await.unwrap_err().contains("`slow`"));
    assert_eq!(bench.sampler.failing_connections(), 1, "for all we know the broker is frozen");
    let new = trigger(&[("queue", "new")]);
    if let Err(text) = bench.value(&new).await {
        assert_eq!(text, "`scripted://host` does not answer in time: check that the broker is up and not overloaded");
    }
    sleep(SECOND).await;
    assert_eq!(bench.value(&new).await, Ok(0.0), "another one has been let through");
    // From now on it is known to be slow by itself.
    for n in 0..20 {
        sleep(7 * SECOND).await;
        assert!(bench.value(&slow).await.unwrap_err().contains("`slow`"));
        assert_eq!(bench.value(&new).await, Ok(0.0));
        assert_eq!(bench.value(&trigger(&[("queue", &format!("new{n}"))])).await, Ok(0.0));
        assert_eq!(bench.sampler.failing_connections(), 0);
    }
    // When the broker goes, that is the connection's failure all the same.
    bench.world.queue("new").set(down());
    (0..20).for_each(|n| bench.world.queue(&format!("new{n}")).set(down()));
    sleep(11 * SECOND).await;
    assert_eq!(bench.sampler.failing_connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_success_in_the_round_keeps_the_connection_open() {
    let bench = Bench::new();
    let triggers = known(&bench, 10, "5s").await;
    // Nine links break, one holds: it answers last.
    set_all(&bench, 9, &Act::Fail(ReadError::new(ReadErrorKind::Unreachable, "host: connection reset")));
    bench.world.queue("q9").set(Act::Slow(SECOND / 2, 9.0));
    sleep(SECOND).await;
    for _ in 0..10 {
        sleep(5 * SECOND).await;
        assert_eq!(bench.value(&triggers[9]).await, Ok(9.0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_connection_goes_with_its_last_trigger() {
    let bench = Bench::new();
    let triggers = known(&bench, 2, "5s").await;
    set_all(&bench, 2, &down());
    for _ in 0..100 {
        // Nobody asks for the first any more.
        sleep(10 * SECOND).await;
        bench.value(&triggers[1]).await.ok();
    }
    assert_eq!(bench.sampler.triggers().len(), 1);
    assert_eq!(bench.sampler.failing_connections(), 1);
    let view = &bench.sampler.triggers()[0];
    assert!(view.error.as_ref().unwrap().lasts > 900.0, "it has been failing all the time");
    sleep(700 * SECOND).await;
    assert_eq!((bench.sampler.triggers().len(), bench.sampler.failing_connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_long_or_forged_name_hides_neither_what_happened_nor_what_to_do() {
    let bench = Bench::new();
    let name = format!("a\nERROR forged\u{1b}[2J{}", "x".repeat(5_000));
    bench.world.queue(&name).set(Act::Hang);
    let text = bench.value(&trigger(&[("queue", &name)])).await.unwrap_err();
    assert!(text.starts_with("queue `a ERROR forged") && text.len() < 1024, "{text}");
    assert!(text.ends_with("did not answer in time: check that the broker is up and not overloaded"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_question_after_a_long_silence_is_not_answered_from_an_old_failure() {
    let bench = Bench::new();
    let triggers = known(&bench, 2, "5s").await;
    set_all(&bench, 2, &down());
    sleep(120 * SECOND).await;
    set_all(&bench, 2, &Act::Value(3.0));
    let object = ObjectRef { namespace: "shop", name: "orders" };
    let (_, sample) = bench.sampler.sample(object, &triggers[0]).await.unwrap();
    assert_eq!(sample.reading.value, 3.0);
}
