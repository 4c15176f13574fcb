//! For tests: a name with two addresses, of which the first swallows whatever is sent to it.
//!
//! Every backend must get past such an address, and the tests of each must not depend on a DNS.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    sync::LazyLock,
};

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SUFFIX: &str = ".two-addresses.test";

/// Where the swallowing addresses are: taken away when the test is over.
static PORTS: LazyLock<Mutex<Vec<u16>>> = LazyLock::new(Mutex::default);

/// The first address, and whoever fills its queue: the kernel drops the first packet of everybody after.
pub struct TwoAddresses {
    port: u16,
    _deaf: Socket,
    _in_the_queue: TcpStream,
}

impl TwoAddresses {
    /// A name for `port`, at whose second address, 127.0.0.1, somebody listens.
    pub fn of(port: u16) -> Self {
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let address = SocketAddr::from((FIRST, port));
        deaf.bind(&address.into()).expect("nobody is there");
        deaf.listen(0).expect("listens");
        let in_the_queue = TcpStream::connect(address).expect("there is one place");
        PORTS.lock().push(port);
        Self { port, _deaf: deaf, _in_the_queue: in_the_queue }
    }

    /// The name.
    pub fn name(&self) -> String {
        Self::name_of(self.port)
    }

    /// The name for `port`, for a server that speaks of itself.
    pub fn name_of(port: u16) -> String {
        format!("{port}{SUFFIX}")
    }
}

impl Drop for TwoAddresses {
    fn drop(&mut self) {
        PORTS.lock().retain(|port| *port != self.port);
    }
}

/// The addresses of such a name.
pub(super) fn addresses(host: &str) -> Option<Vec<IpAddr>> {
    let port = host.strip_suffix(SUFFIX)?.parse().ok()?;
    PORTS.lock().contains(&port).then(|| vec![FIRST.into(), Ipv4Addr::LOCALHOST.into()])
}
