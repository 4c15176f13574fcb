//! A caller's socket that does not wait for ever: for a greeting, or for answers to be taken.
//!
//! While answers are not taken, nothing more is read: who does not listen is not heard. That is what bounds what a
//! connection may have unanswered in the buffers of our HTTP library, which have no bound of their own.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::limits;

/// What a socket needs to be.
trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// A connection's bytes, whatever carries them.
pub struct Socket {
    stream: Pin<Box<dyn Stream>>,
    /// Runs while answers are not taken.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Who wanted to read meanwhile: nothing else wakes it, since the socket was not asked.
    unheard: Option<Waker>,
    /// Until when so many more bytes must have come.
    greeting: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Socket {
    /// Over `stream`.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self { stream: Box::pin(stream), stalled: None, unheard: None, greeting: None }
    }

    /// The same, which fails unless `bytes` have come by `until`.
    #[must_use]
    pub fn greeted(mut self, bytes: usize, until: Instant) -> Self {
        self.greeting = Some((Box::pin(sleep_until(until)), bytes));
        self
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            if let Some(reader) = self.unheard.take() {
                reader.wake();
            }
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limits::ANSWERS_UNREAD)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answers are not read")))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("stalled", &self.stalled.is_some()).finish_non_exhaustive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(stalled) = &mut self.stalled {
            let late = stalled.as_mut().poll(cx);
            if late.is_pending() {
                self.unheard = Some(cx.waker().clone());
                return Poll::Pending;
            }
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answers are not read")));
        }
        let before = buf.filled().len();
        let read = self.stream.as_mut().poll_read(cx, buf);
        let come = buf.filled().len().saturating_sub(before);
        let Some((until, missing)) = &mut self.greeting else { return read };
        *missing = missing.saturating_sub(come);
        if *missing == 0 {
            self.greeting = None;
        } else if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing is said")));
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(cx);
        self.written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream.as_mut().poll_shutdown(cx);
        self.written(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::{Duration, timeout},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_read_and_is_cut_in_time() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut socket = Socket::new(ours);
        theirs.write_all(b"question").await.expect("room");
        assert!(timeout(Duration::from_secs(1), socket.write_all(&[0; 100])).await.is_err(), "nobody reads");
        let mut heard = [0; 8];
        assert!(timeout(Duration::from_secs(1), socket.read_exact(&mut heard)).await.is_err(), "not before they read");
        theirs.read_exact(&mut [0; 64]).await.expect("what we wrote");
        socket.write_all(&[0; 1]).await.expect("room again");
        socket.read_exact(&mut heard).await.expect("heard again");
        assert_eq!(&heard, b"question");

        let began = Instant::now();
        let failed = socket.write_all(&[0; 100]).await.expect_err("nobody reads");
        assert_eq!((failed.kind(), began.elapsed()), (io::ErrorKind::TimedOut, limits::ANSWERS_UNREAD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_came_too_early_is_woken_when_answers_are_taken_again() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut socket = Socket::new(ours);
        theirs.write_all(b"question").await.expect("room");
        assert!(timeout(Duration::from_secs(1), socket.write_all(&[0; 100])).await.is_err(), "nobody reads");
        let (mut reader, mut writer) = tokio::io::split(socket);
        // The reader asks first, as an HTTP connection does, and is not asked again until it is woken.
        let heard = async {
            let mut heard = [0; 8];
            reader.read_exact(&mut heard).await.map(|_| heard)
        };
        let answered = async {
            theirs.read_exact(&mut [0; 64]).await.expect("what we wrote");
            writer.write_all(&[0; 1]).await.expect("room again");
        };
        let (heard, ()) =
            timeout(Duration::from_secs(5), async { tokio::join!(heard, answered) }).await.expect("woken");
        assert_eq!(&heard.expect("heard"), b"question");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_too_little_is_cut_in_time() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let until = Instant::now() + Duration::from_secs(10);
        let mut socket = Socket::new(ours).greeted(24, until);
        theirs.write_all(&[0; 23]).await.expect("room");
        let failed = socket.read_exact(&mut [0; 24]).await.expect_err("a byte is missing");
        assert_eq!((failed.kind(), Instant::now()), (io::ErrorKind::TimedOut, until));
    }
}
