//! The one dialer: from a host and a port to a connected socket, within a deadline and within the rules.
//!
//! A name is resolved off the worker threads, each of its addresses is held against the rules, and all that pass are
//! tried by happy eyeballs (RFC 8305). Not for: TLS, or what is said on the connection.

#[cfg(test)]
pub mod two;

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, sleep_until, timeout_at},
};

use super::reach::{Reach, Refusal};
use crate::{
    error::{ReadError, ReadErrorKind},
    limits, task,
};

/// Why there is no connection. The texts are constant for a constant cause and name neither host nor port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The rules do not let us go there.
    #[error(transparent)]
    Forbidden(#[from] Refusal),
    /// The resolver knows no such name.
    #[error("its name has no address")]
    NoAddress,
    /// The resolver did not answer in time.
    #[error("the resolver does not answer for its name")]
    Unresolved,
    /// Nobody answered at any address in time.
    #[error("nobody answers there in time")]
    Silent,
    /// The last address's own error.
    #[error("{}", reason(*.0))]
    Failed(io::ErrorKind),
}

impl DialError {
    /// The error for an operator; `place` is whom we wanted to reach, in backticks.
    #[must_use]
    pub fn at(&self, place: &str) -> ReadError {
        let cure = match self {
            Self::Forbidden(refusal) => {
                return ReadError::new(ReadErrorKind::Denied, refusal.to_string()).of_connection();
            }
            Self::NoAddress => "correct the address, or create the DNS record",
            Self::Unresolved => "check the cluster's DNS",
            Self::Silent => "check the address, and that a network policy lets us through",
            Self::Failed(_) => "check the address, and that it is up",
        };
        ReadError::new(ReadErrorKind::Unreachable, format!("{place} cannot be reached: {self}: {cure}"))
    }
}

fn reason(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::AddrNotAvailable => "no local address is left",
        _ => "the system cannot connect",
    }
}

/// Connects to `port` of `host` within [`limits::DIAL`], or `until` if that is sooner.
pub async fn dial(reach: &Reach, host: &str, port: u16, until: Instant) -> Result<TcpStream, DialError> {
    let until = until.min(Instant::now() + limits::DIAL);
    let addresses = resolve(reach, host, until).await?;
    let socket = race(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), until).await?;
    // Without it the kernel may hold back a small request for 40 ms. It cannot fail on a fresh socket.
    socket.set_nodelay(true).ok();
    Ok(socket)
}

/// The addresses of `host` that the rules allow, in the order in which they are to be tried.
pub async fn resolve(reach: &Reach, host: &str, until: Instant) -> Result<Vec<IpAddr>, DialError> {
    resolve_up_to(limits::ADDRESSES, reach, host, until).await
}

/// The same, `most` of them.
pub async fn resolve_up_to(most: usize, reach: &Reach, host: &str, until: Instant) -> Result<Vec<IpAddr>, DialError> {
    reach.check_host(host)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let found = timeout_at(until, lookup(host.to_owned())).await.map_err(|_| DialError::Unresolved)??;
    let mut refusal = None;
    let allowed = |address: &IpAddr| reach.check_address(host, *address).map_err(|error| refusal = Some(error)).is_ok();
    let addresses: Vec<_> = found.into_iter().filter(allowed).take(most).collect();
    match (addresses.is_empty(), refusal) {
        (false, _) => Ok(alternating(addresses)),
        (true, Some(refusal)) => Err(refusal.into()),
        (true, None) => Err(DialError::NoAddress),
    }
}

/// Asks the system's resolver. The turn is held until it has answered, even if nobody waits any more: it cannot be stopped.
async fn lookup(host: String) -> Result<Vec<IpAddr>, DialError> {
    #[cfg(test)]
    if let Some(addresses) = two::addresses(&host) {
        return Ok(addresses);
    }
    static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(limits::RESOLVING_AT_ONCE)));
    let turn = Arc::clone(&TURNS).acquire_owned().await.map_err(|_| DialError::Unresolved)?;
    let (reply, found) = tokio::sync::oneshot::channel();
    task::detach(async move {
        let addresses = tokio::net::lookup_host((host.as_str(), 0)).await;
        reply.send(addresses.map(|found| found.map(|address| address.ip()).collect())).ok();
        drop(turn);
    });
    let found: io::Result<Vec<IpAddr>> = found.await.map_err(|_| DialError::Unresolved)?;
    found.map_err(|_| DialError::NoAddress)
}

/// The first one's family first, then the two in turn, so that a family that leads nowhere costs one step only.
fn alternating(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut preferred, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(preferred.len() + other.len());
    while !preferred.is_empty() || !other.is_empty() {
        ordered.extend(preferred.pop_front());
        ordered.extend(other.pop_front());
    }
    ordered
}

/// The first socket that connects. The next address is tried as soon as one fails, or beside those that are silent.
async fn race(mut addresses: VecDeque<SocketAddr>, until: Instant) -> Result<TcpStream, DialError> {
    let mut attempts = FuturesUnordered::new();
    let mut failure = DialError::NoAddress;
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.push(TcpStream::connect(address));
        }
        let next = if addresses.is_empty() { until } else { until.min(Instant::now() + limits::NEXT_ADDRESS) };
        tokio::select! {
            ended = attempts.next() => match ended {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) => failure = DialError::Failed(error.kind()),
                None => return Err(failure),
            },
            () = sleep_until(next) => if next == until { return Err(DialError::Silent) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::net::TcpListener;

    use super::{two::TwoAddresses, *};
    use crate::net::reach::Rules;

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        (listener, port)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(2)
    }

    #[tokio::test]
    async fn a_deaf_or_closed_first_address_does_not_hide_the_second() {
        let (_listener, port) = listener().await;
        // TEST-NET-1 (RFC 5737) is routed nowhere; nobody listens at 127.0.0.2.
        for first in ["192.0.2.1", "127.0.0.2"] {
            let first = SocketAddr::new(first.parse().expect("an address"), port);
            let second = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
            let socket = race([first, second].into(), soon()).await.expect("the second answers");
            assert_eq!(socket.peer_addr().expect("connected"), second);
        }
    }

    #[tokio::test]
    async fn a_name_whose_first_address_swallows_all_costs_one_step() {
        let (_listener, port) = listener().await;
        let two = TwoAddresses::of(port);
        let deaf = dial(&Reach::open(), "127.0.0.2", port, Instant::now() + Duration::from_millis(300)).await;
        assert_eq!(deaf.err(), Some(DialError::Silent));
        let socket = dial(&Reach::open(), &two.name(), port, soon()).await.expect("the second answers");
        assert_eq!(socket.peer_addr().expect("connected"), SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }

    #[tokio::test]
    async fn a_name_that_leads_where_the_rules_forbid_is_refused_after_resolution() {
        let (_listener, port) = listener().await;
        let deny = vec!["127.0.0.0/8".parse().expect("a range"), "::1".parse().expect("an address")];
        let closed = Reach::new(Rules { deny, loopback: true, ..Rules::default() });
        let refused = dial(&closed, "localhost", port, soon()).await.expect_err("refused");
        assert!(matches!(refused, DialError::Forbidden(_)), "{refused:?}");
        dial(&Reach::open(), "localhost", port, soon()).await.expect("allowed");
    }

    #[tokio::test]
    async fn nobody_there_and_no_such_name_are_told_apart() {
        let (listener, port) = listener().await;
        drop(listener);
        let refused = dial(&Reach::open(), "127.0.0.1", port, soon()).await.expect_err("nobody listens");
        assert_eq!(refused, DialError::Failed(io::ErrorKind::ConnectionRefused));
        let unknown = dial(&Reach::open(), "no-such-host.invalid", port, soon()).await.expect_err("no such name");
        assert_eq!(unknown, DialError::NoAddress);
    }

    #[tokio::test]
    async fn what_is_said_of_a_silent_address_does_not_depend_on_the_time_that_was_left() {
        // TEST-NET-1 (RFC 5737) is routed nowhere.
        let text = async |left: u64| {
            let until = Instant::now() + Duration::from_micros(left);
            let silent = dial(&Reach::open(), "192.0.2.1", 9, until).await.expect_err("nobody is there");
            silent.at("`192.0.2.1:9`").to_string()
        };
        assert_eq!(text(20_347).await, text(51_003).await);
    }

    #[test]
    fn families_take_turns() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let ordered = alternating(vec![ip("::1"), ip("::2"), ip("1.1.1.1"), ip("2.2.2.2")]);
        assert_eq!(ordered, [ip("::1"), ip("1.1.1.1"), ip("::2"), ip("2.2.2.2")]);
    }
}
