//! What the operator of a server gives us in files: read once before we serve, and again whenever they change.
//!
//! Not for: command-line options (`cli`), or what certificates mean (`door`).

mod connections;
mod file;
mod files;
mod policy;
mod token;

pub use connections::Kind;
pub use file::{Config, ConfigFile, Limits};
pub use files::{Contents, Files, Followed, follow};
pub use policy::PolicyFile;
pub use token::Token;

/// A file or an option of the server that cannot be used; the text names it and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);
