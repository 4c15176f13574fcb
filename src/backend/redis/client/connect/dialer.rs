//! Makes the socket to one node: name, TCP, TLS.
//!
//! Not for: what is said on it (`hello.rs`).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
    time::Instant,
};
use tokio_rustls::TlsConnector;

use super::trouble::{self, Doubt};
use crate::{
    backend::{
        Account,
        redis::{
            address::Address,
            connection::{Connection, Topology},
            refusal::Place,
        },
    },
    error::{ReadError, ReadErrorKind::Denied},
    limits,
    net::{DialError, dial, tls::Tls},
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
    /// What commands and handshakes are noted on.
    pub account: Account,
    /// A data node has let us in: what the trigger says of it is right.
    pub has_worked: AtomicBool,
}

impl Dialer {
    /// For `connection`, on `account`.
    pub fn new(connection: Connection, account: Account) -> Self {
        Self { connection, tls: OnceCell::new(), account, has_worked: AtomicBool::new(false) }
    }

    /// What may be wrong with what the trigger says of TLS.
    pub fn doubt(&self) -> Doubt {
        match &self.connection.tls {
            _ if self.has_worked.load(Ordering::Relaxed) => Doubt::None,
            Some(_) => Doubt::Tls,
            None => Doubt::Plain,
        }
    }

    /// How TLS is spoken, if it is.
    pub fn tls(&self) -> Option<&Tls> {
        self.connection.tls.as_ref()
    }

    /// Opens the socket. Every connection of this backend begins here, whoever has named the address.
    pub async fn dial(&self, address: &Address, place: &Place) -> Result<Box<dyn Stream>, ReadError> {
        // Later than the dialer's own limit, which its texts name.
        let until = Instant::now() + 2 * limits::DIAL;
        let socket = dial(&self.connection.reach, &address.host, address.port, until).await;
        self.secure(socket.map_err(|error| self.not_dialled(address, place, &error))?, address, place).await
    }

    fn not_dialled(&self, address: &Address, place: &Place, error: &DialError) -> ReadError {
        let DialError::Forbidden(refusal) = error else { return error.at(&place.to_string()) };
        if self.connection.addresses.contains(&address.to_string()) {
            return error.at(&place.to_string());
        }
        match self.connection.topology {
            // Of one node of many: the others are served.
            Topology::Cluster => {
                ReadError::new(Denied, format!("the redis cluster names a node at `{address}`: {refusal}"))
            }
            _ => {
                ReadError::new(Denied, format!("the sentinels name a master at `{address}`: {refusal}")).of_connection()
            }
        }
    }

    async fn secure(&self, socket: TcpStream, address: &Address, place: &Place) -> Result<Box<dyn Stream>, ReadError> {
        let Some(tls) = &self.connection.tls else { return Ok(Box::new(socket)) };
        let made = || async { tls.client_config(self.account.peers()).await.map(Arc::new) };
        let config = self.tls.get_or_try_init(made).await?;
        let name = ServerName::try_from(address.host.to_string()).map_err(|_| trouble::no_tls_name(place))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await;
        Ok(Box::new(stream.map_err(|error| trouble::no_handshake(place, &error, tls))?))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.connection, f)
    }
}
