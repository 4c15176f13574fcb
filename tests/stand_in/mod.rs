//! An HTTP server whose answers a test decides: for what no real server can be made to say.
//!
//! Not for: anything that a real broker says too.

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc};

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
    /// Keep the connection open and say nothing.
    Silence,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }
}

type Script = dyn Fn(&Call) -> Reply + Send + Sync;

/// Listens on a port of its own until dropped.
pub struct StandIn {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Arc<Script>>>,
    _server: JoinSet<()>,
}

impl StandIn {
    pub async fn new(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(script)));
        let (heard, says) = (Arc::clone(&calls), Arc::clone(&script));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&heard), Arc::clone(&says)));
            }
        });
        Self { address, calls, script, _server: server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers so.
    pub fn now(&self, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        *self.script.lock() = Arc::new(script);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandIn({})", self.address)
    }
}

async fn serve(stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, script: Arc<Mutex<Arc<Script>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(call) = hear(&mut stream).await {
        calls.lock().push(call.clone());
        let script = Arc::clone(&script.lock());
        match script(&call) {
            Reply::Silence => std::future::pending().await,
            Reply::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                if stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_err() {
                    return;
                }
            }
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
