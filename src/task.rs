//! Background tasks that end with their owner: the only place that calls `tokio::spawn`.

use std::future::Future;

use tokio::task::AbortHandle;

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

/// Runs `work` until it ends or the handle is dropped.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(work).abort_handle())
}

/// Runs `work` to its end, whoever goes away. It must bound its own life.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn detach(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// Runs `work`, which keeps a processor busy, beside the worker threads, and waits for it; `None` if it panicked. It
/// cannot be stopped, so it must bound its own length.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
