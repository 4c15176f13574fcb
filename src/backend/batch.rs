//! Many questions at about the same time become one: what keeps broker load a matter of brokers, not of triggers.
//!
//! Not for: what a batch looks like on the wire. A backend's client gives a function that answers a whole batch.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span};

use crate::{
    error::{ReadError, ReadErrorKind},
    task::{self, Task},
    telemetry::spans,
};

/// Questions of broken batches that are asked again at a time: a thousand at once would be what batches are to avoid.
const ALONE_AT_ONCE: usize = 8;

/// Answers a whole batch.
type Run<Q, A> = Arc<dyn Fn(Vec<Ask<Q, A>>) -> BoxFuture<'static, ()> + Send + Sync>;

tokio::task_local! {
    static AT_ONCE: ();
}

/// Runs `read` so that its questions wait for no company: the look after a wake, where each millisecond counts and
/// nobody else is due.
// No `async fn`: that would keep room for `read` twice.
pub fn at_once<T>(read: impl Future<Output = T>) -> impl Future<Output = T> {
    AT_ONCE.scope((), read)
}

/// Whether this is such a look.
pub fn is_at_once() -> bool {
    AT_ONCE.try_with(|()| ()).is_ok()
}

/// One question of a batch. Answer each as soon as it is known: a slow broker must not hold up the others.
#[derive(Debug)]
pub struct Ask<Q, A> {
    /// What is asked.
    pub question: Q,
    at_once: bool,
    reply: oneshot::Sender<Result<A, ReadError>>,
    span: Span,
}

impl<Q, A> Ask<Q, A> {
    /// Whether its asker is still there.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Resolves when whoever asked has gone away.
    pub async fn gone(&mut self) {
        self.reply.closed().await;
    }

    /// Answers it. An asker that has gone away is no error.
    pub fn answer(self, answer: Result<A, ReadError>) {
        self.reply.send(answer).ok();
    }
}

/// Gathers questions into batches.
///
/// The queue needs no bound of its own: the sampler has at most one read in flight per trigger.
pub struct Batcher<Q, A> {
    asks: mpsc::UnboundedSender<Ask<Q, A>>,
    run: Run<Q, A>,
    alone: Semaphore,
    _gatherer: Task,
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Batches for `run`, which gets every question that arrived within `window` of the first, and on while more come
    /// in (zero: all that are being asked right now). Batches may overlap, so one that hangs does not delay the next.
    ///
    /// One member cannot fail the others: when a batch panics, whoever has no answer yet is asked again alone, once. The
    /// panic is the `Internal` error of those that it meets again.
    pub fn new<F, Fut>(window: Duration, run: F) -> Self
    where
        F: Fn(Vec<Ask<Q, A>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (asks, inbox) = mpsc::unbounded_channel();
        let inbox = Arc::new(Mutex::new(inbox));
        let run: Run<Q, A> = Arc::new(move |batch| run(batch).boxed());
        let answering = Arc::clone(&run);
        let gatherer = task::supervise("batch", move || {
            let (inbox, run) = (Arc::clone(&inbox), Arc::clone(&answering));
            async move {
                let mut inbox = inbox.lock().await;
                while let Some(first) = inbox.recv().await {
                    let batch = gather(first, &mut inbox, window).await;
                    start(&run, batch);
                }
            }
        });
        Self { asks, run, alone: Semaphore::new(ALONE_AT_ONCE), _gatherer: gatherer }
    }

    /// Asks, and waits for this question's own answer.
    pub async fn ask(&self, question: Q) -> Result<A, ReadError> {
        let lost = || ReadError::new(ReadErrorKind::Internal, "the read ended without an answer: see the server's log");
        let at_once = is_at_once();
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { question: question.clone(), at_once, reply, span: spans::here() }).map_err(|_| lost())?;
        if let Ok(answer) = answer.await {
            return answer;
        }
        let _turn = self.alone.acquire().await.map_err(|_| lost())?;
        let (reply, answer) = oneshot::channel();
        start(&self.run, vec![Ask { question, at_once, reply, span: spans::here() }]);
        answer.await.map_err(|_| lost())?
    }
}

/// Has a batch answered, whoever goes away. Its work starts inside: a panic before the first await is a batch's too.
fn start<Q: Send + 'static, A: Send + 'static>(run: &Run<Q, A>, batch: Vec<Ask<Q, A>>) {
    let run = Arc::clone(run);
    let span = spans::batch(batch.iter().map(|ask| &ask.span));
    task::detach(async move { run(batch).await }.instrument(span));
}

const MOST_WINDOWS: u32 = 5;

async fn gather<Q, A>(
    first: Ask<Q, A>,
    inbox: &mut mpsc::UnboundedReceiver<Ask<Q, A>>,
    window: Duration,
) -> Vec<Ask<Q, A>> {
    let mut in_a_hurry = window.is_zero() || first.at_once;
    let mut batch = vec![first];
    // A burst on a busy machine takes longer than one window: as long as more come in, wait on, within reason.
    for _ in 0..MOST_WINDOWS {
        let (before, window_ends) = (batch.len(), Instant::now() + window);
        while !in_a_hurry {
            let Ok(Some(next)) = timeout_at(window_ends, inbox.recv()).await else { break };
            in_a_hurry = next.at_once;
            batch.push(next);
        }
        if in_a_hurry || batch.len() == before {
            break;
        }
    }
    // Questions of one tick come from many tasks: let those that are ready to run ask before we go.
    loop {
        tokio::task::yield_now().await;
        let before = batch.len();
        while let Ok(next) = inbox.try_recv() {
            batch.push(next);
        }
        if batch.len() == before {
            return batch;
        }
    }
}

impl<Q, A> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batcher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubling(sizes: Arc<parking_lot::Mutex<Vec<usize>>>) -> Batcher<u32, u32> {
        Batcher::new(Duration::from_millis(2), move |batch: Vec<Ask<u32, u32>>| {
            sizes.lock().push(batch.len());
            async move {
                for ask in batch {
                    assert_ne!(ask.question, u32::MAX, "a broken batch");
                    let double = ask.question * 2;
                    ask.answer(Ok(double));
                }
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_questions_of_one_moment_are_one_batch() {
        let sizes = Arc::default();
        let batcher = doubling(Arc::clone(&sizes));
        let answers = futures::future::join_all((0..1000).map(|n| batcher.ask(n))).await;
        assert_eq!(*sizes.lock(), [1000]);
        assert!(answers.into_iter().enumerate().all(|(n, answer)| answer.is_ok_and(|double| double as usize == 2 * n)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_in_a_hurry_waits_for_no_company_and_takes_along_who_waits() {
        let sizes = Arc::default();
        let batcher = doubling(Arc::clone(&sizes));
        let start = Instant::now();
        assert_eq!(at_once(batcher.ask(1)).await, Ok(2));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(futures::join!(batcher.ask(3), at_once(batcher.ask(4))), (Ok(6), Ok(8)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(batcher.ask(5).await, Ok(10));
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert_eq!(*sizes.lock(), [1, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_one_batch_is_an_error_there_and_the_next_one_runs() {
        let batcher = doubling(Arc::default());
        let broken = batcher.ask(u32::MAX).await.expect_err("the batch panics");
        assert_eq!(broken.kind, ReadErrorKind::Internal);
        assert_eq!(batcher.ask(4).await, Ok(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_panics_fails_no_other_of_its_batch() {
        let sizes = Arc::default();
        let batcher = doubling(Arc::clone(&sizes));
        let asked = (0..20).map(|n| batcher.ask(if n == 7 { u32::MAX } else { n }));
        let answers = futures::future::join_all(asked).await;
        for (n, answer) in (0..).zip(answers) {
            if n == 7 {
                assert_eq!(answer.expect_err("it panics").kind, ReadErrorKind::Internal);
            } else {
                assert_eq!(answer, Ok(2 * n));
            }
        }
        // The seven before it had their answers; it and those after it were asked again, each alone and once.
        assert_eq!(*sizes.lock(), [vec![20], vec![1; 13]].concat());
    }
}
