//! An HTTP server whose answers a test decides: for what no real server can be made to say.
//!
//! Not for: anything that a real broker says too.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// A body with status 200, after a while.
    #[allow(dead_code, reason = "not every test target is patient")]
    Slow(Duration, String),
    /// Keep the connection open and say nothing.
    Silence,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }
}

type Script = dyn Fn(&Call) -> Reply + Send + Sync;

/// What the connections share.
struct Shared {
    calls: Mutex<Vec<Call>>,
    script: Mutex<Arc<Script>>,
    /// Calls that wait for their answer, now and at most.
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

/// Listens on a port of its own until dropped.
pub struct StandIn {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

impl StandIn {
    pub async fn new(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Script> = Arc::new(script);
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            script: Mutex::new(script),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
        });
        let (ours, mut server) = (Arc::clone(&shared), JoinSet::new());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&ours)));
            }
        });
        Self { address, shared, _server: server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers so.
    pub fn now(&self, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock() = Arc::new(script);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().clone()
    }

    /// How many calls have waited for an answer at the same time, at most.
    #[allow(dead_code, reason = "not every test target asks")]
    pub fn most_at_once(&self) -> usize {
        self.shared.most_waiting.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandIn({})", self.address)
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(call) = hear(&mut stream).await {
        shared.calls.lock().push(call.clone());
        let waiting = shared.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most_waiting.fetch_max(waiting, Ordering::Relaxed);
        let script = Arc::clone(&shared.script.lock());
        let (status, headers, body) = match script(&call) {
            Reply::Silence => std::future::pending().await,
            Reply::Slow(pause, body) => {
                tokio::time::sleep(pause).await;
                (200, Vec::new(), body)
            }
            Reply::Answer { status, headers, body } => (status, headers, body),
        };
        shared.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request; `None` when the client has gone.
async fn hear(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    // The first is the request line.
    let lines = lines.into_iter().skip(1);
    let split = |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: HashMap<_, _> = lines.filter_map(split).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call { headers, body: String::from_utf8(body).unwrap() })
}
