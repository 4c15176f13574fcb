//! What can go wrong, in the two kinds an operator meets: a trigger that says something we cannot follow
//! ([`SpecError`]: mend the YAML) and a source that cannot be read ([`ReadError`]: look at the broker).
//!
//! Every text reads "what we looked at, what happened, what to do", names no secret and is constant for a
//! constant cause: KEDA turns each one into an event. What came from outside is cleaned ([`clean`], [`quoted`]).

mod clean;
mod count;
mod near;

use std::{borrow::Cow, fmt, sync::Arc};

pub use clean::{clean, clean_within, quoted};
pub use count::counted;
pub use near::{did_you_mean, similar};

/// One thing wrong with a trigger's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The metadata key at fault.
    pub key: String,
    /// What is wrong and what would be right, with the key in it; never the value.
    pub text: String,
}

impl Problem {
    /// `text` says what is wrong with `key`.
    pub fn new(key: &str, text: &str) -> Self {
        Self { key: clean(key).into_owned(), text: clean(text).into_owned() }
    }
}

/// A trigger's metadata cannot be followed. Holds every problem found, so that one round of edits mends them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// In the order they were found; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.problems.iter().map(|problem| problem.text.as_str()).collect();
        f.write_str(&clean(&texts.join("; ")))
    }
}

impl std::error::Error for SpecError {}

/// What to do where a login is missing: who moves a built-in trigger here had it in an `authenticationRef`, which KEDA
/// keeps to itself. `keys` are those that would hold the login, for instance `["username", "password"]`. The one text
/// for this, to stand after what was found: ``redis://host wants a login: `` and then this.
#[must_use]
pub fn give_login(keys: &[&str]) -> String {
    let named = |suffix: &str| {
        let names: Vec<String> = keys.iter().map(|key| format!("`{key}{suffix}`")).collect();
        match names.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            _ => names.concat(),
        }
    };
    format!(
        "KEDA does not pass `authenticationRef` on to an external scaler: let this server read it (`--kubernetes`), name a \
         `connection` of its config, or give {} as {} (variables of the scaled workload)",
        named(""),
        named("FromEnv")
    )
}

/// What kind of failure a read met: the gRPC code, the metric label, the log field and the heading in
/// `docs/errors.md` all follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// No connection: refused, DNS, TLS, a link that broke.
    Unreachable,
    /// Connected, but no answer before the deadline.
    Timeout,
    /// The broker refuses us: credentials or rights.
    Denied,
    /// The queue, topic, stream or group is not there.
    NotFound,
    /// The broker asks us to slow down.
    Throttled,
    /// An answer that we cannot use: the wrong type, a protocol error.
    BadReply,
    /// What the login of the trigger comes to, with the trigger's own metadata, cannot be followed.
    Invalid,
    /// A defect of ours.
    Internal,
}

impl ReadErrorKind {
    /// Every kind, in the order of `docs/errors.md`.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Denied,
        Self::NotFound,
        Self::Throttled,
        Self::BadReply,
        Self::Invalid,
        Self::Internal,
    ];

    /// The label in series, logs and docs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::BadReply => "bad_reply",
            Self::Invalid => "invalid",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A source could not be read. Cheap to clone: one failed batch answers a thousand triggers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ReadError {
    /// What kind of failure.
    pub kind: ReadErrorKind,
    /// Whether the whole connection is at fault, so that every trigger on it should hold off together.
    pub whole_connection: bool,
    of_connection: bool,
    text: Arc<str>,
}

impl ReadError {
    /// A failure of this one source, unless its kind says that the connection itself is gone, slow or throttled. The text
    /// of an `Unreachable` names the place and not what was to be read there, or it is [of the source](Self::of_source).
    /// The text is [cleaned](clean).
    pub fn new(kind: ReadErrorKind, text: impl Into<Arc<str>>) -> Self {
        use ReadErrorKind::{Throttled, Timeout, Unreachable};
        let text = text.into();
        let text = match clean(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(cleaned) => cleaned.into(),
        };
        let whole_connection = matches!(kind, Unreachable | Timeout | Throttled);
        Self { kind, whole_connection, of_connection: kind == Unreachable, text }
    }

    /// The same failure, known to concern every source on the connection (a refused login, say). Its text is shown to
    /// all triggers of the connection: it names the place, and not what one of them wanted to read there.
    #[must_use]
    pub fn of_connection(mut self) -> Self {
        (self.whole_connection, self.of_connection) = (true, true);
        self
    }

    /// The same failure, known to concern this source alone.
    #[must_use]
    pub fn of_source(mut self) -> Self {
        (self.whole_connection, self.of_connection) = (false, false);
        self
    }

    /// Whether the text is about the connection alone: that of an unreachable one, or of what was
    /// [said to be](Self::of_connection) the connection's.
    #[must_use]
    pub fn speaks_of_connection(&self) -> bool {
        self.of_connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_login_names_its_keys_and_says_where_it_may_stand() {
        let names = |keys: &[&str]| {
            let text = give_login(keys);
            assert!(
                text.starts_with("KEDA does not pass `authenticationRef` on to an external scaler: let this server read it (`--kubernetes`)"),
                "{text}"
            );
            text
        };
        assert!(names(&["password"]).contains("give `password` as `passwordFromEnv` (variables"));
        assert!(names(&["sasl", "username", "password"]).contains(
            "give `sasl`, `username` and `password` as `saslFromEnv`, `usernameFromEnv` and `passwordFromEnv` (variables"
        ));
    }
}
