//! From a URL to a connection for HTTP: by the one dialer, over a proxy where the environment names one, inside TLS for
//! `https`.
//!
//! Not for: requests, or which of them share a connection.

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::Uri;
use crate::{
    limits,
    net::{DialError, Reach, dial},
};

/// How long TLS, and a proxy's consent, may take after the socket is there.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Makes the connections of one client.
#[derive(Clone)]
pub struct Connector {
    pub reach: Reach,
    pub tls: TlsConnector,
    /// We show one.
    pub client_certificate: bool,
    pub proxies: Arc<Matcher>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket to the server.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No socket to the proxy.
    #[error("the proxy of `HTTPS_PROXY` or `HTTP_PROXY`: {0}")]
    Proxy(DialError),
    /// The proxy does not let us through.
    #[error("the proxy of `HTTPS_PROXY` does not let us through")]
    Tunnel,
    /// A socket, and no TLS on it.
    #[error("no TLS")]
    Tls(#[from] io::Error),
    /// A socket, and nothing said on it.
    #[error("no TLS handshake within {HANDSHAKE:?}")]
    Handshake,
}

impl Connector {
    async fn connect(self, to: Uri) -> Result<TokioIo<Link>, ConnectError> {
        let host = to.host().unwrap_or_default();
        let secure = to.scheme_str() == Some("https");
        let socket = match self.proxy(&to) {
            None => {
                self.dial(&self.reach, &to).await.map(|socket| Link { socket: Box::new(socket), proxied: false })?
            }
            Some(proxy) => {
                // Where the name leads is for the proxy to find, so only what can be said without that is checked.
                self.reach.check_host(host).map_err(DialError::from)?;
                let link = self.reach_proxy(proxy.uri().clone()).await?;
                if secure { tunnel(link, &proxy, &to).await? } else { link }
            }
        };
        if !secure {
            return Ok(TokioIo::new(socket));
        }
        self.secure(socket, host).await.map(TokioIo::new)
    }

    /// The proxy on the way to `to`, if there is one. None stands before this machine and its link.
    pub(super) fn proxy(&self, to: &Uri) -> Option<Intercept> {
        let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let near = host.parse().is_ok_and(|address| match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
        });
        if near { None } else { self.proxies.intercept(to) }
    }

    async fn reach_proxy(&self, proxy: Uri) -> Result<Link, ConnectError> {
        let socket = self.dial(&Reach::of_operator(), &proxy).await.map_err(ConnectError::Proxy)?;
        let link = Link { socket: Box::new(socket), proxied: true };
        if proxy.scheme_str() != Some("https") {
            return Ok(link);
        }
        let secured = self.secure(link, proxy.host().unwrap_or_default()).await?;
        Ok(Link { socket: Box::new(secured), proxied: true })
    }

    async fn dial(&self, reach: &Reach, to: &Uri) -> Result<TcpStream, DialError> {
        let standard = if to.scheme_str() == Some("https") { 443 } else { 80 };
        let until = Instant::now() + limits::DIAL;
        dial(reach, to.host().unwrap_or_default(), to.port_u16().unwrap_or(standard), until).await
    }

    async fn secure(&self, link: Link, host: &str) -> Result<Link, ConnectError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| io::Error::other("a name that no certificate can have"))?;
        let secured = timeout_at(Instant::now() + HANDSHAKE, self.tls.connect(name, link)).await;
        let secured = secured.map_err(|_| ConnectError::Handshake)??;
        Ok(Link { socket: Box::new(secured), proxied: false })
    }
}

/// Asks the proxy for a way through.
async fn tunnel(link: Link, proxy: &Intercept, to: &Uri) -> Result<Link, ConnectError> {
    let mut way = Tunnel::new(proxy.uri().clone(), Ready(Some(link)));
    if let Some(login) = proxy.basic_auth() {
        way = way.with_auth(login.clone());
    }
    let through = timeout_at(Instant::now() + HANDSHAKE, way.call(to.clone())).await;
    let link = through.map_err(|_| ConnectError::Handshake)?.map_err(|_| ConnectError::Tunnel)?;
    Ok(Link { proxied: false, ..link.into_inner() })
}

/// A link that is there already, for [`Tunnel`].
struct Ready(Option<Link>);

impl Service<Uri> for Ready {
    type Response = TokioIo<Link>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<Link>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// What bytes go through: a socket, or TLS on one.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is ready for HTTP.
pub struct Link {
    socket: Box<dyn Io>,
    /// The other end is a proxy, which wants whole URLs.
    proxied: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
