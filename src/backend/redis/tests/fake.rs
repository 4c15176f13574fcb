//! A server on a port of this machine that answers as a test tells it to.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    backend::{Backend, Source, redis::Redis},
    metadata::{Metadata, Reader},
    net::Reach,
    task,
};

/// What a server answers to one command.
#[derive(Clone)]
pub enum Say {
    /// This.
    Bytes(Vec<u8>),
    /// This, and then that without end.
    Endless(Vec<u8>, Vec<u8>),
    /// This, and hang up.
    Bye(Vec<u8>),
}

type Answers = Arc<dyn Fn(&[String]) -> Say + Send + Sync>;

/// A server that answers as it is told.
#[derive(Clone)]
pub struct Fake {
    pub address: String,
    /// Every command, as words.
    pub heard: Arc<Mutex<Vec<Vec<String>>>>,
    pub connections: Arc<AtomicUsize>,
    pub sent: Arc<AtomicU64>,
}

impl Fake {
    pub async fn new(answers: impl Fn(&[String]) -> Say + Send + Sync + 'static) -> Self {
        Self::listening(|_| answers).await
    }

    /// One whose answers know its port.
    pub async fn listening<A: Fn(&[String]) -> Say + Send + Sync + 'static>(answers: impl FnOnce(u16) -> A) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let bound = listener.local_addr().expect("bound");
        let (address, answers) = (bound.to_string(), answers(bound.port()));
        let fake = Self { address, heard: Arc::default(), connections: Arc::default(), sent: Arc::default() };
        let (answers, serving): (Answers, _) = (Arc::new(answers), fake.clone());
        task::detach(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let (serving, answers) = (serving.clone(), Arc::clone(&answers));
                task::detach(async move { serving.serve(socket, answers).await.unwrap_or_default() });
            }
        });
        fake
    }

    async fn serve(&self, socket: TcpStream, answers: Answers) -> Option<()> {
        let (read, mut write) = socket.into_split();
        let mut read = BufReader::new(read);
        loop {
            let words = command(&mut read).await?;
            self.heard.lock().push(words.clone());
            match answers(&words) {
                Say::Bytes(bytes) => self.send(&mut write, &bytes).await?,
                Say::Bye(bytes) => return self.send(&mut write, &bytes).await,
                Say::Endless(head, more) => {
                    self.send(&mut write, &head).await?;
                    loop {
                        self.send(&mut write, &more).await?;
                    }
                }
            }
        }
    }

    async fn send(&self, write: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> Option<()> {
        write.write_all(bytes).await.ok()?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Some(())
    }

    pub fn how_often(&self, command: &str) -> usize {
        self.heard.lock().iter().filter(|words| words.first().is_some_and(|word| word == command)).count()
    }
}

async fn command(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(read).await? {
        let mut word = vec![0; number(read).await? + 2];
        read.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
    }
    Some(words)
}

async fn number(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}

pub fn say(text: &str) -> Say {
    Say::Bytes(text.as_bytes().to_vec())
}

/// As a decent Redis with nothing in it, a sentinel and a cluster of one node at once, would.
pub fn decent(words: &[String]) -> Say {
    let line: Vec<&str> = words.iter().map(String::as_str).collect();
    match line.as_slice() {
        ["HELLO", ..] => say("%1\r\n+proto\r\n:3\r\n"),
        ["PING"] => say("+PONG\r\n"),
        ["ROLE"] => say("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
        ["LLEN" | "XLEN" | "SCARD" | "ZCARD" | "HLEN", ..] => say(":0\r\n"),
        ["XPENDING", ..] => say("*4\r\n:0\r\n_\r\n_\r\n_\r\n"),
        ["XINFO", "GROUPS", ..] => say("*0\r\n"),
        ["INFO", ..] => say("$19\r\nredis_version:7.0.0\r\n"),
        _ => say("+OK\r\n"),
    }
}

pub fn source(scaler_type: &str, pairs: &[(&str, &str)], reach: &Reach) -> Arc<dyn Source> {
    let metadata: Metadata = pairs.iter().copied().collect();
    Redis::default().parse(scaler_type, &mut Reader::new(&metadata), reach).expect("legal metadata")
}

pub fn list_at(fake: &Fake) -> Arc<dyn Source> {
    source("redis", &[("address", &fake.address), ("listName", "q")], &Reach::open())
}
