//! Opens one AMQP connection, all of it within a deadline.
//!
//! lapin runs each connection on a thread of its own, which waits for as long as the socket does. So we keep a
//! second handle on that socket: shutting it down is what ends a connection that nobody answers on.

use std::{
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Error,
    tcp::RustlsConnector,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism},
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::trouble;
use crate::{
    backend::rabbitmq::connection::{Amqp, Login},
    error::ReadError,
    metadata::Secret,
};

/// For TCP and TLS, where the trigger's URL does not say.
const CONNECT: Duration = Duration::from_millis(2500);
/// For the login and all that AMQP says before it.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// A broker that is silent for twice as long is gone.
const HEARTBEAT: u16 = 5;

/// The other handle on a connection's socket. Dropping it ends the connection, whatever state that is in.
#[derive(Debug, Default, Clone)]
pub(super) struct Socket(Arc<Hold>);

#[derive(Debug, Default)]
struct Hold(Mutex<Option<TcpStream>>);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(socket) = self.0.lock().take() {
            // It may be closed already.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Connects and logs in.
pub(super) async fn dial(to: &Amqp, tls: Option<RustlsConnector>) -> Result<(Connection, Socket), ReadError> {
    let connect_within = to.connect_timeout.filter(|limit| !limit.is_zero()).unwrap_or(CONNECT);
    let socket = Socket::default();
    let kept = Arc::downgrade(&socket.0);
    let address = (to.host.clone(), to.port);
    let server_name = to.server_name.clone().unwrap_or_else(|| to.host.clone());
    let explain = |error: &Error| trouble::connecting(to, error);
    let runtime = lapin::runtime::default_runtime().map_err(|error| explain(&error))?;
    let connecting = Connection::connector(
        uri(to),
        runtime,
        async move |_, runtime| {
            let connect = async {
                let stream = AsyncTcpStream::connect(&runtime, runtime.to_socket_addrs(address.clone())).await?;
                if let (AsyncTcpStream::Plain(plain), Some(kept)) = (&stream, kept.upgrade()) {
                    *kept.0.lock() = Some(TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?));
                }
                match &tls {
                    Some(connector) => stream.into_rustls(connector, &server_name).await,
                    None => Ok(stream),
                }
            };
            timeout(connect_within, connect).await.map_err(std::io::Error::from)?.map_err(Error::from)
        },
        ConnectionProperties::default().with_connection_name("plimsoll".into()),
    );
    let connection = match timeout(connect_within + HANDSHAKE, connecting).await {
        Ok(connected) => connected.map_err(|error| explain(&error))?,
        Err(_) => return Err(trouble::silent_handshake(to)),
    };
    Ok((connection, socket))
}

/// Made of its parts, so that nothing has to survive being written and parsed.
fn uri(to: &Amqp) -> AMQPUri {
    let (mechanism, username, password) = match &to.login {
        Login::Password { username, password } => (SASLMechanism::Plain, username.clone(), password.clone()),
        Login::AmqPlain { username, password } => (SASLMechanism::AMQPlain, username.clone(), password.clone()),
        Login::External | Login::Anonymous | Login::OAuth(_) => {
            (SASLMechanism::External, String::new(), Secret::default())
        }
    };
    AMQPUri {
        scheme: if to.tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username, password: password.expose().to_owned() },
            host: to.host.clone(),
            port: to.port,
        },
        vhost: to.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(to.heartbeat.filter(|seconds| *seconds > 0).unwrap_or(HEARTBEAT)),
            auth_mechanism: Some(mechanism),
            ..AMQPQueryString::default()
        },
    }
}
