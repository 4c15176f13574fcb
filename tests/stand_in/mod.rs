//! An HTTP server whose answers a test decides: for what no real server can be made to say. The only one for all tests.
//!
//! Not for: anything that a real broker says too.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, ToSocketAddrs},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// One request as it came.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "not every test target looks at all of it")]
pub struct Call {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    /// The first header of this name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
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

    #[allow(dead_code, reason = "not every test target needs it")]
    pub fn of_type(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
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
    secure: bool,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

impl StandIn {
    pub async fn new(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", script, None).await
    }

    /// The same inside TLS, with a certificate that is good where [`StandIn::authority`] is trusted.
    #[allow(dead_code, reason = "not every test target needs it")]
    pub async fn secure(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", script, Some(IDENTITY.acceptor.clone())).await
    }

    /// A file with the certificate of every secure one.
    #[allow(dead_code, reason = "not every test target needs it")]
    pub fn authority() -> &'static Path {
        &IDENTITY.file
    }

    /// The same at the address that one had before.
    #[allow(dead_code, reason = "not every test target needs it")]
    pub async fn at(address: SocketAddr, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(address, script, None).await
    }

    async fn listen(
        address: impl ToSocketAddrs,
        script: impl Fn(&Call) -> Reply + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let secure = tls.is_some();
        let listener = TcpListener::bind(address).await.unwrap();
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
                let (ours, tls) = (Arc::clone(&ours), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, ours).await,
                        // Whoever does not trust it is gone.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, ours).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, secure, shared, _server: server }
    }

    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
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

/// One certificate for a whole run, in a file too.
struct Identity {
    acceptor: TlsAcceptor,
    file: PathBuf,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let file = std::env::temp_dir().join(format!("plimsoll-stand-in-{}.pem", std::process::id()));
    fs::write(&file, made.cert.pem()).unwrap();
    Identity { acceptor: TlsAcceptor::from(Arc::new(config)), file }
});

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
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
        if stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// The next request; `None` when the client has gone.
async fn hear(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let split = |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut call = Call { method, target, headers: lines.filter_map(split).collect(), body: String::new() };
    let length = call.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    call.body = String::from_utf8(body).unwrap();
    Some(call)
}
