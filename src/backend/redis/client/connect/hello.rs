//! The first words on a connection: protocol, login, database, and how the node will tell us of changes.
//!
//! `HELLO 3` comes first because only that protocol pushes; a server or proxy that refuses it is spoken to as of
//! old. A refused login is told in our words only: Redis's own may repeat the password.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection,
};
use tokio::sync::oneshot;

use super::{dialer::Dialer, trouble, wire};
use crate::{
    backend::redis::{
        address::Address,
        bells::Bells,
        connection::Login,
        refusal::{self, Place},
        reply::{Command, Refusal, Reply},
    },
    error::ReadError,
    task::{self, Task},
};

/// A connection that is ready for commands.
pub struct Opened {
    /// Takes commands; a clone shares the connection.
    pub wire: MultiplexedConnection,
    /// Who is at the other end.
    pub place: Place,
    /// In which it speaks: only the new one can push.
    protocol: ProtocolVersion,
    /// Whether a read of a key arms a push for its next change: `CLIENT TRACKING` is on.
    pub tracks: bool,
    /// Whether we may ask for its role, as far as we know.
    pub tells_role: bool,
    /// Resolves when the connection is gone.
    pub gone: oneshot::Receiver<()>,
    /// Moves the bytes; dropping it closes the socket.
    _driver: Task,
}

/// Us, at one node's door.
pub struct Guest<'a> {
    /// Opens sockets.
    pub dialer: &'a Dialer,
    /// The node.
    pub address: &'a Address,
    /// The node, for people.
    pub place: Place,
    /// Who we are there.
    pub login: Option<&'a Login>,
    /// Rung when the node pushes.
    pub bells: Option<&'a Arc<Bells>>,
}

impl Guest<'_> {
    /// Connects and logs in.
    pub async fn greet(&self) -> Result<Opened, ReadError> {
        let error = match self.talk(ProtocolVersion::RESP3).await? {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let refusals = error.clone().into_server_errors();
        if let Some(refusal) = refusals.as_ref().and_then(|all| all.first()).map(|(_, error)| wire::refusal(error)) {
            if let Some(error) = refusal::of_server(&self.place, &refusal) {
                return Err(error);
            }
        } else if error.kind() != ErrorKind::RESP3NotSupported
            && let Some(error) = trouble::of_tls(&self.place, &error, self.dialer.tls())
        {
            return Err(error);
        }
        // Some proxies just hang up on a command that they do not know.
        self.greet_as_of_old().await
    }

    /// The protocol of before Redis 6.
    async fn greet_as_of_old(&self) -> Result<Opened, ReadError> {
        let no_hello = |error: RedisError| trouble::no_hello(&self.place, &error, self.dialer.tls());
        let mut opened = self.talk(ProtocolVersion::RESP2).await?.map_err(no_hello)?;
        let mut command = Cmd::new();
        match self.login {
            None => command.arg("PING"),
            Some(Login { username, password }) => command.arg("AUTH").arg(username).arg(password.expose()),
        };
        let reply = wire::reply(opened.wire.send_packed_command(&command).await.map_err(no_hello)?);
        match (reply.refusal(), self.login) {
            (Some(refusal), Some(_)) => Err(refusal::of_login(&self.place, refusal)),
            (Some(refusal), None) => not_serving(&self.place, refusal).map_or(Ok(opened), Err),
            (None, _) => Ok(opened),
        }
    }

    /// A new socket with the library's connection on it, which says `HELLO` in the new protocol only. The inner
    /// error is about that.
    async fn talk(&self, protocol: ProtocolVersion) -> Result<Result<Opened, RedisError>, ReadError> {
        let stream = self.dialer.dial(self.address, &self.place).await?;
        let mut info = RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
        // Without limits of its own: `link.rs` has them.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        if protocol.supports_resp3() {
            info = logged_in(info, self.login);
            if let Some(bells) = self.bells {
                config = config.set_push_sender(ringer(Arc::clone(bells)));
            }
        }
        let (wire, driver) = match MultiplexedConnection::new_with_config(&info, stream, config).await {
            Ok(connected) => connected,
            Err(error) => return Ok(Err(error)),
        };
        let (tell, gone) = oneshot::channel::<()>();
        let _driver = task::spawn(async move {
            driver.await;
            drop(tell);
        });
        Ok(Ok(Opened { wire, place: self.place.clone(), protocol, tracks: false, tells_role: true, gone, _driver }))
    }

    /// Enters the database, and has reads arm pushes where that can be.
    pub async fn enter(&self, opened: &mut Opened) -> Result<(), ReadError> {
        let database = self.dialer.connection.database;
        let mut commands = Vec::new();
        if opened.protocol.supports_resp3() {
            commands.push(Command::new("CLIENT TRACKING", ["ON"]));
        }
        if database > 0 {
            commands.push(Command::new("SELECT", [&database.to_string()]));
        }
        if commands.is_empty() {
            return Ok(());
        }
        let replies = ask(self.dialer, &mut opened.wire, &commands).await;
        let replies = replies.map_err(|error| trouble::no_hello(&self.place, &error, self.dialer.tls()))?;
        for (command, reply) in commands.iter().zip(&replies) {
            match (command.name, reply.refusal()) {
                ("SELECT", Some(refusal)) => return Err(refusal::of_select(&self.place, database, refusal)),
                // Refused by a proxy, or for want of a right.
                ("CLIENT TRACKING", refusal) => opened.tracks = refusal.is_none(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Sends `commands` in one go and waits for all replies; refusals are replies.
pub async fn ask(
    dialer: &Dialer,
    wire: &mut MultiplexedConnection,
    commands: &[Command],
) -> Result<Vec<Reply>, RedisError> {
    dialer.sent.fetch_add(u64::try_from(commands.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(wire::pack(command));
    }
    let values = wire.send_packed_commands(&pipeline, 0, commands.len()).await?;
    Ok(values.into_iter().map(wire::reply).collect())
}

/// Whether a refused PING means that the node does not serve now. That PING itself is not allowed, or waits for
/// a script, is no matter.
pub fn not_serving(place: &Place, refusal: &Refusal) -> Option<ReadError> {
    if refusal.code == "BUSY" { None } else { refusal::of_server(place, refusal) }
}

/// Runs on the connection's own task, so it must not wait.
fn ringer(bells: Arc<Bells>) -> impl Fn(PushInfo) -> Result<(), Infallible> + Send + Sync + 'static {
    move |push| {
        for heard in wire::heard(push) {
            match heard {
                wire::Heard::Key(key) => bells.ring(&key),
                wire::Heard::Everything => bells.ring_all(),
            }
        }
        Ok(())
    }
}

/// `info` with `login`, and without a word about our library: that would take a right of its own.
pub fn logged_in(info: RedisConnectionInfo, login: Option<&Login>) -> RedisConnectionInfo {
    let info = info.set_skip_set_lib_name();
    let Some(login) = login else { return info };
    let info = info.set_password(login.password.expose());
    match &login.username {
        Some(username) => info.set_username(username),
        None => info,
    }
}
