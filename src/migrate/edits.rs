//! Changes of a text that leave every other byte as it is.
//!
//! Not for: what is changed (`plan.rs`).

use std::ops::Range;

use crate::manifest::Node;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// What comes in their place.
    pub text: String,
}

impl Edit {
    /// `text` in place of all of `node`.
    #[must_use]
    pub fn replace(node: Node<'_, '_>, text: String) -> Self {
        Self { range: node.at().byte..node.end(), text }
    }
}

/// `text` with `edits`; `None` where two of them overlap.
#[must_use]
pub fn apply(text: &str, mut edits: Vec<Edit>) -> Option<String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut made = String::with_capacity(text.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut at = 0;
    for edit in edits {
        made.push_str(text.get(at..edit.range.start)?);
        made.push_str(&edit.text);
        at = edit.range.end;
    }
    made.push_str(text.get(at..)?);
    Some(made)
}

/// A place in a text: the line that it is on.
#[derive(Debug, Clone, Copy)]
pub struct Line<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Line<'t> {
    /// The line of the byte `at`.
    #[must_use]
    pub fn of(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }

    /// The line's first byte.
    #[must_use]
    pub fn start(self) -> usize {
        let before = self.text.get(..self.at).unwrap_or_default();
        let start = before.rfind(['\n', '\r']).map_or(0, |index| index + 1);
        // A mark of the byte order is no part of the line.
        if start == 0 && before.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { start }
    }

    /// The byte behind the line's break; of the text's last line, its end.
    #[must_use]
    pub fn end(self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(index) = rest.find(['\n', '\r']) else { return self.text.len() };
        let both = rest.get(index..).is_some_and(|tail| tail.starts_with("\r\n"));
        self.at + index + if both { 2 } else { 1 }
    }

    /// What stands on the line before the byte.
    #[must_use]
    pub fn before(self) -> &'t str {
        self.text.get(self.start()..self.at).unwrap_or_default()
    }

    /// With what lines end here.
    #[must_use]
    pub fn line_break(self) -> &'t str {
        let before = self.text.get(..self.start()).unwrap_or_default();
        ["\r\n", "\n", "\r"].into_iter().find(|ending| before.ends_with(ending)).unwrap_or("\n")
    }
}
