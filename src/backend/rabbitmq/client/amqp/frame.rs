//! Frames of AMQP 0-9-1 over a stream of bytes, plain or TLS: type, channel, length, payload, end.
//!
//! The first to see what a broker sends. A frame has a bound before its bytes are kept, and so has all that may come
//! while nothing more is asked for. Not for: what a method means (`method.rs`).

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::method::Goodbye;
use crate::limits::{self, Limit};

/// Bytes both ways, over plain TCP or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// Why a connection is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The other side hung up, or the network did.
    Lost,
    /// Nothing has been heard for two heartbeats.
    Silent,
    /// The broker has closed it.
    Closed(Goodbye),
    /// What comes is not AMQP 0-9-1.
    Foreign,
    /// The broker says what it has no reason to say.
    Unexpected,
    /// A frame is larger than it may be.
    LargeFrame,
    /// More comes than was asked for.
    Flood,
}

/// One frame from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A method on a channel.
    Method { channel: u16, payload: BytesMut },
    /// A sign of life.
    Heartbeat,
}

/// A stream of frames.
pub struct Frames {
    stream: Box<dyn Stream>,
    inbound: BytesMut,
    outbound: BytesMut,
    /// Whether something has been written since the last flush.
    unflushed: bool,
    /// How many bytes may still come.
    allowed: usize,
    /// When something last came.
    heard: Instant,
}

const METHOD: u8 = 1;
const CONTENT: [u8; 2] = [2, 3];
const HEARTBEAT: u8 = 8;
const END: u8 = 0xce;
/// Type, channel and length.
const HEAD: usize = 7;

impl Frames {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        let (inbound, outbound) = (BytesMut::new(), BytesMut::new());
        Self { stream, inbound, outbound, unflushed: false, allowed: 0, heard: Instant::now() }
    }

    /// Lets `bytes` more come, from now on; more is a flood.
    pub fn allow(&mut self, bytes: usize) {
        self.allowed = bytes;
    }

    /// When something last came.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// To be sent as it is.
    pub fn say_raw(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
    }

    /// To be sent while the next frame is waited for.
    pub fn say(&mut self, channel: u16, method: &[u8]) {
        self.frame(METHOD, channel, method);
    }

    /// A sign of life.
    pub fn say_heartbeat(&mut self) {
        self.frame(HEARTBEAT, 0, &[]);
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.outbound.extend_from_slice(&[kind]);
        self.outbound.extend_from_slice(&channel.to_be_bytes());
        self.outbound.extend_from_slice(&length.to_be_bytes());
        self.outbound.extend_from_slice(payload);
        self.outbound.extend_from_slice(&[END]);
    }

    /// The next frame; meanwhile what is to be said is sent, so that two who both have much to say do not wait for
    /// each other. Nothing is lost when this is dropped.
    pub async fn next(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = take(&mut self.inbound)? {
                return Ok(frame);
            }
            poll_fn(|context| self.poll(context)).await?;
        }
    }

    /// Gives back the memory of a large burst.
    pub fn rest(&mut self) {
        if self.outbound.is_empty() {
            self.outbound = BytesMut::new();
        }
        if self.inbound.is_empty() {
            self.inbound = BytesMut::new();
        }
    }

    /// Sends what can be sent; ready when something has come.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let lost = |_: io::Error| Broken::Lost;
        // What came before the other side hung up is its last word, and worth more than that it did.
        let sent = self.poll_send(context).map_err(lost);
        let mut buffer = [0; 4096];
        let mut buffer = ReadBuf::new(&mut buffer);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer).map_err(lost)? {
            Poll::Pending => sent.map_or_else(|lost| Poll::Ready(Err(lost)), |()| Poll::Pending),
            Poll::Ready(()) if buffer.filled().is_empty() => Poll::Ready(Err(Broken::Lost)),
            Poll::Ready(()) => {
                let Some(allowed) = self.allowed.checked_sub(buffer.filled().len()) else {
                    Limit::Reply.crossed();
                    return Poll::Ready(Err(Broken::Flood));
                };
                self.allowed = allowed;
                self.heard = Instant::now();
                self.inbound.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Sends as much as goes.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<(), io::Error> {
        while !self.outbound.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.outbound)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(sent) => {
                    self.outbound.advance(sent.min(self.outbound.len()));
                    self.unflushed = true;
                }
                Poll::Pending => return Ok(()),
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }
}

/// Takes one whole frame off `bytes`, if there is one. Its length is judged before its bytes have come.
pub fn take(bytes: &mut BytesMut) -> Result<Option<Frame>, Broken> {
    let Some((&[kind, high, low, a, b, c, d], rest)) = bytes.split_first_chunk::<HEAD>() else {
        let foreign = bytes.first().is_some_and(|kind| !is_known(*kind));
        return if foreign { Err(Broken::Foreign) } else { Ok(None) };
    };
    if !is_known(kind) {
        return Err(Broken::Foreign);
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > limits::AMQP_FRAME {
        Limit::Reply.crossed();
        return Err(Broken::LargeFrame);
    }
    let Some(end) = rest.get(length) else { return Ok(None) };
    match (kind, *end) {
        (METHOD | HEARTBEAT, END) => {}
        // Contents are for those who consume.
        (_, END) => return Err(Broken::Unexpected),
        _ => return Err(Broken::Foreign),
    }
    let mut payload = bytes.split_to(HEAD + length + 1);
    payload.advance(HEAD);
    payload.truncate(length);
    let channel = u16::from_be_bytes([high, low]);
    Ok(Some(if kind == METHOD { Frame::Method { channel, payload } } else { Frame::Heartbeat }))
}

fn is_known(kind: u8) -> bool {
    kind == METHOD || kind == HEARTBEAT || CONTENT.contains(&kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn frame(kind: u8, channel: u16, payload: &[u8], end: u8) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind][..], &channel.to_be_bytes(), &length, payload, &[end]].concat()
    }

    fn taken(bytes: &[u8]) -> Result<Option<Frame>, Broken> {
        take(&mut BytesMut::from(bytes))
    }

    #[test]
    fn what_is_no_frame_or_too_large_is_refused_by_its_head() {
        let method = Frame::Method { channel: 7, payload: BytesMut::from(&b"abc"[..]) };
        assert_eq!(taken(&frame(1, 7, b"abc", 0xce)), Ok(Some(method)));
        assert_eq!(taken(&frame(8, 0, b"", 0xce)), Ok(Some(Frame::Heartbeat)));
        assert_eq!(taken(&frame(1, 7, b"abc", 0xce)[..10]), Ok(None));
        assert_eq!(taken(&frame(1, 7, b"abc", 0)), Err(Broken::Foreign));
        assert_eq!(taken(&frame(2, 7, b"abc", 0xce)), Err(Broken::Unexpected));
        // Another version's greeting, HTTP, an alert of TLS, nothing yet.
        for foreign in [&b"AMQP\0\x01\0\0"[..], b"HTTP/1.1 400", b"\x15", b"\0"] {
            assert_eq!(taken(foreign), Err(Broken::Foreign), "{foreign:?}");
        }
        assert_eq!(taken(b""), Ok(None));
        assert_eq!(taken(&[1, 0, 0, 0xff, 0xff, 0xff, 0xff]), Err(Broken::LargeFrame));
    }

    #[tokio::test]
    async fn more_than_was_asked_for_is_not_read() {
        let (ours, mut theirs) = duplex(1 << 20);
        let mut frames = Frames::new(Box::new(ours));
        theirs.write_all(&frame(8, 0, b"", 0xce).repeat(10_000)).await.expect("room");
        frames.allow(20_000);
        let mut beats = 0;
        let error = loop {
            match frames.next().await {
                Ok(_) => beats += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error, Broken::Flood);
        assert!((1000..=2500).contains(&beats), "{beats}");
    }

    #[tokio::test]
    async fn two_who_both_have_much_to_say_do_not_wait_for_each_other() {
        let (ours, theirs) = duplex(64);
        let mut frames = Frames::new(Box::new(ours));
        frames.allow(usize::MAX);
        for _ in 0..100 {
            frames.say(1, &[0; 100]);
        }
        let (mut from_us, mut to_us) = tokio::io::split(theirs);
        let heard = async {
            let mut heard = vec![0; 100 * 108];
            from_us.read_exact(&mut heard).await.expect("all of it");
        };
        let said = async { to_us.write_all(&frame(8, 0, b"", 0xce).repeat(100)).await.expect("taken") };
        let listening = async {
            for _ in 0..100 {
                assert_eq!(frames.next().await, Ok(Frame::Heartbeat));
            }
            // Says the rest.
            frames.next().await.ok();
        };
        // The other side has said all before it listens.
        let the_other = async {
            said.await;
            heard.await;
        };
        tokio::select! {
            () = the_other => {}
            () = listening => panic!("nobody hung up"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_in_whatever_pieces_ends_in_frames_or_an_error(
            sound in proptest::collection::vec((prop_oneof![Just(1_u8), Just(8), 0..10_u8], any::<u16>(), any::<Vec<u8>>()), 0..5),
            rest: Vec<u8>,
            pieces in 1_usize..40,
        ) {
            let sound = sound.iter().flat_map(|(kind, channel, payload)| frame(*kind, *channel, payload, 0xce));
            let bytes: Vec<u8> = sound.chain(rest).collect();
            let (mut buffer, mut whole) = (BytesMut::new(), BytesMut::from(bytes.as_slice()));
            let mut each = Vec::new();
            'pieces: for piece in bytes.chunks(pieces) {
                buffer.extend_from_slice(piece);
                loop {
                    match take(&mut buffer) {
                        Ok(None) => break,
                        Ok(Some(frame)) => each.push(Ok(frame)),
                        Err(error) => { each.push(Err(error)); break 'pieces; }
                    }
                }
            }
            for one in each {
                prop_assert_eq!(take(&mut whole).transpose(), Some(one));
            }
        }
    }
}
