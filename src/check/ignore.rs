//! `# plimsoll: ignore PL201`: findings that somebody has looked at and wants to hear no more of.
//!
//! Such a comment holds for the entry or list element that begins on its line, or, where it stands alone, on the next line
//! that is none; at the head of a document for all of it.

use super::{
    finding::{Finding, Pen},
    rules,
};
use crate::manifest::{Manifest, Node};

/// Where findings of some codes are left out.
#[derive(Debug)]
struct Range {
    codes: Vec<String>,
    first: usize,
    last: usize,
}

/// Takes away what comments of `manifest` ignore; returns how many, and adds what is wrong with the comments.
pub fn apply(manifest: &Manifest<'_>, findings: &mut Vec<Finding>) -> usize {
    let ranges = ranges(manifest, findings);
    if ranges.is_empty() {
        return 0;
    }
    let before = findings.len();
    findings.retain(|finding| {
        let ignored = |range: &Range| {
            (range.first..=range.last).contains(&finding.at.line)
                && range.codes.iter().any(|code| code.eq_ignore_ascii_case(finding.rule.code))
        };
        finding.file != manifest.name || !ranges.iter().any(ignored)
    });
    before - findings.len()
}

fn ranges(manifest: &Manifest<'_>, findings: &mut Vec<Finding>) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut ends = None;
    for comment in &manifest.comments {
        let words = comment.text.trim().strip_prefix("plimsoll:").map(str::trim_start);
        let Some(words) = words.and_then(|words| words.strip_prefix("ignore")) else { continue };
        // What follows a dash or a bracket says why.
        let codes = words.split(['(', '–', '—']).next().unwrap_or_default().split(" - ").next().unwrap_or_default();
        let codes: Vec<String> =
            codes.split([',', ' ']).map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned).collect();
        let unknown = codes.iter().find(|code| rules::find(code).is_none());
        if codes.is_empty() || unknown.is_some() {
            let what = unknown
                .map_or_else(|| "this names no code".to_owned(), |code| format!("`{code}` is no code of a finding"));
            let cure = "write `# plimsoll: ignore PL201, PL205`; docs/checks.md lists the codes";
            Pen::of_file(findings).say_at(&rules::BAD_IGNORE, manifest.name, comment.at, what, cure);
        }
        let ends = ends.get_or_insert_with(|| Ends::of(manifest));
        let (first, last) = ends.covered(manifest, comment.at.line, comment.at.byte);
        ranges.push(Range { codes, first, last });
    }
    ranges
}

/// For each line on which something begins, the last line of the largest such thing, and how it is at heads of documents.
struct Ends {
    by_line: std::collections::HashMap<usize, usize>,
    documents: Vec<(usize, usize)>,
}

impl Ends {
    fn of(manifest: &Manifest<'_>) -> Self {
        let mut ends = Self { by_line: Default::default(), documents: Vec::new() };
        for document in manifest.documents() {
            ends.documents.push((document.at().line, document.end_line()));
            let mut stack = vec![document];
            while let Some(node) = stack.pop() {
                for (key, value) in node.own_entries() {
                    ends.note(key, value);
                    stack.push(value);
                }
                for item in node.items().filter(|_| !node.is_alias()) {
                    ends.note(item, item);
                    stack.push(item);
                }
            }
        }
        ends
    }

    fn note(&mut self, from: Node<'_, '_>, to: Node<'_, '_>) {
        let last = self.by_line.entry(from.at().line).or_default();
        *last = (*last).max(to.end_line());
    }

    fn covered(&self, manifest: &Manifest<'_>, line: usize, byte: usize) -> (usize, usize) {
        let before = manifest.text.get(..byte).unwrap_or_default();
        let alone = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
        if !alone {
            return (line, self.by_line.get(&line).copied().unwrap_or(line).max(line));
        }
        let is_content = |text: &&str| {
            let text = text.trim();
            !text.is_empty() && !text.starts_with('#') && !text.starts_with("---")
        };
        let below = manifest.text.lines().enumerate().skip(line);
        let Some(first) = below.filter(|(_, text)| is_content(text)).map(|(index, _)| index + 1).next() else {
            return (line, line);
        };
        if let Some((_, last)) = self.documents.iter().find(|(begins, _)| *begins == first) {
            return (first, *last);
        }
        (first, self.by_line.get(&first).copied().unwrap_or(first))
    }
}
