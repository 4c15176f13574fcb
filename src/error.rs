//! What can go wrong, in the two kinds an operator meets: a trigger that says something we cannot follow
//! ([`SpecError`]: mend the YAML) and a source that cannot be read ([`ReadError`]: look at the broker).
//!
//! Every text reads "what we looked at, what happened, what to do", names no secret and is constant for a
//! constant cause: KEDA turns each one into an event. Texts that came from outside are cleaned here ([`clean`],
//! [`quoted`]), so that nobody can forge a log line or fill one.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::limits;

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
    /// A defect of ours.
    Internal,
}

impl ReadErrorKind {
    /// Every kind, in the order of `docs/errors.md`.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Denied,
        Self::NotFound,
        Self::Throttled,
        Self::BadReply,
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
    text: Arc<str>,
}

impl ReadError {
    /// A failure of this one source, unless its kind says that the connection itself is gone, slow or throttled.
    /// The text is [cleaned](clean).
    pub fn new(kind: ReadErrorKind, text: impl Into<Arc<str>>) -> Self {
        use ReadErrorKind::{Throttled, Timeout, Unreachable};
        let text = text.into();
        let text = match clean(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(cleaned) => cleaned.into(),
        };
        Self { kind, whole_connection: matches!(kind, Unreachable | Timeout | Throttled), text }
    }

    /// The same failure, known to concern every source on the connection (a refused login, say).
    #[must_use]
    pub fn of_connection(mut self) -> Self {
        self.whole_connection = true;
        self
    }

    /// The same failure, known to concern this source alone.
    #[must_use]
    pub fn of_source(mut self) -> Self {
        self.whole_connection = false;
        self
    }
}

/// `text` without what could forge or garble a line of a log, an event or a terminal, and of [`limits::TEXT`] at most.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.len() <= limits::TEXT && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shortened(text.chars().map(harmless), limits::TEXT, usize::MAX))
}

/// What a broker said, to be quoted within our own words: cleaned, and [`limits::QUOTED`] characters of it at most.
#[must_use]
pub fn quoted(broker_text: &str) -> String {
    shortened(broker_text.trim().chars().map(harmless), limits::TEXT, limits::QUOTED)
}

/// At most so many bytes and characters of it, an ellipsis included where something is left out.
fn shortened(text: impl Iterator<Item = char>, most_bytes: usize, most_chars: usize) -> String {
    const ELLIPSIS: char = '…';
    let mut short = String::new();
    // The last place where the ellipsis would still have fitted.
    let mut cut = 0;
    for (count, c) in text.enumerate() {
        if count >= most_chars || short.len() + c.len_utf8() > most_bytes {
            short.truncate(cut);
            short.push(ELLIPSIS);
            return short;
        }
        short.push(c);
        if count + 1 < most_chars && short.len() + ELLIPSIS.len_utf8() <= most_bytes {
            cut = short.len();
        }
    }
    short
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Controls of terminals and lines, and what is invisible or changes the direction of the text after it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_made_visible_and_the_rest_is_left_alone() {
        for (text, cleaned) in [
            ("queue `a/b` holds 10 €, ünïcödé 中文", "queue `a/b` holds 10 €, ünïcödé 中文"),
            ("a\nERROR b\r\nc\td", "a ERROR b  c d"),
            ("\u{1b}[2Jgone\u{7}", "\u{fffd}[2Jgone\u{fffd}"),
            ("a\u{9b}31m", "a\u{fffd}31m"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("pa\u{200b}y\u{feff}\u{2060}", "pa\u{fffd}y\u{fffd}\u{fffd}"),
            ("a\u{2028}b\u{85}c\0", "a b c\u{fffd}"),
        ] {
            assert_eq!(clean(text), cleaned);
            assert_eq!(ReadError::new(ReadErrorKind::BadReply, text).to_string(), cleaned);
            let problems = vec![Problem { key: "k".to_owned(), text: text.to_owned() }];
            assert_eq!(SpecError { problems }.to_string(), cleaned);
        }
        assert!(matches!(clean("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_text_is_longer_than_a_kibibyte_and_none_is_cut_within_a_character() {
        for text in ["x".repeat(5000), "€".repeat(2000), "\n".repeat(3_000_000), format!("a{}", "😀".repeat(400))] {
            let error = ReadError::new(ReadErrorKind::BadReply, text.as_str()).to_string();
            assert!((limits::TEXT - 8..=limits::TEXT).contains(&error.len()), "{}", error.len());
            assert!(error.ends_with('…'));
            let problem = Problem::new(&text, &text);
            assert!(problem.key.len() <= limits::TEXT && problem.text.len() <= limits::TEXT);
            let many = SpecError { problems: vec![problem; 64] };
            assert!(many.to_string().len() <= limits::TEXT);
        }
        let just = "x".repeat(limits::TEXT);
        assert_eq!(clean(&just), just);
    }

    #[test]
    fn a_brokers_words_are_quoted_up_to_a_hundred_characters() {
        assert_eq!(quoted(" ERR\nno such key "), "ERR no such key");
        let long = quoted(&"ö".repeat(3000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (limits::QUOTED, true));
        assert_eq!(quoted(&"ö".repeat(limits::QUOTED)).chars().filter(|c| *c == 'ö').count(), limits::QUOTED);
    }
}
