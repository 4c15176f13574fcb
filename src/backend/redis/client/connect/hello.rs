//! The first words on a connection: protocol, login, database, and how the node will tell us of changes.
//!
//! `HELLO 3` comes first because only that protocol pushes; a server or proxy that refuses it is spoken to as of
//! old. A refused login is told in our words only: Redis's own may repeat the password.

use std::{convert::Infallible, sync::Arc};

use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection,
};
use tokio::sync::oneshot;

use super::{
    dialer::Dialer,
    guard::Guarded,
    meter::Meter,
    terms, trouble,
    walk::Hears,
    wire::{Broken, Wire},
};
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

/// The user that a password alone is for.
const EVERYBODY: &str = "default";

/// A connection that is ready for commands.
pub struct Opened {
    /// Takes commands.
    pub wire: Wire,
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

/// Why `HELLO` came to nothing, so that it is worth a try without.
enum NoHello {
    /// The server refuses it.
    Refused(Refusal),
    /// Some proxies just hang up on a command that they do not know.
    HungUp,
}

impl Guest<'_> {
    /// Connects and logs in.
    pub async fn greet(&self) -> Result<Opened, ReadError> {
        match self.talk(ProtocolVersion::RESP3).await? {
            Ok(opened) => Ok(opened),
            Err(NoHello::Refused(refusal)) if self.is_final(&refusal) => Err(refusal::of_login(&self.place, &refusal)),
            Err(_) => self.greet_as_of_old().await,
        }
    }

    /// Whether a refused `HELLO` says all there is to say. Who wants a login although there was one in it does not
    /// look into `HELLO`, as Envoy does not; whoever calls the login wrong must not be shown it again.
    fn is_final(&self, refusal: &Refusal) -> bool {
        match refusal.code.as_str() {
            "NOAUTH" => self.login.is_none(),
            "ERR" if refusal.text.starts_with("invalid ") => true,
            _ => refusal::of_server(&self.place, refusal).is_some(),
        }
    }

    /// The protocol of before Redis 6.
    async fn greet_as_of_old(&self) -> Result<Opened, ReadError> {
        let opened = self.talk(ProtocolVersion::RESP2).await?;
        let mut opened = opened.map_err(|_| trouble::no_hello(&self.place, self.dialer.doubt()))?;
        let Some(Login { username, password }) = self.login else {
            let refusal = self.first_word(&mut opened, Command::new("PING", [])).await?;
            return refusal.and_then(|refusal| not_serving(&self.place, &refusal)).map_or(Ok(opened), Err);
        };
        let password = Command::new("AUTH", [password.expose()]);
        let mut refusal = match username {
            Some(user) => {
                let mut command = password.clone();
                command.args.insert(0, user.as_str().into());
                self.first_word(&mut opened, command).await?
            }
            None => self.first_word(&mut opened, password.clone()).await?,
        };
        let knows_no_users = |refusal: &Refusal| refusal.text.contains("wrong number of arguments");
        if username.as_deref() == Some(EVERYBODY) && refusal.as_ref().is_some_and(knows_no_users) {
            refusal = self.first_word(&mut opened, password).await?;
        }
        refusal.map_or(Ok(opened), |refusal| Err(refusal::of_login(&self.place, &refusal)))
    }

    /// Says `command` and hears what is held against it.
    async fn first_word(&self, opened: &mut Opened, command: Command) -> Result<Option<Refusal>, ReadError> {
        let replies = opened.wire.ask(&[command]).await.map_err(|broken| self.broken(broken))?;
        Ok(replies.first().and_then(Reply::refusal).cloned())
    }

    /// A connection that broke while we said hello.
    fn broken(&self, broken: Broken) -> ReadError {
        if broken.crossed { broken.error } else { trouble::no_hello(&self.place, self.dialer.doubt()) }
    }

    /// A new socket with the library's connection on it, which says `HELLO` in the new protocol only. The inner
    /// error is about that.
    async fn talk(&self, protocol: ProtocolVersion) -> Result<Result<Opened, NoHello>, ReadError> {
        let meter = Arc::new(Meter::default());
        let stream =
            Guarded::new(self.dialer.dial(self.address, &self.place).await?, Arc::clone(&meter), Hears::Replies);
        let mut info = RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
        // Without limits of its own: `link` has them.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        if protocol.supports_resp3() {
            info = logged_in(info, self.login);
            if let Some(bells) = self.bells {
                config = config.set_push_sender(ringer(Arc::clone(bells)));
            }
        }
        let hello = meter.ask(usize::from(protocol.supports_resp3()));
        let (connection, driver) = match MultiplexedConnection::new_with_config(&info, stream, config).await {
            Ok(connected) => connected,
            Err(error) => return self.no_hello(&error, &meter).map(Err),
        };
        drop(hello);
        let (tell, gone) = oneshot::channel::<()>();
        let _driver = task::spawn(async move {
            driver.await;
            drop(tell);
        });
        let wire = Wire::new(connection, meter, self.dialer.account.clone(), self.place.clone());
        Ok(Ok(Opened { wire, protocol, tracks: false, tells_role: true, gone, _driver }))
    }

    fn no_hello(&self, error: &RedisError, meter: &Meter) -> Result<NoHello, ReadError> {
        if let Some(crossed) = meter.crossed() {
            return Err(trouble::crossed(&self.place, crossed));
        }
        if error.kind() == ErrorKind::RESP3NotSupported {
            return Ok(NoHello::Refused(Refusal {
                code: "ERR".to_owned(),
                text: "unknown command `HELLO`".to_owned(),
            }));
        }
        let refusals = error.clone().into_server_errors();
        if let Some((_, refusal)) = refusals.as_ref().and_then(|all| all.first()) {
            return Ok(NoHello::Refused(terms::refusal(refusal)));
        }
        trouble::of_tls(&self.place, error, self.dialer.tls()).map_or(Ok(NoHello::HungUp), Err)
    }

    /// Enters the database, and has reads arm pushes where that can be.
    pub async fn enter(&self, opened: &mut Opened) -> Result<(), ReadError> {
        let database = self.dialer.connection.database;
        let mut commands = Vec::new();
        if opened.protocol.supports_resp3() && self.bells.is_some() {
            commands.push(Command::new("CLIENT TRACKING", ["ON"]));
        }
        if database > 0 {
            commands.push(Command::new("SELECT", [&database.to_string()]));
        }
        if commands.is_empty() {
            return Ok(());
        }
        let replies = opened.wire.ask(&commands).await.map_err(|broken| self.broken(broken))?;
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

/// Whether a refused PING means that the node does not serve now. That PING itself is not allowed, or waits for
/// a script, is no matter.
pub fn not_serving(place: &Place, refusal: &Refusal) -> Option<ReadError> {
    if refusal.code == "BUSY" { None } else { refusal::of_server(place, refusal) }
}

/// Runs on the connection's own task, so it must not wait.
fn ringer(bells: Arc<Bells>) -> impl Fn(PushInfo) -> Result<(), Infallible> + Send + Sync + 'static {
    move |push| {
        for heard in terms::heard(push) {
            match heard {
                terms::Heard::Key(key) => bells.ring(&key),
                terms::Heard::Everything => bells.ring_all(),
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
