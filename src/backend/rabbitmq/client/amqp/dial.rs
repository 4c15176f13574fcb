//! Opens one AMQP connection: socket, TLS, login, vhost; all of it within a deadline.
//!
//! Not for: what is asked on it (`link.rs`), when (`lane.rs`).

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    frame::{Broken, Frame, Frames, Stream},
    method::{self, Said},
    trouble,
};
use crate::{
    backend::{
        Account,
        rabbitmq::connection::{Amqp, Login},
    },
    error::ReadError,
    limits,
    net::dial,
};

/// For TCP and TLS, where the trigger's URL does not say.
const CONNECT: Duration = Duration::from_millis(2500);
/// For the login and all that AMQP says before it.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// A broker that is silent for twice as long is gone.
const HEARTBEAT: u16 = 5;

/// Opens connections to one vhost.
pub(super) struct Dialer {
    pub to: Amqp,
    /// On which declares and handshakes are noted.
    pub account: Account,
    /// Made at the first use: it reads the system's certificates.
    tls: OnceCell<Arc<ClientConfig>>,
}

/// A connection that is open, and what was agreed on.
pub(super) struct Opened {
    pub frames: Frames,
    /// How many channels there may be.
    pub channel_max: u16,
    /// How often both sides give a sign of life.
    pub heartbeat: Duration,
}

/// How far a handshake has come, for the words of its failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has been heard.
    Greeting,
    /// It speaks AMQP and is to let us in.
    Login,
}

impl Dialer {
    pub fn new(to: Amqp, account: Account) -> Self {
        Self { to, account, tls: OnceCell::new() }
    }

    /// Connects and logs in.
    pub async fn open(&self) -> Result<Opened, ReadError> {
        let given = self.to.connect_timeout.filter(|limit| !limit.is_zero()).unwrap_or(CONNECT);
        let mut frames = Frames::new(self.connect(Instant::now() + given).await?);
        let mut stage = Stage::Greeting;
        let until = Instant::now() + HANDSHAKE;
        match timeout_at(until, self.greet(&mut frames, &mut stage)).await {
            Ok(Ok((channel_max, heartbeat))) => Ok(Opened { frames, channel_max, heartbeat }),
            Ok(Err(Failed::Broken(broken))) => Err(trouble::connecting(&self.to, stage, &broken)),
            Ok(Err(Failed::NotOffered)) => Err(trouble::not_offered(&self.to, mechanism(&self.to.login).0)),
            Err(_) => Err(trouble::silent_handshake(&self.to, stage)),
        }
    }

    async fn connect(&self, until: Instant) -> Result<Box<dyn Stream>, ReadError> {
        let to = &self.to;
        let socket = dial(&to.reach, &to.host, to.port, until).await.map_err(|error| trouble::no_socket(to, &error))?;
        let Some(tls) = &to.tls else { return Ok(Box::new(socket)) };
        let made = || async { tls.client_config(self.account.peers()).await.map(Arc::new) };
        let config = self.tls.get_or_try_init(made).await?;
        let name = to.server_name.as_ref().unwrap_or(&to.host);
        let name = ServerName::try_from(name.clone()).map_err(|_| trouble::no_server_name(to))?;
        match timeout_at(until, TlsConnector::from(Arc::clone(config)).connect(name, socket)).await {
            Ok(stream) => Ok(Box::new(stream.map_err(|error| trouble::no_tls(to, &error))?)),
            Err(_) => Err(trouble::silent_handshake(to, Stage::Greeting)),
        }
    }

    /// All that AMQP says before the first question.
    async fn greet(&self, frames: &mut Frames, stage: &mut Stage) -> Result<(u16, Duration), Failed> {
        let (wanted, response) = mechanism(&self.to.login);
        frames.allow(limits::AMQP_LOGIN);
        frames.say_raw(method::HEADER);
        let Said::Start { mechanisms } = hear(frames).await? else { return Err(Broken::Unexpected.into()) };
        *stage = Stage::Login;
        if !mechanisms.split(' ').any(|offered| offered == wanted) {
            return Err(Failed::NotOffered);
        }
        frames.say(0, &method::start_ok(wanted, &response));
        let Said::Tune { channel_max, heartbeat } = hear(frames).await? else {
            return Err(Broken::Unexpected.into());
        };
        let ours = self.to.heartbeat.filter(|seconds| *seconds > 0).unwrap_or(HEARTBEAT);
        let heartbeat = if heartbeat == 0 { ours } else { heartbeat.min(ours) };
        frames.say(0, &method::tune_ok(channel_max, limits::AMQP_FRAME_MAX, heartbeat));
        frames.say(0, &method::open(&self.to.vhost));
        let Said::Opened = hear(frames).await? else { return Err(Broken::Unexpected.into()) };
        let channel_max = if channel_max == 0 { u16::MAX } else { channel_max };
        Ok((channel_max, Duration::from_secs(heartbeat.into())))
    }
}

/// What is said about the connection itself.
async fn hear(frames: &mut Frames) -> Result<Said, Broken> {
    loop {
        let Frame::Method { channel: 0, payload } = frames.next().await? else { continue };
        return match method::decode(&payload) {
            Some(Said::Close(goodbye)) => Err(Broken::Closed(goodbye)),
            Some(said) => Ok(said),
            None => Err(Broken::Unexpected),
        };
    }
}

/// The mechanism of a login, and what is said by it.
fn mechanism(login: &Login) -> (&'static str, Vec<u8>) {
    match login {
        Login::Password { username, password } => ("PLAIN", method::plain(username, password.expose())),
        Login::AmqPlain { username, password } => ("AMQPLAIN", method::amqplain(username, password.expose())),
        // The others are for HTTP.
        Login::External | Login::Anonymous | Login::OAuth(_) | Login::Azure(_) => ("EXTERNAL", Vec::new()),
    }
}

enum Failed {
    Broken(Broken),
    NotOffered,
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}
