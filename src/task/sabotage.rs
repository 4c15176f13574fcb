//! For tests: makes supervised tasks panic, so that it is seen what becomes of those who need them.
//!
//! The runtime of a test has one thread, so what is broken by thread is no other test's.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

static EXPOSED: Mutex<Vec<(ThreadId, &'static str, Weak<Lever>)>> = Mutex::new(Vec::new());

#[derive(Default)]
struct Lever {
    pulled: AtomicBool,
    task: AtomicWaker,
}

/// `work`, which panics when that is wanted.
pub(super) async fn exposed(name: &'static str, work: impl Future<Output = ()>) {
    let lever = Arc::new(Lever::default());
    EXPOSED.lock().push((thread::current().id(), name, Arc::downgrade(&lever)));
    let mut work = pin!(work);
    poll_fn(|cx| {
        lever.task.register(cx.waker());
        assert!(!lever.pulled.load(Ordering::Relaxed), "broken by a test");
        work.as_mut().poll(cx)
    })
    .await;
}

/// Makes all tasks of this name panic, and returns when each has begun anew.
pub async fn panic_in(name: &str) {
    let here = thread::current().id();
    let levers: Vec<_> = {
        let mut exposed = EXPOSED.lock();
        exposed.retain(|(_, _, lever)| lever.strong_count() > 0);
        let mine = exposed.iter().filter(|(thread, known, _)| *thread == here && *known == name);
        mine.filter_map(|(_, _, lever)| lever.upgrade()).collect()
    };
    assert!(!levers.is_empty(), "no task is called `{name}`");
    let before = restarts(name);
    for lever in &levers {
        lever.pulled.store(true, Ordering::Relaxed);
        lever.task.wake();
    }
    let until = Instant::now() + Duration::from_secs(10);
    while restarts(name) < before + levers.len() as u64 {
        assert!(Instant::now() < until, "`{name}` has not begun anew");
        sleep(Duration::from_millis(10)).await;
    }
}

fn restarts(name: &str) -> u64 {
    super::restarts().into_iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| count)
}
