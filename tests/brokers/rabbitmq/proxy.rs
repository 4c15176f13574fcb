//! A wire tap between us and the broker: what goes by is counted by somebody else than the code under test.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

/// `queue.declare` and its answers: `queue.declare-ok`, or `channel.close` for a refusal.
const DECLARE: [u8; 4] = [0, 50, 0, 10];
const DECLARE_OK: [u8; 4] = [0, 50, 0, 11];
const CLOSE: [u8; 4] = [0, 20, 0, 40];
/// Declares further apart belong to different bursts, unless one still waits for its answer. Looks that a test tells
/// apart are further apart still.
const PAUSE: Duration = Duration::from_millis(200);

/// What has gone by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub declares: usize,
    /// Declares with no pause between them.
    pub bursts: usize,
    /// How often a declare was sent when all before had been answered: 1 for a burst whose answers nobody waited for.
    pub waits: usize,
}

#[derive(Debug, Default)]
struct Seen {
    /// Our own ports towards the broker, one for each connection.
    ports: Vec<u16>,
    counts: Counts,
    unanswered: usize,
    last: Option<Instant>,
    refusals: Vec<(String, Instant)>,
}

/// It ends with this handle.
pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub address: String,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a tap has no owner but the test")]
impl Proxy {
    pub async fn before(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Seen>>::default();
        let log = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&broker).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                log.lock().ports.push(server.local_addr().unwrap().port());
                tokio::spawn(pass(client, server, Arc::clone(&log)));
            }
        });
        Self { address, seen, accepting }
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.seen.lock().ports.len()
    }

    /// As the broker sees them.
    pub fn ports(&self) -> Vec<u16> {
        self.seen.lock().ports.clone()
    }

    /// What has gone by since this was last asked.
    pub fn take(&self) -> Counts {
        let mut seen = self.seen.lock();
        // What comes next is another burst, however soon it comes.
        seen.last = None;
        std::mem::take(&mut seen.counts)
    }

    /// What the broker has said for closing a channel, and when.
    pub fn refusals(&self) -> Vec<(String, Instant)> {
        self.seen.lock().refusals.clone()
    }
}

impl Seen {
    fn asked(&mut self) {
        let now = Instant::now();
        let follows = self.last.is_some_and(|last| self.unanswered > 0 || now - last < PAUSE);
        self.counts.declares += 1;
        self.counts.bursts += usize::from(!follows);
        self.counts.waits += usize::from(self.unanswered == 0);
        self.unanswered += 1;
        self.last = Some(now);
    }

    fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.last = self.last.map(|_| Instant::now());
    }

    /// A refusal answers for all that waited on its channel; which those were nobody here knows.
    fn refused(&mut self, arguments: &[u8]) {
        self.unanswered = 0;
        let length = usize::from(arguments[2]);
        let words = String::from_utf8_lossy(&arguments[3..3 + length]).into_owned();
        self.refusals.push((words, Instant::now()));
    }
}

async fn pass(client: TcpStream, server: TcpStream, log: Arc<Mutex<Seen>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let asked = |method: &[u8]| {
        if method.starts_with(&DECLARE) {
            log.lock().asked();
        }
    };
    let answered = |method: &[u8]| {
        if method.starts_with(&DECLARE_OK) {
            log.lock().answered();
        } else if let Some(arguments) = method.strip_prefix(&CLOSE) {
            log.lock().refused(arguments);
        }
    };
    tokio::join!(copy(from_client, to_server, asked), copy(from_server, to_client, answered));
}

/// Passes bytes on, and shows each whole method before it goes.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, show: impl Fn(&[u8])) {
    let (mut buffer, mut frames) = (vec![0; 65536], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        frames.extend_from_slice(&buffer[..length]);
        take_methods(&mut frames, &show);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}

/// Takes whole frames off `bytes`: type, channel, length, payload, end.
fn take_methods(bytes: &mut Vec<u8>, show: impl Fn(&[u8])) {
    let mut at = 0;
    if bytes.starts_with(b"AMQP") {
        if bytes.len() < 8 {
            return;
        }
        at = 8;
    }
    while let Some(head) = bytes.get(at..at + 7) {
        let end = at + 7 + u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if bytes.len() <= end {
            break;
        }
        if head[0] == 1 {
            show(&bytes[at + 7..end]);
        }
        at = end + 1;
    }
    bytes.drain(..at);
}
