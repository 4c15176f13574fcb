//! As much of Markdown as the pages use, taken apart: code, links, headings.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

/// One page.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A block of code.
pub struct Fence {
    /// What stands after the three backticks.
    pub language: String,
    /// Its lines, without what the fence itself is indented by.
    pub text: String,
    /// Where it begins, for people: `docs/a.md:12`.
    pub place: String,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// Its blocks of code, and its other lines.
    fn split(&self) -> (Vec<Fence>, String) {
        let (mut fences, mut prose, mut open) = (Vec::new(), String::new(), None::<(usize, Fence)>);
        for (number, line) in self.text.lines().enumerate() {
            let content = line.trim_start();
            match &mut open {
                Some(_) if content == "```" => fences.extend(open.take().map(|(_, fence)| fence)),
                Some((indent, fence)) => {
                    let blanks = line.len() - content.len();
                    fence.text.push_str(line.get(blanks.min(*indent)..).unwrap());
                    fence.text.push('\n');
                }
                None if content.starts_with("```") => {
                    let language = content.trim_start_matches('`').to_owned();
                    let place = format!("{}:{}", self.path.display(), number + 1);
                    open = Some((line.len() - content.len(), Fence { language, text: String::new(), place }));
                }
                None => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a block of code has no end", self.path.display());
        (fences, prose)
    }

    pub fn fences(&self) -> Vec<Fence> {
        self.split().0
    }

    /// The code within lines of text.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.split().1;
        prose
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Where its links and pictures lead.
    pub fn links(&self) -> Vec<String> {
        let prose = self.split().1;
        let mut links = Vec::new();
        for line in prose.lines() {
            let text: String = line.split('`').step_by(2).collect();
            for (before, after) in [("](", ')'), ("href=\"", '"'), ("src=\"", '"'), ("srcset=\"", '"')] {
                links.extend(text.split(before).skip(1).map(|tail| tail.split(after).next().unwrap().to_owned()));
            }
        }
        links
    }

    /// What may stand after a `#` in a link to it: GitHub's rule, which is mdBook's too.
    pub fn anchors(&self) -> HashSet<String> {
        let (prose, mut seen, mut anchors) = (self.split().1, HashMap::new(), HashSet::new());
        for line in prose.lines().filter(|line| line.starts_with('#')) {
            let anchor = anchor(line.trim_start_matches('#').trim());
            let count = seen.entry(anchor.clone()).or_insert(0);
            anchors.insert(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
            *count += 1;
        }
        anchors
    }
}

fn anchor(heading: &str) -> String {
    let mut text = String::new();
    // A link in a heading is there by its text.
    for (index, part) in heading.split("](").enumerate() {
        text.push_str(if index == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) });
    }
    text.chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[test]
fn headings_have_the_names_that_github_gives_them() {
    let page = "# `scalerType`, and: *more*\n\n## Twice\n\n```sh\n# a comment\n```\n## Twice\n## See [the page](a.md#x) at once\n";
    let page = Page { path: "page.md".into(), text: page.into() };
    let expected = ["scalertype-and-more", "twice", "twice-1", "see-the-page-at-once"];
    assert_eq!(page.anchors(), expected.map(str::to_owned).into());
}

#[test]
fn code_is_apart_from_text() {
    let page = "[a](b.md) `[c](d.md)`\n\n  ```yaml\n  - x: y\n    z: 1\n  ```\n<img src=\"e.svg\">\n";
    let page = Page { path: "page.md".into(), text: page.into() };
    assert_eq!(page.links(), ["b.md", "e.svg"]);
    assert_eq!(page.spans(), ["[c](d.md)"]);
    let fences = page.fences();
    assert_eq!((fences[0].language.as_str(), fences[0].text.as_str()), ("yaml", "- x: y\n  z: 1\n"));
}
