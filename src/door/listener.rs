//! The accept loop of a port: never spinning, never held up by one caller.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::Stream;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tracing::{info, warn};

use super::{
    Guest, Socket,
    callers::{Caller, Callers},
    tls::Tls,
};
use crate::{
    limits,
    task::{self, Task},
};

/// What a port has room for.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its callers.
    pub callers: Callers,
    /// What callers are to speak, if anything.
    pub tls: Option<Tls>,
    /// So many bytes must come from a caller within [`limits::GREETING`]; 0 where the protocol sees to that.
    pub greeting: usize,
}

/// Those who come in. The port is closed when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    guests: ReceiverStream<Guest>,
    _accepting: Task,
}

impl Stream for Incoming {
    type Item = Guest;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.guests).poll_next(cx)
    }
}

/// Lets callers in.
#[must_use]
pub fn listen(listener: TcpListener, room: Room) -> Incoming {
    let (admitted, guests) = mpsc::channel(1);
    let listener = Arc::new(listener);
    let accepting = task::supervise("accept", move || accept(Arc::clone(&listener), room.clone(), admitted.clone()));
    Incoming { guests: ReceiverStream::new(guests), _accepting: accepting }
}

async fn accept(listener: Arc<TcpListener>, room: Room, admitted: mpsc::Sender<Guest>) {
    let mut trouble = Trouble::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                trouble.over();
                if let Some(caller) = room.callers.admit(address.ip()) {
                    welcome(stream, address, caller, &room, &admitted).await;
                }
            }
            Err(error) if is_of_one_caller(&error) => {}
            Err(error) => trouble.pause(&error).await,
        }
    }
}

/// Brings a caller in. A handshake is nobody else's business: it has a task of its own, which its deadline ends.
async fn welcome(stream: TcpStream, address: SocketAddr, caller: Caller, room: &Room, admitted: &mpsc::Sender<Guest>) {
    set_up(&stream);
    let Some(tls) = room.tls.clone() else {
        // The other side is dropped with us.
        admitted.send(Guest { socket: greeted(stream, room.greeting), caller }).await.ok();
        return;
    };
    let (greeting, admitted) = (room.greeting, admitted.clone());
    task::detach(async move {
        let stream = tokio::select! {
            () = caller.must_leave() => return,
            stream = tls.accept(stream, address.ip()) => stream,
        };
        if let Some(stream) = stream {
            admitted.send(Guest { socket: greeted(stream, greeting), caller }).await.ok();
        }
    });
}

/// The socket as we want it.
fn set_up(stream: &TcpStream) {
    let options = SockRef::from(stream);
    // None of them can fail on a fresh socket, and a connection without them works.
    options.set_tcp_nodelay(true).ok();
    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(limits::KEEPALIVE)).ok();
    options.set_send_buffer_size(limits::SEND_BUFFER).ok();
}

fn greeted(stream: impl AsyncRead + AsyncWrite + Send + 'static, greeting: usize) -> Socket {
    let socket = Socket::new(stream);
    if greeting == 0 { socket } else { socket.greeted(greeting, Instant::now() + limits::GREETING) }
}

/// The caller was gone before we had it: the next `accept` is not concerned.
fn is_of_one_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A time in which nobody can be let in, as when descriptors have run out: said once, and waited through.
#[derive(Debug, Default)]
struct Trouble {
    since: Option<Instant>,
    pause: Duration,
}

impl Trouble {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    async fn pause(&mut self, error: &io::Error) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.pause = Self::SHORTEST;
            warn!(%error, "no connection can be accepted: if descriptors have run out, raise the limit (`ulimit -n`)");
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Self::LONGEST);
    }

    fn over(&mut self) {
        if let Some(since) = self.since.take() {
            info!(lasted = ?since.elapsed(), "connections are accepted again");
        }
    }
}
