//! A relay between us and a server: counts connections and round trips, and can cut the line.

#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes bytes both ways.
pub struct Relay {
    address: String,
    counts: Arc<Counts>,
    cut: watch::Sender<u64>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    open: AtomicUsize,
    round_trips: AtomicUsize,
    bytes: AtomicUsize,
}

impl Relay {
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (counts, cut) = (Arc::new(Counts::default()), watch::Sender::new(0));
        let (server, counting, cutting) = (server.to_owned(), Arc::clone(&counts), cut.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&counting), cutting.clone()));
            }
        });
        Self { address, counts, cut }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open_now(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// How often the client spoke after the server had.
    pub fn round_trips(&self) -> usize {
        self.counts.round_trips.load(Ordering::Relaxed)
    }

    /// Bytes that the client has sent.
    pub fn bytes(&self) -> usize {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Closes every connection that is open now.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, counts: Arc<Counts>, mut cut: watch::Receiver<u64>) {
    cut.borrow_and_update();
    counts.open.fetch_add(1, Ordering::Relaxed);
    let servers_turn = AtomicBool::new(false);
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(count) if count > 0 => {
                    counts.bytes.fetch_add(count, Ordering::Relaxed);
                    if !servers_turn.swap(true, Ordering::Relaxed) {
                        counts.round_trips.fetch_add(1, Ordering::Relaxed);
                    }
                    if server.write_all(&from_client[..count]).await.is_err() { break }
                }
                _ => break,
            },
            read = server.read(&mut from_server) => match read {
                Ok(count) if count > 0 => {
                    servers_turn.store(false, Ordering::Relaxed);
                    if client.write_all(&from_server[..count]).await.is_err() { break }
                }
                _ => break,
            },
            _ = cut.changed() => break,
        }
    }
    counts.open.fetch_sub(1, Ordering::Relaxed);
}
