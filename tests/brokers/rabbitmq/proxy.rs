//! A wire tap between us and the broker: what goes by is counted by somebody else than the code under test.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

/// `queue.declare`: class 50, method 10.
const DECLARE: [u8; 4] = [0, 50, 0, 10];
/// Frames further apart belong to different bursts. Looks that a test tells apart are further apart still.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    /// When each declare went by.
    declares: Vec<Instant>,
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
                log.lock().connections += 1;
                let server = TcpStream::connect(&broker).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&log)));
            }
        });
        Self { address, seen, accepting }
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().connections
    }

    /// How many declares have gone by since this was last asked, and in how many bursts.
    pub fn take(&self) -> (usize, usize) {
        let declares = std::mem::take(&mut self.seen.lock().declares);
        let pauses = declares.windows(2).filter(|pair| pair[1] - pair[0] > PAUSE).count();
        (declares.len(), pauses + usize::from(!declares.is_empty()))
    }
}

async fn pass(client: TcpStream, server: TcpStream, log: Arc<Mutex<Seen>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let (mut buffer, mut frames) = (vec![0; 65536], Vec::new());
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            frames.extend_from_slice(&buffer[..length]);
            count(&mut frames, &log);
            if to_server.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await.ok();
    };
    let down = async { tokio::io::copy(&mut from_server, &mut to_client).await.ok() };
    tokio::join!(up, down);
}

/// Takes whole frames off `bytes`: type, channel, length, payload, end.
fn count(bytes: &mut Vec<u8>, log: &Mutex<Seen>) {
    if bytes.starts_with(b"AMQP") {
        if bytes.len() < 8 {
            return;
        }
        bytes.drain(..8);
    }
    while bytes.len() >= 7 {
        let length = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize + 8;
        if bytes.len() < length {
            return;
        }
        if bytes[0] == 1 && bytes[7..].starts_with(&DECLARE) {
            log.lock().declares.push(Instant::now());
        }
        bytes.drain(..length);
    }
}
