//! What one connection may have unanswered: calls, and the bytes of their requests; and how many streams it may park.
//!
//! Each connection has a little for itself and shares the rest with all others, so that none is shut out by another.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Status, codegen::Bytes};

use super::handled::Handled;
use crate::{door::Working, limits, limits::Limit};

/// What all connections together have open, beyond what each has for itself.
#[derive(Debug, Default)]
pub(super) struct Shared {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    streams: AtomicUsize,
    /// How many triggers there may be.
    triggers: usize,
}

/// What one connection has open.
#[derive(Debug)]
pub(super) struct Calls {
    shared: Arc<Shared>,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    streams: AtomicUsize,
    /// When an answer was last taken, or there was none to take.
    moved: Mutex<Instant>,
}

/// One call, until its answer has been taken.
#[derive(Debug)]
pub(super) struct Call {
    of: Arc<Calls>,
    bytes: AtomicUsize,
    _working: Working,
}

/// One parked stream, until it ends.
#[derive(Debug)]
pub(super) struct Parked {
    of: Arc<Calls>,
    _working: Working,
}

impl Shared {
    pub(super) fn of(triggers: usize) -> Arc<Self> {
        Arc::new(Self { triggers, ..Self::default() })
    }
}

impl Calls {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        let [calls, bytes, streams] = [const { AtomicUsize::new(0) }; 3];
        Arc::new(Self { shared, calls, bytes, streams, moved: Mutex::new(Instant::now()) })
    }

    /// One more; the error is its answer.
    pub(super) fn begin(self: &Arc<Self>, working: Working) -> Result<Arc<Call>, Status> {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            *self.moved.lock() = Instant::now();
        }
        let all = lend(&self.shared.calls, before, 1, limits::CALLS_FREE);
        // Dropped on refusal, it takes itself from the count again.
        let call = Arc::new(Call { of: Arc::clone(self), bytes: AtomicUsize::new(0), _working: working });
        if before >= limits::CALLS_OF_ONE {
            Limit::Calls.crossed();
            let most = limits::CALLS_OF_ONE;
            return Err(Status::resource_exhausted(format!(
                "this connection has {most} calls unanswered: read their answers before you ask more"
            )));
        }
        if before >= limits::CALLS_FREE && all > limits::CALLS {
            Limit::Calls.crossed();
            return Err(Status::resource_exhausted(
                "too many calls of all connections are unanswered: ask again later",
            ));
        }
        Ok(call)
    }

    /// One more stream that stays open; the error is its answer.
    pub(super) fn park(self: &Arc<Self>, working: Working) -> Result<Parked, Status> {
        let before = self.streams.fetch_add(1, Ordering::Relaxed);
        let all = lend(&self.shared.streams, before, 1, limits::STREAMS_FREE);
        // Dropped on refusal, it takes itself from the count again.
        let parked = Parked { of: Arc::clone(self), _working: working };
        let most = |each| self.shared.triggers.saturating_mul(each);
        if before >= limits::STREAMS_FREE && (before >= most(limits::STREAMS_OF_ONE) || all > most(limits::STREAMS)) {
            Limit::Streams.crossed();
            return Err(Status::resource_exhausted(
                "too many streams are open: `--max-triggers` says for how many triggers there is room",
            ));
        }
        Ok(parked)
    }

    /// Whether there are many answers, and none has been taken for so long that nobody can be waiting for them.
    pub(super) fn are_forgotten(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > limits::CALLS_FREE
            && self.moved.lock().elapsed() > limits::CALL + limits::ANSWERS_UNREAD
    }
}

impl Call {
    /// Bytes of its request have come.
    fn grow(&self, bytes: usize) -> Result<(), Status> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.of.bytes.fetch_add(bytes, Ordering::Relaxed);
        let all = lend(&self.of.shared.bytes, before, bytes, limits::CALL_BYTES_FREE);
        if before + bytes > limits::CALL_BYTES_FREE && all > limits::CALL_BYTES {
            Limit::Calls.crossed();
            return Err(Status::resource_exhausted(
                "the requests of all unanswered calls are too large: ask again later",
            ));
        }
        Ok(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let before = self.of.bytes.fetch_sub(bytes, Ordering::Relaxed);
        give_back(&self.of.shared.bytes, before, bytes, limits::CALL_BYTES_FREE);
        let before = self.of.calls.fetch_sub(1, Ordering::Relaxed);
        give_back(&self.of.shared.calls, before, 1, limits::CALLS_FREE);
        *self.of.moved.lock() = Instant::now();
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let before = self.of.streams.fetch_sub(1, Ordering::Relaxed);
        give_back(&self.of.shared.streams, before, 1, limits::STREAMS_FREE);
    }
}

/// Takes from `shared` what goes beyond `free` when `before` grows by `more`; what is taken in all.
fn lend(shared: &AtomicUsize, before: usize, more: usize, free: usize) -> usize {
    let lent = (before + more).saturating_sub(free) - before.saturating_sub(free);
    shared.fetch_add(lent, Ordering::Relaxed) + lent
}

/// The reverse of [`lend`], when `before` shrinks by `less`.
fn give_back(shared: &AtomicUsize, before: usize, less: usize, free: usize) {
    let lent = before.saturating_sub(free) - (before - less).saturating_sub(free);
    shared.fetch_sub(lent, Ordering::Relaxed);
}

/// A body, and what lasts as long as it does.
#[derive(Debug)]
pub(super) struct Counted<B> {
    body: B,
    holds: Holds,
}

/// What a body holds.
#[derive(Debug)]
pub(super) enum Holds {
    /// The call whose request this is: what comes is counted.
    Request(Arc<Call>),
    /// The call whose answer this is: it is over when the answer has been taken.
    Answer(#[expect(dead_code, reason = "what counts is when it is dropped")] Arc<Call>, Handled),
    /// A parked stream: no call is unanswered, but it is open.
    Parked(#[expect(dead_code, reason = "what counts is when it is dropped")] Parked, Handled),
    /// The answer to a call that was refused.
    Nothing(#[expect(dead_code, reason = "what counts is when it is dropped")] Handled),
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, holds: Holds) -> Self {
        Self { body, holds }
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| Status::from_error(error.into()))?;
            match (&mut self.holds, frame.data_ref(), frame.trailers_ref()) {
                (Holds::Request(call), Some(data), _) => call.grow(data.len())?,
                (Holds::Answer(_, handled) | Holds::Parked(_, handled), _, Some(trailers)) => handled.look(trailers),
                _ => {}
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
