//! The server's end of a Kerberos login: a helper process for each, ended at the latest when the login is.
//!
//! Not for: Kerberos itself (`kerberos/helper.rs`), or how Kafka carries the tokens (`sasl.rs`).

use std::{
    os::fd::{AsRawFd, OwnedFd},
    process::Stdio,
};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::super::wire::replies::SaslAuthenticate;
use crate::{
    backend::kafka::kerberos::{
        Kerberos, Proof,
        helper::{LARGEST_FRAME, Task, Word},
    },
    error::{ReadError, ReadErrorKind, quoted},
    limits,
    net::Reach,
};

/// Logins under way, of all connections together.
static TURNS: Semaphore = Semaphore::const_new(limits::KERBEROS_AT_ONCE);

/// A login under way.
pub struct Login {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
    until: Instant,
    principal: String,
    /// What the helper reads by path: its configuration and keytab, in memory only.
    _files: Vec<OwnedFd>,
    _turn: SemaphorePermit<'static>,
}

/// What the helper says.
enum Step {
    /// A token for the broker, whose answer the helper wants.
    More(Bytes),
    /// The last token.
    Last(Bytes),
}

impl Login {
    /// Starts to log in at the broker `host`.
    pub async fn start(kerberos: &Kerberos, host: &str, reach: &Reach, until: Instant) -> Result<Self, ReadError> {
        let late = |_| late(&kerberos.principal);
        let turn = timeout_at(until, TURNS.acquire()).await.map_err(late)?.map_err(|_| broken())?;
        let config = kerberos.config.resolved(reach, until).await.map_err(|error| error.at("the realm's server"))?;
        let mut files = Vec::new();
        let mut command = Command::new(std::env::current_exe().map_err(|_| broken())?);
        command.arg("kerberos").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
            .kill_on_drop(true)
            .env("KRB5CCNAME", "MEMORY:login")
            .env("KRB5_CONFIG", hold(&mut files, config.as_bytes())?);
        let password = match &kerberos.proof {
            Proof::Password(password) => Some(password.expose().to_owned()),
            Proof::Keytab(keytab) => {
                command.env("KRB5_CLIENT_KTNAME", format!("FILE:{}", hold(&mut files, &keytab.0)?));
                None
            }
        };
        let mut child = command.spawn().map_err(|_| broken())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { return Err(broken()) };
        let principal = kerberos.principal.clone();
        let mut login = Self { _child: child, input, output, until, principal, _files: files, _turn: turn };
        let task =
            Task { principal: kerberos.principal.clone(), password, target: format!("{}@{host}", kerberos.service) };
        login.tell(&serde_json::to_vec(&task).map_err(|_| broken())?).await?;
        Ok(login)
    }

    /// Carries tokens to the broker by `send` and its answers back, until the helper has said its last word. The last answer.
    pub async fn exchange<Sent>(mut self, send: impl Fn(Bytes) -> Sent) -> Result<SaslAuthenticate, ReadError>
    where
        Sent: Future<Output = Result<SaslAuthenticate, ReadError>>,
    {
        loop {
            match self.step().await? {
                Step::More(token) => self.tell(&send(token).await?.bytes).await?,
                Step::Last(token) => return send(token).await,
            }
        }
    }

    /// Hands the broker's token to the helper.
    async fn tell(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= LARGEST_FRAME).ok_or_else(broken)?;
        let frame = [&length.to_be_bytes(), bytes].concat();
        // A helper that has ended says why on its output.
        timeout_at(self.until, self.input.write_all(&frame)).await.map_err(|_| late(&self.principal))?.ok();
        Ok(())
    }

    /// The helper's next word.
    async fn step(&mut self) -> Result<Step, ReadError> {
        let frame = async {
            let length = self.output.read_u32().await?;
            let mut frame = Vec::new();
            (&mut self.output).take(length.min(LARGEST_FRAME).into()).read_to_end(&mut frame).await?;
            std::io::Result::Ok(frame)
        };
        let frame = timeout_at(self.until, frame).await.map_err(|_| late(&self.principal))?.map_err(|_| broken())?;
        let Some((word, bytes)) = frame.split_first() else { return Err(broken()) };
        match *word {
            word if word == Word::Token as u8 => Ok(Step::More(Bytes::copy_from_slice(bytes))),
            word if word == Word::Last as u8 => Ok(Step::Last(Bytes::copy_from_slice(bytes))),
            _ => Err(failed(&self.principal, &String::from_utf8_lossy(bytes))),
        }
    }
}

/// A file in memory that the helper inherits; its path there.
fn hold(files: &mut Vec<OwnedFd>, bytes: &[u8]) -> Result<String, ReadError> {
    let file = memfd_create("plimsoll", MemfdFlags::empty()).map_err(|_| broken())?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(|_| broken())?;
        rest = rest.get(written..).unwrap_or_default();
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    files.push(file);
    Ok(path)
}

fn failed(principal: &str, words: &str) -> ReadError {
    let unreachable = words.contains("Cannot contact") || words.contains("Cannot find KDC");
    let (kind, cure) = if unreachable {
        (ReadErrorKind::Unreachable, "check the `kdc` of `kerberosConfig`, and that a network policy lets us through")
    } else {
        (ReadErrorKind::Denied, "check `username`, `password` or `keytab`, `realm` and `kerberosServiceName`")
    };
    let text = format!("`{principal}` gets no Kerberos ticket: {}: {cure}", quoted(words));
    ReadError::new(kind, text).of_connection()
}

fn late(principal: &str) -> ReadError {
    let text = format!("`{principal}` gets no Kerberos ticket in time: check the realm's servers");
    ReadError::new(ReadErrorKind::Timeout, text).of_connection()
}

fn broken() -> ReadError {
    let text = "the helper process of a Kerberos login has ended: see that `/proc` and starting processes are allowed";
    ReadError::new(ReadErrorKind::Internal, text).of_connection()
}
