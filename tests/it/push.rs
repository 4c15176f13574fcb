//! Push: what the activation stream says, when, and above all when it is silent.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt};
use plimsoll::{metadata::Metadata, object::ObjectRef, watch::activations};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::scripted::{Act, Bench, down, missing, timed, trigger};

const SECOND: Duration = Duration::from_secs(1);

struct Open {
    stream: std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>,
    stop: CancellationToken,
}

fn open(bench: &Bench, metadata: &Metadata, max_age: Option<Duration>) -> Open {
    let object = ObjectRef { namespace: "shop", name: "orders" };
    let stop = CancellationToken::new();
    let subscription = bench.sampler.subscribe(object, metadata).unwrap();
    Open { stream: Box::pin(activations(subscription, stop.clone(), max_age)), stop }
}

impl Open {
    /// The instants of all that is said within `time`.
    async fn listen(&mut self, time: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let mut said = Vec::new();
        while let Ok(Some(())) = timeout(time.saturating_sub(start.elapsed()), self.stream.next()).await {
            said.push(start.elapsed());
        }
        said
    }
}

fn rounded(said: &[Duration]) -> Vec<u64> {
    said.iter().map(|at| (*at + SECOND / 2).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_active_trigger_is_said_at_once() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Value(1.0));
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    let (said, took) = timed(stream.stream.next()).await;
    assert_eq!((said, took), (Some(()), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_backends_signal_wakes_at_once_and_is_verified_by_a_read() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    let mut stream = open(&bench, &trigger(&[("queue", "a"), ("pollingInterval", "3600")]), None);
    assert!(stream.listen(60 * SECOND).await.is_empty());
    queue.signal();
    assert!(stream.listen(SECOND).await.is_empty(), "a signal alone says nothing: the queue is still empty");
    assert_eq!(queue.reads().len(), 2);
    queue.set(Act::Value(1.0));
    queue.signal();
    let (said, took) = timed(stream.stream.next()).await;
    assert_eq!((said, took), (Some(()), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_new_sample_wakes_too() {
    let bench = Bench::new();
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    assert!(stream.listen(7 * SECOND).await.is_empty());
    bench.world.queue("a").set(Act::Value(1.0));
    let (_, took) = timed(stream.stream.next()).await;
    assert!(took <= 5 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn while_active_and_not_polled_it_is_said_again_after_1_and_5_and_then_every_30_seconds_or_so() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Value(1.0));
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    let said = stream.listen(200 * SECOND).await;
    assert_eq!(rounded(&said[..3]), [0, 1, 5]);
    let pauses: Vec<_> = said[2..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 4 && pauses.iter().all(|pause| (30 * SECOND..37 * SECOND).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]), "jitter: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn going_idle_is_silent_and_the_next_rise_is_said() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Value(1.0));
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    stream.stream.next().await;
    queue.set(Act::Value(0.0));
    sleep(5 * SECOND).await;
    assert!(stream.listen(120 * SECOND).await.is_empty());
    queue.set(Act::Value(2.0));
    queue.signal();
    assert_eq!(rounded(&stream.listen(4 * SECOND).await), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn while_the_value_is_unknown_it_is_silent() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(Act::Value(1.0));
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    stream.stream.next().await;
    queue.set(down());
    // The last good sample serves for two intervals, and so does the activation.
    sleep(15 * SECOND).await;
    stream.stream.next().now_or_never();
    assert!(stream.listen(120 * SECOND).await.is_empty());
    queue.set(Act::Value(1.0));
    assert_eq!(stream.listen(31 * SECOND).await.len().min(1), 1, "known again, and active");
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_still_has_its_wake_armed() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.set(missing());
    let mut stream = open(&bench, &trigger(&[("queue", "a"), ("pollingInterval", "600")]), None);
    assert!(stream.listen(SECOND).await.is_empty());
    queue.set(Act::Value(1.0));
    queue.signal();
    let (_, took) = timed(stream.stream.next()).await;
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_the_latest_and_no_backlog() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    let mut stream = open(&bench, &trigger(&[("queue", "a"), ("pollingInterval", "1")]), None);
    stream.stream.next().now_or_never();
    for n in 0..40 {
        queue.set(Act::Value(f64::from(n % 2)));
        sleep(SECOND).await;
    }
    // Twenty rises went by; the reader finds one `true`, since it is active now.
    let said = stream.listen(Duration::from_millis(500)).await;
    assert_eq!(said.len(), 1);
    queue.set(Act::Value(0.0));
    sleep(2 * SECOND).await;
    assert!(stream.listen(5 * SECOND).await.is_empty(), "idle now, whatever went by");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_flaps_is_said_once_a_second() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    let mut stream = open(&bench, &trigger(&[("queue", "a"), ("pollingInterval", "100ms")]), None);
    let flapping = async {
        for n in 0..100 {
            queue.set(Act::Value(f64::from(n % 2)));
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (said, ()) = tokio::join!(stream.listen(10 * SECOND), flapping);
    assert!((5..=11).contains(&said.len()), "{said:?}");
    assert!(said.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_cleanly_when_told_and_at_its_age() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    let mut told = open(&bench, &metadata, None);
    told.stop.cancel();
    assert_eq!(told.stream.next().await, None);
    let mut ages = Vec::new();
    for _ in 0..5 {
        let mut old = open(&bench, &metadata, Some(1200 * SECOND));
        let (end, age) = timed(old.stream.next()).await;
        assert_eq!(end, None);
        assert!((900 * SECOND..1500 * SECOND).contains(&age), "{age:?}");
        ages.push(age.as_secs());
    }
    ages.dedup();
    assert!(ages.len() > 1, "jitter: {ages:?}");
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_keeps_its_trigger_and_a_dropped_one_lets_it_go() {
    let bench = Bench::new();
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    stream.listen(2000 * SECOND).await;
    assert_eq!(bench.sampler.triggers()[0].streams, 1);
    drop(stream);
    assert_eq!(bench.sampler.triggers()[0].streams, 0);
    sleep(1200 * SECOND).await;
    assert!(bench.sampler.triggers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_signals_all_the_time_is_read_no_more_than_a_hundred_times_a_second() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    let signaller = Arc::clone(&queue);
    let signals = async move {
        loop {
            signaller.signal();
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = stream.listen(10 * SECOND) => {}
        () = signals => {}
    }
    assert!((500..=1010).contains(&queue.reads().len()), "{}", queue.reads().len());
}

#[tokio::test(start_paused = true)]
async fn a_wake_that_panics_leaves_the_clock() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    queue.wake_panics.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut stream = open(&bench, &trigger(&[("queue", "a")]), None);
    assert!(stream.listen(7 * SECOND).await.is_empty());
    queue.set(Act::Value(1.0));
    let (said, took) = timed(stream.stream.next()).await;
    assert!(said.is_some() && took <= 5 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn metrics_activity_and_stream_agree() {
    let bench = Bench::new();
    let queue = bench.world.queue("a");
    let metadata = trigger(&[("queue", "a"), ("activation", "5")]);
    let mut stream = open(&bench, &metadata, None);
    let object = ObjectRef { namespace: "shop", name: "orders" };
    for value in [0.0, 5.0, 6.0, 3.0, 9.0] {
        queue.set(Act::Value(value));
        sleep(5 * SECOND).await;
        let (_, sample) = bench.sampler.sample(object, &metadata).await.unwrap();
        assert_eq!((sample.reading.value, sample.reading.active), (value, value > 5.0));
        let said = stream.stream.next().now_or_never().flatten().is_some();
        assert_eq!(said, value > 5.0, "at {value}");
    }
}
