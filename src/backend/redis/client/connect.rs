//! Opens a connection to one node: name, socket, TLS, then the greeting of `hello.rs`; all within one deadline.
//!
//! Not for: what happens to the connection afterwards (`link.rs`).

use std::{
    fmt,
    future::Future,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use redis::{RedisConnectionInfo, aio::PubSub};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    hello::{Guest, Opened},
    trouble,
};
use crate::{
    backend::redis::{
        address::Address,
        bells::Bells,
        connection::{Connection, Login},
        refusal::Place,
    },
    error::ReadError,
};

/// The time for a name, a socket, TLS and a login.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Bytes both ways, over plain TCP or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What it takes to open connections; made once per client.
pub struct Dialer {
    /// The trigger's connection.
    pub connection: Connection,
    /// Made at the first use: it reads the system's certificates.
    tls: OnceCell<Arc<ClientConfig>>,
    /// Commands sent, of all clients of this server.
    pub sent: Arc<AtomicU64>,
}

impl Dialer {
    /// For `connection`, counting into `sent`.
    pub fn new(connection: Connection, sent: Arc<AtomicU64>) -> Self {
        Self { connection, tls: OnceCell::new(), sent }
    }

    /// Opens a connection to the data node at `address`, whose pushes ring `bells`.
    pub async fn open(&self, address: &Address, bells: &Arc<Bells>) -> Result<Opened, ReadError> {
        let login = self.connection.login.as_ref();
        let guest = Guest { dialer: self, address, place: Place::node(address), login, bells: Some(bells) };
        self.in_time(&guest.place, async {
            let mut opened = guest.greet().await?;
            guest.enter(&mut opened).await?;
            Ok(opened)
        })
        .await
    }

    /// Opens a connection to the sentinel at `address`.
    pub async fn open_sentinel(&self, address: &Address, login: Option<&Login>) -> Result<Opened, ReadError> {
        let guest = Guest { dialer: self, address, place: Place::sentinel(address), login, bells: None };
        self.in_time(&guest.place, guest.greet()).await
    }

    /// Opens a connection to the data node at `address` that is for publish and subscribe alone.
    pub async fn open_subscriber(&self, address: &Address) -> Result<PubSub, ReadError> {
        let place = Place::node(address);
        self.in_time(&place, async {
            let stream = self.dial(address, &place).await?;
            let info = logged_in(RedisConnectionInfo::default(), self.connection.login.as_ref());
            let subscriber = PubSub::new(&info, stream).await;
            subscriber.map_err(|error| trouble::no_hello(&place, &error, self.uses_tls()))
        })
        .await
    }

    /// Whether TLS is on.
    pub fn uses_tls(&self) -> bool {
        self.connection.tls.is_some()
    }

    /// Opens the socket.
    pub(super) async fn dial(&self, address: &Address, place: &Place) -> Result<Box<dyn Stream>, ReadError> {
        let found = lookup_host((&*address.host, address.port)).await.map_err(|_| trouble::unresolved(place))?;
        let mut failure = trouble::unresolved(place);
        for target in found {
            match TcpStream::connect(target).await {
                Ok(socket) => return self.secure(socket, address, place).await,
                Err(error) => failure = trouble::not_connected(place, &error),
            }
        }
        Err(failure)
    }

    async fn secure(&self, socket: TcpStream, address: &Address, place: &Place) -> Result<Box<dyn Stream>, ReadError> {
        // A lone small command must not wait for company.
        socket.set_nodelay(true).map_err(|error| trouble::not_connected(place, &error))?;
        let Some(tls) = &self.connection.tls else { return Ok(Box::new(socket)) };
        let config = self.tls.get_or_try_init(|| async { tls.client_config().await.map(Arc::new) }).await?;
        let name = ServerName::try_from(address.host.to_string()).map_err(|_| trouble::unresolved(place))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await;
        Ok(Box::new(stream.map_err(|error| trouble::no_handshake(place, &error))?))
    }

    async fn in_time<T>(
        &self,
        place: &Place,
        opening: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let late = |_| trouble::not_in_time(place, CONNECT_WITHIN, self.uses_tls());
        timeout(CONNECT_WITHIN, opening).await.map_err(late)?
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.connection, f)
    }
}

/// `info` with `login`, and without a word about our library: that would take a right of its own.
pub(super) fn logged_in(info: RedisConnectionInfo, login: Option<&Login>) -> RedisConnectionInfo {
    let info = info.set_skip_set_lib_name();
    let Some(login) = login else { return info };
    let info = info.set_password(login.password.expose());
    match &login.username {
        Some(username) => info.set_username(username),
        None => info,
    }
}
