//! YAML as people give it to Kubernetes (several documents, lists, the output of Helm, Kustomize and kubectl), with the
//! place of every key and value.
//!
//! Not for: what any of it means (`check`, `migrate`), or the server's own files (`config`).

mod node;
mod objects;
mod scalar;
mod tree;

pub use node::Node;
pub use objects::{Object, Scaled, Trigger, is_list};
pub use scalar::Seen;
pub use tree::{Comment, Manifest, Trouble};

use std::fmt;

use crate::limits;

/// Where something stands in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In bytes, from 0.
    pub byte: usize,
}

/// One input, whole.
#[derive(Debug)]
pub struct Source {
    /// As the user calls it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// An input that is none; the text says what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Source {
    /// `bytes` of the input `name`.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let name = name.into();
        if bytes.len() > limits::MANIFEST {
            limits::Limit::Request.crossed();
            let most = limits::MANIFEST >> 20;
            return Err(Unreadable(format!("{name}: more than {most} MiB: give it in parts")));
        }
        let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(_) if utf16 => {
                Err(Unreadable(format!("{name}: UTF-16, which Kubernetes does not read: save it as UTF-8")))
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(Unreadable(format!("{name}: no text at byte {at}: it must be YAML in UTF-8")))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
