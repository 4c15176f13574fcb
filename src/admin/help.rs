//! What `docs/errors.md` says of each kind of error: cause, check and cure, beside the error itself.
//!
//! The page is part of the binary, so that it is at hand where nothing else is. Not for: what happened (`error`).

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;

/// The page.
const ERRORS: &str = include_str!("../../docs/errors.md");

/// What to do about errors of one kind. The texts are Markdown without links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Help {
    /// As errors, series and logs have it.
    pub kind: String,
    /// The heading in `docs/errors.md`, and on this server's page `/errors`.
    pub anchor: String,
    /// What leads to it.
    pub cause: String,
    /// What to look at.
    pub check: String,
    /// What to do.
    pub cure: String,
}

static ALL: LazyLock<Vec<Help>> = LazyLock::new(|| ERRORS.split("\n## ").skip(1).filter_map(Help::read).collect());

impl Help {
    /// Every kind, in the page's order.
    pub(super) fn all() -> &'static [Self] {
        &ALL
    }

    /// For errors of this kind.
    pub(super) fn of(kind: &str) -> Option<&'static Self> {
        Self::all().iter().find(|help| help.kind == kind)
    }

    fn read(section: &str) -> Option<Self> {
        let heading = section.lines().next()?.trim().trim_matches('`');
        let part = |name: &str| {
            let text = section.split_once(&format!("**{name}.**"))?.1;
            let text = text.split("\n\n").next()?;
            Some(without_links(&text.split_whitespace().collect::<Vec<_>>().join(" ")))
        };
        let kind = if heading == "A wrong trigger" { "refused" } else { heading };
        Some(Self {
            kind: kind.to_owned(),
            anchor: heading.to_lowercase().replace(' ', "-"),
            cause: part("Cause")?,
            check: part("Check")?,
            cure: part("Cure")?,
        })
    }
}

/// `[text](where)` is `text`: the other pages are not here.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once("](") {
            Some((shown, target)) if !shown.contains('[') => {
                plain.push_str(shown);
                rest = target.split_once(')').map_or("", |(_, rest)| rest);
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_cause_check_and_cure() {
        let kinds: Vec<&str> = Help::all().iter().map(|help| help.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "refused",
                "unreachable",
                "timeout",
                "denied",
                "not_found",
                "throttled",
                "bad_reply",
                "invalid",
                "internal"
            ]
        );
        for help in Help::all() {
            assert!(help.cause.len() > 30 && help.check.len() > 30 && help.cure.len() > 20, "{help:?}");
            assert!(!format!("{help:?}").contains("]("), "{help:?}");
        }
        assert_eq!(Help::of("refused").map(|help| help.anchor.as_str()), Some("a-wrong-trigger"));
        assert!(Help::of("x").is_none());
    }

    #[test]
    fn links_leave_their_words() {
        assert_eq!(without_links("see [a page](x.md#y) and `[0, 1]`, [z]"), "see a page and `[0, 1]`, [z]");
    }
}
