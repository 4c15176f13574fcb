//! One place that cleans every text that came from outside, so that nobody can forge a log line, garble a terminal or
//! fill an event.
//!
//! Not for: what a text says. [`ReadError::new`](super::ReadError::new), [`SpecError`](super::SpecError) and the log pass here.

use std::borrow::Cow;

use crate::limits;

/// `text` without what could forge or garble a line of a log, an event or a terminal, and of [`limits::TEXT`] at most.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    clean_within(text, limits::TEXT)
}

/// The same, of `most` bytes at most.
#[must_use]
pub fn clean_within(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shortened(text.chars().map(harmless), most, usize::MAX))
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
    use crate::error::{Problem, ReadError, ReadErrorKind, SpecError};

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
