//! Kerberos itself, in a process of its own: `plimsoll kerberos`, started by the server for one login.
//!
//! The C library takes its configuration from the environment of the whole process and blocks for as long as it likes. So
//! each login has a process with an environment of its own, which the server ends at the deadline; what goes wrong in it
//! harms nobody else. It reads frames (a length of four bytes, then the bytes) from its standard input and writes such
//! frames: first a [`Task`], then the broker's tokens; each is answered by a [`Word`].

use std::io::{self, Read, Write};

use libgssapi::{
    context::{ClientCtx, CtxFlags, SecurityContext},
    credential::{Cred, CredUsage},
    error::Error,
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet},
};
use serde::{Deserialize, Serialize};

/// Tokens of Kerberos are a few kilobytes, with the groups of a large Active Directory up to 64.
pub const LARGEST_FRAME: u32 = 256 << 10;

/// What a helper is to do.
#[derive(Serialize, Deserialize)]
pub struct Task {
    /// `user@REALM`.
    pub principal: String,
    /// Where there is none, the keytab of the environment proves the principal.
    pub password: Option<String>,
    /// `service@host`.
    pub target: String,
}

/// The first byte of a frame that a helper writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Word {
    /// A token for the broker; more may follow.
    Token = b'T',
    /// The last token for the broker.
    Last = b'L',
    /// Why there is none, in the library's words.
    Failed = b'F',
}

/// Runs to the end of one login.
pub fn run() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let task: Task = serde_json::from_slice(&read(&mut input)?)?;
    let mut login = match Login::new(&task) {
        Ok(login) => login,
        Err(why) => return write(&mut output, Word::Failed, why.as_bytes()),
    };
    let mut received = None;
    loop {
        let (word, bytes) = match login.step(received.as_deref()) {
            Ok(step) => step,
            Err(why) => return write(&mut output, Word::Failed, why.as_bytes()),
        };
        write(&mut output, word, &bytes)?;
        if word == Word::Last {
            return Ok(());
        }
        received = Some(read(&mut input)?);
    }
}

struct Login {
    context: ClientCtx,
    /// The context is complete, what comes next is the offer of a security layer.
    complete: bool,
}

impl Login {
    fn new(task: &Task) -> Result<Self, String> {
        let principal = Name::new(task.principal.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)).map_err(told)?;
        let mut mechanisms = OidSet::new();
        mechanisms.add(GSS_MECH_KRB5).map_err(told)?;
        let (name, usage) = (Some(&principal), CredUsage::Initiate);
        let proof = match &task.password {
            Some(password) => Cred::acquire_with_password(name, password, None, usage, Some(&mechanisms)),
            None => Cred::acquire(name, None, usage, Some(&mechanisms)),
        };
        let target = Name::new(task.target.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).map_err(told)?;
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let context = ClientCtx::new(Some(proof.map_err(told)?), target, flags, Some(GSS_MECH_KRB5));
        Ok(Self { context, complete: false })
    }

    /// RFC 4752 §3.1: tokens until the context is complete, then the choice of a security layer: none.
    fn step(&mut self, received: Option<&[u8]>) -> Result<(Word, Vec<u8>), String> {
        if self.complete {
            let offer = self.context.unwrap(received.unwrap_or_default()).map_err(told)?;
            // Four bytes: a bit for each layer, and the largest message.
            if offer.first().is_none_or(|layers| layers & 1 == 0) {
                return Err("the broker insists on a security layer, which Kafka does not have".to_owned());
            }
            let choice = self.context.wrap(false, &[1, 0, 0, 0]).map_err(told)?;
            return Ok((Word::Last, choice.to_vec()));
        }
        let token = self.context.step(received, None).map_err(told)?;
        self.complete = self.context.is_complete();
        Ok((Word::Token, token.map(|token| token.to_vec()).unwrap_or_default()))
    }
}

/// The mechanism's own words: those before them, in front of brackets, are the same for almost everything.
fn told(error: Error) -> String {
    let text = error.to_string();
    let words = text.split_once('(').and_then(|(_, words)| words.rsplit_once(')'));
    words.map_or(text.clone(), |(words, _)| words.to_owned())
}

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LARGEST_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too large"));
    }
    let mut bytes = Vec::new();
    input.take(length.into()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(output: &mut impl Write, word: Word, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len() + 1).map_err(io::Error::other)?;
    output.write_all(&length.to_be_bytes())?;
    output.write_all(&[word as u8])?;
    output.write_all(bytes)?;
    output.flush()
}
