//! Makes the socket to one node: name, TCP, TLS.
//!
//! Not for: what is said on it (`hello.rs`).

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OnceCell,
};
use tokio_rustls::TlsConnector;

use super::trouble;
use crate::{
    backend::redis::{address::Address, connection::Connection, refusal::Place},
    error::ReadError,
    net::tls::Tls,
};

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

    /// How TLS is spoken, if it is.
    pub fn tls(&self) -> Option<&Tls> {
        self.connection.tls.as_ref()
    }

    /// Opens the socket.
    pub async fn dial(&self, address: &Address, place: &Place) -> Result<Box<dyn Stream>, ReadError> {
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
        Ok(Box::new(stream.map_err(|error| trouble::no_handshake(place, &error, tls))?))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.connection, f)
    }
}
