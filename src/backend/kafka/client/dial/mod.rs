//! From an address to a link that is ready for requests: TCP, TLS, version negotiation, login.

mod sasl;
mod token;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use rustls_pki_types::ServerName;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use self::sasl::Authenticator;
use super::wire::{
    explain::{Broke, Peer, Stage, explain},
    link::Link,
    requests::Counts,
    versions,
};
use crate::{
    backend::kafka::connection::Connection,
    error::{ReadError, ReadErrorKind},
};

/// From the first packet to the end of the login. A broker that takes longer is not fit to be read from.
const SETUP: Duration = Duration::from_secs(3);

/// Opens links for one connection.
pub struct Dialer {
    connection: Connection,
    tls: OnceLock<Result<TlsConnector, ReadError>>,
    authenticator: Option<Arc<Authenticator>>,
    counts: Arc<Counts>,
}

impl Dialer {
    pub fn new(connection: Connection, counts: Arc<Counts>) -> Self {
        let authenticator = connection.sasl.clone().map(|sasl| Arc::new(Authenticator::new(sasl)));
        Self { connection, tls: OnceLock::new(), authenticator, counts }
    }

    /// Opens a link to `address`.
    pub async fn dial(&self, address: &Arc<str>, advertised: bool) -> Result<Arc<Link>, ReadError> {
        let until = Instant::now() + SETUP;
        let peer = Peer {
            address: Arc::clone(address),
            advertised,
            tls: self.connection.tls.is_some(),
            sasl: self.connection.sasl.as_ref().map(crate::backend::kafka::connection::Sasl::mechanism),
        };
        // A token may come from far away: it has its own deadline, and mostly it is there already.
        if let Some(authenticator) = &self.authenticator {
            authenticator.prepare().await?;
        }
        let stream = connect(&peer, until).await?;
        self.counts.connections.fetch_add(1, Ordering::Relaxed);
        let link = match self.connector() {
            None => Link::open(stream, peer, Arc::clone(&self.counts)),
            Some(connector) => {
                let stream = handshake(connector?, stream, &peer, until).await?;
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

    fn connector(&self) -> Option<Result<TlsConnector, ReadError>> {
        let tls = self.connection.tls.as_ref()?;
        let connector = || tls.client_config().map(|config| TlsConnector::from(Arc::new(config)));
        Some(self.tls.get_or_init(connector).clone())
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

async fn connect(peer: &Peer, until: Instant) -> Result<TcpStream, ReadError> {
    let fail = |broke: &Broke| explain(peer, Stage::Connect, broke);
    let late = || fail(&Broke::Late("", SETUP));
    if host(&peer.address).is_none() {
        let text = format!("`{}` is no address: give `host:port`", peer.address);
        return Err(ReadError::new(ReadErrorKind::Unreachable, text));
    }
    let found = timeout_at(until, lookup_host(&*peer.address)).await.map_err(|_| late())?;
    let addresses: Vec<SocketAddr> = found.map_err(|_| fail(&Broke::Dns))?.collect();
    let mut last = fail(&Broke::Dns);
    for (i, address) in addresses.iter().enumerate() {
        // One address that swallows packets must not use up the time of the others.
        let remaining = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left(until) / remaining, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it the kernel may hold back a small request for 40 ms. It cannot fail on a fresh socket.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Ok(Err(error)) => last = fail(&Broke::from(&error)),
            Err(_) => last = late(),
        }
    }
    Err(last)
}

async fn handshake(
    connector: TlsConnector,
    stream: TcpStream,
    peer: &Peer,
    until: Instant,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ReadError> {
    let fail = |broke: &Broke| explain(peer, Stage::TlsHandshake, broke);
    let host = host(&peer.address).unwrap_or_default().to_owned();
    let name = ServerName::try_from(host).map_err(|_| fail(&Broke::Dns))?;
    match timeout_at(until, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fail(&Broke::from(&error))),
        Err(_) => Err(fail(&Broke::Late("TLS", SETUP))),
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_what_a_certificate_must_name() {
        for (address, expected) in [
            ("b1:9092", Some("b1")),
            ("10.0.0.1:9092", Some("10.0.0.1")),
            ("[::1]:9092", Some("::1")),
            ("b1", None),
            (":9092", None),
            ("b1:kafka", None),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }
}
