//! One connection to one broker: correlation ids, deadlines, throttling.
//!
//! Requests are pipelined and may be asked from many tasks at once. The first failure (the broker hangs up, an answer
//! is late) ends the link for good; whoever needs another dials it (`broker.rs`). Not for: what is asked.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::VersionRange;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{RwLock, RwLockWriteGuard, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    explain::{Broke, Peer, Stage, explain},
    frames::{self, CLIENT_ID, LENGTH},
    requests::{Ask, Counts},
    versions::Versions,
};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits::{self, Limit},
    net::ReplyBytes,
    task::{self, Task},
    telemetry::spans,
};

/// A broker that has owed us an answer for so long is not the one to ask for anything that others know too.
const SLOW: Duration = Duration::from_millis(300);

/// A byte stream to a broker.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// One live connection.
pub struct Link {
    /// No other link has it.
    pub serial: u64,
    shared: Arc<Shared>,
    /// Needs no bound: every caller waits for its answer, and callers are bounded by the batches.
    outbox: mpsc::UnboundedSender<Bytes>,
    next_id: AtomicI32,
    /// Held for writing by a re-authentication, which may not be interleaved with other requests.
    gate: RwLock<()>,
    held_until: Mutex<Option<Instant>>,
    versions: OnceLock<Versions>,
    counts: Arc<Counts>,
    /// What lives as long as the link.
    attached: Mutex<Option<Task>>,
    _pump: Task,
}

/// What the callers and the task that moves the bytes both know.
struct Shared {
    peer: Peer,
    state: Mutex<State>,
    closed: CancellationToken,
}

struct State {
    stage: Stage,
    waiting: HashMap<i32, Waiting>,
    dead: Option<ReadError>,
}

struct Waiting {
    since: Instant,
    answer: oneshot::Sender<Frame>,
}

/// A reply without its length, and its share of what all replies may hold.
pub struct Frame {
    bytes: Bytes,
    held: ReplyBytes,
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Link {
    /// Starts to talk over `stream`.
    pub fn open(stream: impl Stream, peer: Peer, counts: Arc<Counts>) -> Self {
        let state = State { stage: Stage::Hello, waiting: HashMap::new(), dead: None };
        let shared = Arc::new(Shared { peer, state: Mutex::new(state), closed: CancellationToken::new() });
        let (outbox, frames) = mpsc::unbounded_channel();
        let moved = Arc::clone(&shared);
        let pump = task::spawn(async move {
            if task::caught(pump(stream, frames, Arc::clone(&moved))).await.is_none() {
                moved.fail(&Broke::Closed);
            }
        });
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            shared,
            outbox,
            next_id: AtomicI32::new(0),
            gate: RwLock::new(()),
            held_until: Mutex::new(None),
            versions: OnceLock::new(),
            counts,
            attached: Mutex::new(None),
            _pump: pump,
        }
    }

    /// Asks and waits for the answer, `within` from when the broker lets us send. A late answer ends the link.
    pub async fn call<R: Ask>(&self, request: &R, version: i16, within: Duration) -> Result<R::Reply, ReadError> {
        self.hold(within).await?;
        let answer = {
            let _pass = self.gate.read().await;
            self.send(request, version)?
        };
        self.receive::<R>(answer, version, within).await
    }

    /// Like [`call`](Self::call), for logging in: behind no gate.
    pub async fn login<R: Ask>(&self, request: &R, version: i16, within: Duration) -> Result<R::Reply, ReadError> {
        self.receive::<R>(self.send(request, version)?, version, within).await
    }

    /// The answer's body with its header, undecoded: version negotiation must look before it knows the version.
    pub async fn raw<R: Ask>(&self, request: &R, version: i16, within: Duration) -> Result<Frame, ReadError> {
        self.wait::<R>(self.send(request, version)?, within).await
    }

    /// Keeps all other requests back until the guard is dropped.
    pub async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// The newest version of `R` that this broker and we both speak, at most `most`.
    pub fn version<R: Ask>(&self, most: i16) -> Result<i16, ReadError> {
        let ours = R::VERSIONS.intersect(&VersionRange { min: *R::READ.start(), max: *R::READ.end() });
        let theirs = self.versions.get().and_then(|versions| versions.of(R::KEY));
        let address = &self.shared.peer.address;
        let Some(both) = theirs.map(|theirs| ours.intersect(&theirs)).filter(|both| !both.is_empty()) else {
            let text =
                format!("`{address}` and we share no version of {}: is it a Kafka broker of this decade?", R::NAME);
            return Err(ReadError::new(ReadErrorKind::BadReply, text).of_connection());
        };
        if most < both.min {
            let text = format!("`{address}` no longer speaks version {most} of {}", R::NAME);
            return Err(ReadError::new(ReadErrorKind::BadReply, text));
        }
        Ok(both.max.min(most))
    }

    /// Ends `task` with the link.
    pub fn attach(&self, task: Task) {
        *self.attached.lock() = Some(task);
    }

    /// What negotiation found.
    pub fn negotiated(&self, versions: Versions) {
        self.versions.set(versions).ok();
    }

    pub fn stage(&self, stage: Stage) {
        self.shared.state.lock().stage = stage;
    }

    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    pub fn is_dead(&self) -> bool {
        self.shared.state.lock().dead.is_some()
    }

    /// Why it is dead.
    pub fn obituary(&self) -> Option<ReadError> {
        self.shared.state.lock().dead.clone()
    }

    /// Whether it ever answered anything but its greeting and the login.
    pub fn has_worked(&self) -> bool {
        self.shared.state.lock().stage == Stage::Working
    }

    /// Whether an answer is overdue enough to ask elsewhere.
    pub fn is_slow(&self) -> bool {
        self.shared.state.lock().waiting.values().any(|waiting| waiting.since.elapsed() > SLOW)
    }

    /// Ends the link: this went wrong.
    pub fn fail(&self, broke: &Broke) {
        self.shared.fail(broke);
    }

    /// Ends the link with an error of the caller's.
    pub fn fail_with(&self, error: ReadError) {
        self.shared.fail_with(error);
    }

    async fn hold(&self, within: Duration) -> Result<(), ReadError> {
        let Some(until) = *self.held_until.lock() else { return Ok(()) };
        if until > Instant::now() + within {
            let text =
                format!("`{}` throttles us: raise the client's quota (client id `{CLIENT_ID}`)", self.peer().address);
            return Err(ReadError::new(ReadErrorKind::Throttled, text));
        }
        sleep_until(until).await;
        Ok(())
    }

    fn send<R: Ask>(&self, request: &R, version: i16) -> Result<oneshot::Receiver<Frame>, ReadError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = frames::encode(request, version, id).map_err(|error| {
            ReadError::new(ReadErrorKind::Internal, format!("cannot encode {} version {version}: {error}", R::NAME))
        })?;
        let (answer, receiver) = oneshot::channel();
        {
            let mut state = self.shared.state.lock();
            if let Some(dead) = &state.dead {
                return Err(dead.clone());
            }
            state.waiting.insert(id, Waiting { since: Instant::now(), answer });
        }
        self.counts.add::<R>();
        // If the pump has just ended, it has dropped our `answer` too.
        self.outbox.send(frame).ok();
        Ok(receiver)
    }

    async fn wait<R: Ask>(&self, answer: oneshot::Receiver<Frame>, within: Duration) -> Result<Frame, ReadError> {
        let span = spans::request("kafka", R::NAME, &self.peer().address);
        match timeout(within, answer).instrument(span).await {
            Ok(Ok(frame)) => return Ok(frame),
            Ok(Err(_)) => {}
            Err(_) => self.fail(&Broke::Late(R::NAME, within)),
        }
        Err(self.obituary().unwrap_or_else(|| explain(self.peer(), Stage::Working, &Broke::Closed)))
    }

    async fn receive<R: Ask>(
        &self,
        answer: oneshot::Receiver<Frame>,
        version: i16,
        within: Duration,
    ) -> Result<R::Reply, ReadError> {
        let mut frame = self.wait::<R>(answer, within).await?;
        frame.held.grow(frame.bytes.len() * limits::KAFKA_READ)?;
        let reply = frames::decode::<R>(&frame, version).map_err(|error| {
            let text = format!("`{}` sends a {} answer we cannot read: {error}", self.peer().address, R::NAME);
            ReadError::new(ReadErrorKind::BadReply, text)
        })?;
        {
            let mut state = self.shared.state.lock();
            if state.stage == Stage::FirstRequest {
                state.stage = Stage::Working;
                self.shared.peer.worked.store(true, Ordering::Relaxed);
            }
        }
        if let Ok(throttle @ 1..) = u64::try_from(R::throttle(&reply)) {
            *self.held_until.lock() = Some(Instant::now() + Duration::from_millis(throttle));
        }
        Ok(reply)
    }
}

impl Shared {
    fn fail(&self, broke: &Broke) {
        if matches!(broke, Broke::TooLong(_)) {
            Limit::Reply.crossed();
        }
        let stage = self.state.lock().stage;
        self.fail_with(explain(&self.peer, stage, broke));
    }

    fn fail_with(&self, error: ReadError) {
        let mut state = self.state.lock();
        state.dead.get_or_insert(error);
        // Dropping the senders tells every caller.
        state.waiting.clear();
        self.closed.cancel();
    }

    /// The longest frame that may come now.
    fn longest(&self) -> usize {
        match self.state.lock().stage {
            Stage::TlsHandshake | Stage::Hello | Stage::Login => limits::KAFKA_GREETING,
            Stage::FirstRequest | Stage::Working => limits::KAFKA_REPLY,
        }
    }

    fn deliver(&self, frame: Frame) -> Result<(), Broke> {
        let id = frame.bytes.clone().try_get_i32().map_err(|_| Broke::Garbled("a frame without a correlation id"))?;
        let Some(waiting) = self.state.lock().waiting.remove(&id) else {
            return Err(Broke::Garbled("an answer that nobody asked for"));
        };
        // Whoever asked may have gone away.
        waiting.answer.send(frame).ok();
        Ok(())
    }
}

/// Ends the link with the task that moves its bytes, by a panic too.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.fail(&Broke::Closed);
    }
}

/// Moves bytes until the link ends. Reads and writes side by side: a broker that is busy sending a long answer reads
/// nothing, so writing first could wait for ever.
async fn pump(stream: impl Stream, mut frames: mpsc::UnboundedReceiver<Bytes>, shared: Arc<Shared>) {
    // However it ends, nobody is left waiting for it.
    let _ending = Ending(Arc::clone(&shared));
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        while let Some(frame) = frames.recv().await {
            let sent = async {
                writer.write_all(&frame).await?;
                writer.flush().await
            };
            if let Err(error) = sent.await {
                return Broke::from(&error);
            }
        }
        // The link was dropped.
        std::future::pending().await
    };
    let reading = async {
        let mut buffer = BytesMut::with_capacity(4096);
        let mut held = ReplyBytes::default();
        loop {
            match reader.read_buf(&mut buffer).await {
                Ok(0) => return Broke::Closed,
                Err(error) => return Broke::from(&error),
                Ok(count) => {
                    if let Err(error) = held.grow(count) {
                        return Broke::Full(error);
                    }
                }
            }
            loop {
                let delivered = match frames::next(&mut buffer, shared.longest()) {
                    Ok(None) => break,
                    Ok(Some(bytes)) => {
                        let held = held.split(bytes.len() + LENGTH);
                        shared.deliver(Frame { bytes, held })
                    }
                    Err(broke) => Err(broke),
                };
                if let Err(broke) = delivered {
                    return broke;
                }
            }
        }
    };
    let broke = tokio::select! {
        // What the broker said last explains more than that we could not write.
        biased;
        () = shared.closed.cancelled() => return,
        broke = reading => broke,
        broke = writing => broke,
    };
    shared.fail(&broke);
}
