//! A proxy before a broker that can break in every way a network can.
//!
//! Its behaviour may change at any moment and holds for connections that are open as well as for new ones. Not for:
//! looking into what goes by.

#![expect(clippy::disallowed_methods, reason = "a connection's tasks end with the proxy's runtime")]

use std::time::Duration;

use rand::RngExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// Longer than a polling interval, shorter than a read may take.
const SLOWNESS: Duration = Duration::from_millis(700);
/// Between two bytes: a short answer comes in time and a long one does not.
const TRICKLE: Duration = Duration::from_millis(20);

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Through,
    Refuse,
    Reset,
    Freeze,
    Deafen,
    Slow,
    Trickle,
    Truncate,
    Garble,
    /// Answers each request over HTTP with 403 and this JSON, in the broker's place.
    Forbid(&'static str),
}

/// Stands before one broker until dropped.
pub struct Proxy {
    address: String,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on `on` (port 0 for any) before `broker`.
    pub async fn start(on: &str, broker: String) -> Self {
        let listener = TcpListener::bind(on).await.unwrap_or_else(|error| panic!("{on}: {error}"));
        let address = listener.local_addr().unwrap().to_string();
        let mode = watch::Sender::new(Mode::Through);
        let accepting = tokio::spawn(accept(listener, broker, mode.clone()));
        Self { address, mode, accepting }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on it behaves so.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, broker: String, mode: watch::Sender<Mode>) {
    let address = listener.local_addr().unwrap();
    let mut changes = mode.subscribe();
    let mut listening = Some(listener);
    loop {
        let refuses = *changes.borrow_and_update() == Mode::Refuse;
        match &listening {
            Some(_) if refuses => listening = None,
            None if !refuses => listening = Some(TcpListener::bind(address).await.unwrap()),
            Some(listener) => tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    tokio::spawn(serve(client, broker.clone(), mode.subscribe()));
                },
            },
            None => {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// How a connection ends.
enum End {
    Close,
    Reset,
}

/// One connection, until either side or a fault ends it.
async fn serve(mut client: TcpStream, broker: String, mut mode: watch::Receiver<Mode>) {
    client.set_nodelay(true).ok();
    let now = *mode.borrow_and_update();
    match now {
        Mode::Forbid(body) => return forbid(&mut client, body).await,
        Mode::Reset => {
            client.readable().await.ok();
            client.set_zero_linger().ok();
            return;
        }
        _ => {}
    }
    // A new connection to what is frozen or deaf opens and is silent.
    mode.wait_for(|mode| !matches!(mode, Mode::Freeze | Mode::Deafen)).await.ok();
    let Ok(mut server) = TcpStream::connect(&broker).await else { return };
    server.set_nodelay(true).ok();
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = flow(from_client, to_server, Side::Client, mode.clone()) => end,
            end = flow(from_server, to_client, Side::Server, mode.clone()) => end,
            end = cut(mode) => end,
        }
    };
    if matches!(end, End::Reset) {
        client.set_zero_linger().ok();
        server.set_zero_linger().ok();
    }
}

/// Ends a connection on which nothing may be said for long.
async fn cut(mut mode: watch::Receiver<Mode>) -> End {
    let cuts = |mode: &Mode| matches!(mode, Mode::Refuse | Mode::Reset | Mode::Forbid(_));
    match mode.wait_for(cuts).await.map(|mode| *mode) {
        Ok(Mode::Refuse | Mode::Reset) => End::Reset,
        _ => End::Close,
    }
}

/// Who speaks.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

/// Passes bytes on in one direction, as the mode of the moment has it.
async fn flow(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, side: Side, mut mode: watch::Receiver<Mode>) -> End {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..length];
        let now = *mode.borrow_and_update();
        let written = match (now, side) {
            (Mode::Freeze, _) => {
                mode.wait_for(|mode| *mode != Mode::Freeze).await.ok();
                to.write_all(bytes).await
            }
            (Mode::Deafen, Side::Client) => {
                // What was swallowed cannot be made up for.
                mode.wait_for(|mode| *mode != Mode::Deafen).await.ok();
                return End::Reset;
            }
            (Mode::Slow, _) => {
                sleep(SLOWNESS).await;
                to.write_all(bytes).await
            }
            (Mode::Trickle, Side::Server) => trickle(&mut to, bytes, &mode).await,
            (Mode::Truncate, Side::Server) => {
                to.write_all(&bytes[..length / 2]).await.ok();
                return End::Close;
            }
            (Mode::Garble, Side::Server) => {
                rand::rng().fill(bytes);
                to.write_all(bytes).await
            }
            _ => to.write_all(bytes).await,
        };
        if written.is_err() {
            break;
        }
    }
    End::Close
}

async fn trickle(to: &mut WriteHalf<'_>, bytes: &[u8], mode: &watch::Receiver<Mode>) -> std::io::Result<()> {
    for byte in bytes.chunks(1) {
        to.write_all(byte).await?;
        if *mode.borrow() == Mode::Trickle {
            sleep(TRICKLE).await;
        }
    }
    Ok(())
}

/// Hears one request over HTTP to its end and refuses it.
async fn forbid(client: &mut TcpStream, body: &str) {
    let mut client = BufReader::new(client);
    let (mut line, mut length) = (String::new(), 0);
    while client.read_line(&mut line).await.is_ok_and(|read| read > 0) && !line.trim().is_empty() {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    client.read_exact(&mut vec![0; length]).await.ok();
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    client.write_all(answer.as_bytes()).await.ok();
    client.shutdown().await.ok();
}
