//! Stands between the socket and the library, which believes what its peer claims: walks the frames of RESP as they
//! pass and breaks the connection off when one of our bounds is crossed.
//!
//! A text that is larger than its bound is passed on as a null instead, so that a stream with fat entries can still
//! be counted: nothing we ask for is so long. Not for: what the frames mean (`wire.rs`), or the words for an operator
//! (`trouble.rs`).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    meter::{Crossed, Meter},
    walk::{Hears, Walk},
};

/// How much is read at a time: many replies to short questions.
const CHUNK: usize = 8 << 10;

/// A connection whose incoming bytes are looked at.
pub struct Guarded<S> {
    inner: S,
    meter: Arc<Meter>,
    walk: Walk,
    chunk: Box<[u8; CHUNK]>,
    /// What may be passed on, from `passed` on.
    checked: Vec<u8>,
    passed: usize,
}

impl<S> Guarded<S> {
    /// Looks at what comes from `inner`, and tells `meter`.
    pub fn new(inner: S, meter: Arc<Meter>, hears: Hears) -> Self {
        let walk = Walk::new(Arc::clone(&meter), hears);
        Self { inner, meter, walk, chunk: Box::new([0; CHUNK]), checked: Vec::new(), passed: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, meter, walk, chunk, checked, passed } = self.get_mut();
        while *passed == checked.len() {
            checked.clear();
            *passed = 0;
            if let Some(crossed) = meter.crossed() {
                return Poll::Ready(Err(broken_off(crossed)));
            }
            let mut read = ReadBuf::new(&mut chunk[..]);
            ready!(Pin::new(&mut *inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Err(crossed) = walk.take(read.filled(), checked) {
                // What was whole before it may still be an answer to somebody.
                meter.cross(crossed);
            }
        }
        let rest = checked.get(*passed..).unwrap_or_default();
        let now = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(now);
        *passed += now.len();
        Poll::Ready(Ok(()))
    }
}

fn broken_off(crossed: Crossed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, crossed)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
