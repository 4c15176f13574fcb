//! Redis servers of a test's own: on free ports, in a directory that goes with them, killed on drop.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::fixtures::{Writer, eventually};

/// How long a server may take to start or to change its mind.
pub const SOON: Duration = Duration::from_secs(20);

/// One `redis-server`.
pub struct Server {
    port: u16,
    directory: PathBuf,
    sentinel: bool,
    child: Child,
}

impl Server {
    /// A server with these lines of configuration, ready for commands.
    pub async fn start(lines: &[&str]) -> Self {
        Self::start_on(free_port(), lines, false).await
    }

    pub async fn start_sentinel(lines: &[&str]) -> Self {
        Self::start_on(free_port(), lines, true).await
    }

    /// A server that may not be reached by plain text, so it is not waited for.
    pub fn start_unseen(port: u16, lines: &[&str]) -> Self {
        Self::spawn(port, lines, false)
    }

    pub fn start_unseen_sentinel(port: u16, lines: &[&str]) -> Self {
        Self::spawn(port, lines, true)
    }

    async fn start_on(port: u16, lines: &[&str], sentinel: bool) -> Self {
        let port_line = format!("port {port}");
        let server = Self::spawn(port, &[&[port_line.as_str()], lines].concat(), sentinel);
        server.is_up().await;
        server
    }

    fn spawn(port: u16, lines: &[&str], sentinel: bool) -> Self {
        let directory = new_directory();
        let save = if sentinel { "" } else { "save \"\"" };
        let bind = if lines.iter().any(|line| line.starts_with("bind")) { "" } else { "bind 127.0.0.1" };
        let text = format!("{bind}\ndir {}\n{save}\n{}\n", directory.display(), lines.join("\n"));
        std::fs::write(directory.join("redis.conf"), text).unwrap();
        let child = spawn(&directory, sentinel);
        Self { port, directory, sentinel, child }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub async fn writer(&self) -> Writer {
        Writer::new(&self.address()).await
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with the data it saved.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.directory, self.sentinel);
        self.is_up().await;
    }

    /// As [`start_again`](Self::start_again), without waiting for it.
    pub fn start_again_unseen(&mut self) {
        self.child = spawn(&self.directory, self.sentinel);
    }

    /// Stops it in its tracks: the kernel still accepts, nobody answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    async fn is_up(&self) {
        let address = self.address();
        eventually(SOON, true, async || {
            let Ok(mut writer) = Writer::try_new(&address).await else { return false };
            // A refusal is an answer, too.
            match writer.try_run::<redis::Value>("PING").await {
                Ok(_) => true,
                Err(error) => matches!(error.code(), Some("NOAUTH" | "MASTERDOWN")),
            }
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// A port that nobody listens on. Cluster nodes also take the port 10,000 above. Both are below those that the system
/// gives to whoever asks for any, so nobody can be given one before its server is up.
pub fn free_port() -> u16 {
    const FIRST: u32 = 21_000;
    const COUNT: u32 = 1_700;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Other processes may run these tests too.
        let place = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() * 64);
        let port = u16::try_from(FIRST + place % COUNT).unwrap();
        if [port, port + 10_000].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

fn new_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("plimsoll-redis-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn spawn(directory: &Path, sentinel: bool) -> Child {
    let mut command = Command::new("redis-server");
    command.arg(directory.join("redis.conf"));
    if sentinel {
        command.arg("--sentinel");
    }
    let log = std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    let spawned = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
    spawned.expect("redis-server can be run: install it, or run `tests/brokers/up` once")
}
