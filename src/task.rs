//! Background tasks that end with their owner: the only place that calls `tokio::spawn`, and where a panic is caught.
//!
//! Which one to use: [`supervise`] for whatever runs as long as its owner lives (a loop that watches, renews, listens): a
//! panic is logged, counted, and the work begins anew. [`spawn`] where the owner itself notices the end and makes
//! another (a link that is dialled again); [`detach`] for work that bounds its own life.

#[cfg(test)]
pub mod sabotage;

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, Location},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};
use tracing::error;

/// Between a panic and the next beginning; doubled each time, less up to half as jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What ran for so long was well: the pauses are short again.
const WELL: Duration = Duration::from_secs(60);

/// How often each supervised task has begun anew, by its name.
static RESTARTS: Mutex<BTreeMap<&'static str, Arc<AtomicU64>>> = Mutex::new(BTreeMap::new());
/// How many tasks of any kind have panicked.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// A running task; dropping the handle ends it.
#[derive(Debug)]
#[must_use = "the task ends when this is dropped"]
pub struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    /// Whether the task has ended by itself, by a panic too.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Runs what `begin` gives until it ends or the handle is dropped; if it panics, it begins anew after a pause.
///
/// `name` is a label of `plimsoll_task_restarts_total`: what the task does, the same for all of its kind (`kafka wake`).
/// What must survive a panic is made outside and cloned into each beginning:
///
/// ```no_run
/// # use std::sync::Arc;
/// # struct Shared;
/// # async fn follow(shared: Arc<Shared>) {}
/// # let shared = Arc::new(Shared);
/// let follower = plimsoll::task::supervise("kafka moves", move || follow(Arc::clone(&shared)));
/// ```
pub fn supervise<F>(name: &'static str, mut begin: impl FnMut() -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let restarts = Arc::clone(RESTARTS.lock().entry(name).or_default());
    let work = async move {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let began = Instant::now();
            // Made inside, so that a panic in `begin` itself is caught as well.
            let work = async { begin().await };
            #[cfg(test)]
            let work = sabotage::exposed(name, work);
            if caught(work).await.is_some() {
                return;
            }
            if began.elapsed() > WELL {
                backoff.reset();
            }
            restarts.fetch_add(1, Ordering::Relaxed);
            let pause = backoff.pause();
            error!(
                task = name,
                ?pause,
                "a task panicked and begins anew after a pause: please report what stands above"
            );
            sleep(pause).await;
        }
    };
    Task(start(work))
}

/// Runs `work` until it ends or the handle is dropped. A panic ends it: the owner has to notice.
#[track_caller]
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(start(to_its_end(work, Location::caller())))
}

/// Runs `work` to its end, whoever goes away. It must bound its own life.
#[track_caller]
pub fn detach(work: impl Future<Output = ()> + Send + 'static) {
    drop(start(to_its_end(work, Location::caller())));
}

/// How often the supervised tasks have begun anew, by name.
pub fn restarts() -> Vec<(&'static str, u64)> {
    RESTARTS.lock().iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed))).collect()
}

/// How many tasks have panicked, supervised or not.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// What `work` gives, or nothing if it panics: counted here, and told by the log's panic hook.
// No `async fn`: that would keep room for `work` twice, once as its argument and once as what it awaits.
pub fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(work).catch_unwind().map(|ended| {
        let ended = ended.ok();
        if ended.is_none() {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        ended
    })
}

fn to_its_end(work: impl Future<Output = ()>, begun_at: &'static Location<'static>) -> impl Future<Output = ()> {
    caught(work).map(move |ended| {
        if ended.is_none() {
            error!(task = %begun_at, "a task ended by a panic: please report what stands above");
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn start(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(work).abort_handle()
}

/// Pauses between tries: each is twice the one before up to a longest, less up to half as jitter.
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2).min(self.longest);
        pause.mul_f64(rand::rng().random_range(0.5..1.0))
    }

    /// All is well: the next pause is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backoff({:?})", self.next)
    }
}

/// Runs `work`, which keeps a processor busy, beside the worker threads, and waits for it; `None` if it panicked. It
/// cannot be stopped, so it must bound its own length.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn restarts_of(name: &str) -> u64 {
        restarts().into_iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| count)
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervised_task_that_panics_begins_anew_ever_more_rarely() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let _task = supervise("always broken", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { panic!("a task that panics") }
        });
        sleep(Duration::from_secs(1)).await;
        let early = begun.load(Ordering::Relaxed);
        assert!((3..=5).contains(&early), "{early}");
        sleep(Duration::from_secs(600)).await;
        let all = begun.load(Ordering::Relaxed);
        assert!((25..60).contains(&all), "{all} beginnings in ten minutes");
        assert_eq!(restarts_of("always broken"), all as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_before_the_first_await_and_in_the_beginning_itself_are_caught_too() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let task = supervise("broken twice", move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            assert!(number > 0, "a beginning that panics");
            async move { assert!(number > 1, "work that panics") }
        });
        sleep(Duration::from_secs(5)).await;
        assert!(task.is_finished(), "the third one ends well");
        assert_eq!((begun.load(Ordering::Relaxed), restarts_of("broken twice")), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervised_task_ends_with_its_owner() {
        let life = Arc::new(());
        let held = Arc::clone(&life);
        let task = supervise("endless", move || {
            let held = Arc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        sleep(Duration::from_secs(1)).await;
        drop(task);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&life), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_any_task_is_counted() {
        let before = panics();
        detach(async { panic!("a detached task that panics") });
        let task = spawn(async { panic!("a task that panics") });
        sleep(Duration::from_secs(1)).await;
        assert!(task.is_finished() && panics() >= before + 2);
    }
}
