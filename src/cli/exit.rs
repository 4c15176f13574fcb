//! How a command ends, the same for all of them: docs/cli.md lists it.
//!
//! Not for: signals, or what clap itself says of bad arguments, which is [`Exit::Unusable`] too.

use std::process::ExitCode;

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// The command has done its work, and found something.
    Found,
    /// It could not do its work: bad arguments, a file that cannot be read.
    Unusable,
    /// The server's config or one of its options cannot be used: `EX_USAGE` of `sysexits.h`.
    Config,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::Unusable => 2,
            Self::Config => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error after which a command ends with [`Exit::Unusable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);
