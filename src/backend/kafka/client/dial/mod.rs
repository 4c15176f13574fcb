//! From an address to a link that is ready for requests: TCP, TLS, version negotiation, login.

#[cfg(feature = "gssapi")]
mod kerberos;
#[cfg(feature = "msk")]
mod msk;
mod sasl;
mod token;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::OnceCell,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use self::sasl::Authenticator;
use super::wire::{
    explain::{Broke, Peer, Stage, explain, undialled},
    link::Link,
    requests::Counts,
    versions,
};
use crate::{
    backend::kafka::{
        connection::{Connection, Sasl},
        servers::host,
    },
    error::{ReadError, ReadErrorKind},
    net::{self, DialError, Reach},
};

/// From the first packet to the end of the login. A broker that takes longer is not fit to be read from.
const SETUP: Duration = Duration::from_secs(3);

/// More addresses than any cluster has brokers: one that advertises ever new ones must not fill the memory.
const REMEMBERED: usize = 1_000;

/// Opens links for one connection.
pub struct Dialer {
    connection: Connection,
    tls: OnceCell<TlsConnector>,
    authenticator: Option<Arc<Authenticator>>,
    counts: Arc<Counts>,
    /// The addresses at which this connection has been of use, and with which it is so now.
    worked: Mutex<HashMap<Arc<str>, Arc<AtomicBool>>>,
}

impl Dialer {
    pub fn new(connection: Connection, counts: Arc<Counts>) -> Self {
        let authenticator = connection.sasl.clone().map(|sasl| Arc::new(Authenticator::new(sasl, &connection.reach)));
        let issued = authenticator.as_ref().and_then(|authenticator| authenticator.issued());
        issued.into_iter().for_each(|issued| counts.account.shows(issued));
        Self { connection, tls: OnceCell::new(), authenticator, counts, worked: Mutex::default() }
    }

    /// Opens a link to `address`.
    pub async fn dial(&self, address: &Arc<str>, advertised: bool) -> Result<Arc<Link>, ReadError> {
        let until = Instant::now() + SETUP;
        let peer = Peer {
            address: Arc::clone(address),
            advertised,
            tls: self.connection.tls.is_some(),
            client_certificate: self.connection.tls.as_ref().is_some_and(|tls| tls.cert.is_some()),
            worked: self.worked(address),
            sasl: self.connection.sasl.as_ref().map(Sasl::mechanism),
        };
        // The cluster may advertise any host: each is asked for before it is shown a login.
        if let (Some(sasl), Some(host)) = (&self.connection.sasl, host(address)) {
            let checked = sasl.check_identity(&self.connection.reach, host, self.connection.tls.as_ref());
            checked.map_err(|refusal| undialled(&peer, &DialError::Forbidden(refusal)))?;
        }
        // A token may come from far away: it has its own deadline, and mostly it is there already.
        if let Some(authenticator) = &self.authenticator {
            authenticator.prepare().await?;
        }
        let connector = self.connector().await?;
        let stream = connect(&self.connection.reach, &peer, until).await?;
        self.counts.connections.fetch_add(1, Ordering::Relaxed);
        let link = match &connector {
            None => Link::open(stream, peer, Arc::clone(&self.counts)),
            Some(connector) => {
                let stream = handshake(connector, stream, &peer, until).await?;
                Link::open(stream, peer, Arc::clone(&self.counts))
            }
        };
        let link = Arc::new(link);
        link.negotiated(versions::negotiate(&link, left(until)).await?);
        if let Some(authenticator) = &self.authenticator {
            link.stage(Stage::Login);
            let lifetime = authenticator.login(&link, left(until)).await?;
            sasl::keep_logged_in(&link, authenticator, lifetime);
        }
        link.stage(Stage::FirstRequest);
        Ok(link)
    }

    /// Whether a link to `address` has ever been of use: shared with all links to it.
    fn worked(&self, address: &Arc<str>) -> Arc<AtomicBool> {
        let mut worked = self.worked.lock();
        if worked.len() >= REMEMBERED {
            worked.clear();
        }
        Arc::clone(worked.entry(Arc::clone(address)).or_default())
    }

    async fn connector(&self) -> Result<Option<&TlsConnector>, ReadError> {
        let Some(tls) = &self.connection.tls else { return Ok(None) };
        let connector = async || {
            tls.client_config(self.counts.account.peers()).await.map(|config| TlsConnector::from(Arc::new(config)))
        };
        self.tls.get_or_try_init(connector).await.map(Some)
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

async fn connect(reach: &Reach, peer: &Peer, until: Instant) -> Result<TcpStream, ReadError> {
    let address = peer.address.rsplit_once(':').and_then(|(_, port)| Some((host(&peer.address)?, port.parse().ok()?)));
    let Some((host, port)) = address else {
        let text = format!("{} is no `host:port`", peer.place());
        return Err(ReadError::new(ReadErrorKind::Unreachable, text));
    };
    net::dial(reach, host, port, until).await.map_err(|error| undialled(peer, &error))
}

async fn handshake(
    connector: &TlsConnector,
    stream: TcpStream,
    peer: &Peer,
    until: Instant,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ReadError> {
    let fail = |broke: &Broke| explain(peer, Stage::TlsHandshake, broke);
    let host = host(&peer.address).unwrap_or_default().to_owned();
    let name = ServerName::try_from(host).map_err(|_| {
        let text = format!("{} cannot be named in TLS: give a host name that its certificate holds", peer.place());
        ReadError::new(ReadErrorKind::Unreachable, text)
    })?;
    match timeout_at(until, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fail(&Broke::from(&error))),
        Err(_) => Err(fail(&Broke::Late("TLS", SETUP))),
    }
}
