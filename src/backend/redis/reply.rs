//! What goes to Redis and what comes back, in our own terms: the rest of the backend knows no client library.

use std::sync::Arc;

/// One command about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name as Redis documents it: `LLEN`, `XINFO GROUPS`.
    pub name: &'static str,
    /// What follows the name; the key comes first.
    pub args: Vec<Arc<str>>,
}

impl Command {
    /// A command with its arguments.
    pub fn new<const N: usize>(name: &'static str, args: [&str; N]) -> Self {
        Self { name, args: args.into_iter().map(Arc::from).collect() }
    }
}

/// Redis's answer to one command. Maps come flattened, so that both protocols look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A number.
    Int(i64),
    /// A string of any kind.
    Text(String),
    /// An array, a set, or a map as key, value, key, value.
    List(Vec<Self>),
    /// Redis refuses.
    Error(Refusal),
    /// Something no command of ours is answered with.
    Other,
}

/// An error of Redis's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its first word: `WRONGTYPE`, `NOPERM`, or `ERR`.
    pub code: String,
    /// The rest. Of a refused login this may hold the password: such a text goes nowhere.
    pub text: String,
}

/// Another node of the cluster has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where, as `host:port`; without a host it is the node that answered.
    pub to: String,
    /// For this one question only, with `ASKING` before it: the slot is just being moved.
    pub once: bool,
}

impl Reply {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The elements; none when it is not a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// The value of `key`, if this is a map that has it.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Self> {
        self.items().chunks_exact(2).find_map(|pair| match pair {
            [name, value] if name.text() == Some(key) => Some(value),
            _ => None,
        })
    }

    /// Redis's refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Self::Error(refusal) = self { Some(refusal) } else { None }
    }

    /// Where the key is, if not here.
    #[must_use]
    pub fn redirect(&self) -> Option<Redirect> {
        let refusal = self.refusal()?;
        let once = match refusal.code.as_str() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        // `MOVED 3999 127.0.0.1:6381`
        Some(Redirect { to: refusal.text.split(' ').nth(1)?.to_owned(), once })
    }
}
