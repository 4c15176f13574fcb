//! Links between the pages, to headings, to files of the tree; and the table of contents.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use super::{Page, files, pages, resolve};

/// Where the pages' links lead, but for those to other servers: the page, the link, the file, the heading.
fn links(pages: &[Page]) -> Vec<(&Path, String, PathBuf, Option<String>)> {
    let mut found = Vec::new();
    for page in pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').map_or((link.as_str(), None), |(file, it)| (file, Some(it)));
            let target = if file.is_empty() { page.path.clone() } else { resolve(&page.path, file) };
            let heading = heading.map(str::to_owned);
            found.push((page.path.as_path(), link, target, heading));
        }
    }
    found
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = Page::read(Path::new("docs/SUMMARY.md"));
    let mut listed: Vec<PathBuf> = summary.links().iter().map(|link| resolve(&summary.path, link)).collect();
    let mut pages: Vec<PathBuf> = pages().into_iter().map(|page| page.path).collect();
    listed.sort();
    pages.sort();
    assert_eq!(listed, pages);
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let pages = pages();
    let anchors: HashMap<&Path, HashSet<String>> =
        pages.iter().map(|page| (page.path.as_path(), page.anchors())).collect();
    let mut wrong = Vec::new();
    for (page, link, target, heading) in links(&pages) {
        let page = page.display();
        // A folder has no page in the book.
        if !target.is_file() {
            wrong.push(format!("{page} links to {link}, which is no file"));
        } else if let Some(heading) = heading {
            match anchors.get(target.as_path()) {
                Some(anchors) if anchors.contains(&heading) => {}
                Some(_) => wrong.push(format!("{page} links to {link}, a heading that is not there")),
                None => wrong.push(format!("{page} links to {link}, a heading of what is no page")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `make docs` makes the book of some folders and files: what is linked must be in them.
#[test]
fn what_is_linked_is_in_the_book() {
    let makefile = fs::read_to_string("Makefile").unwrap();
    let list = makefile.lines().find_map(|line| line.strip_prefix("BOOK := ")).unwrap();
    let within = |target: &Path| {
        list.split(' ').any(|part| match part.split_once("/*/") {
            Some((folder, file)) => target.starts_with(folder) && target.ends_with(file),
            None => target.starts_with(part),
        })
    };
    let pages = pages();
    let outside: Vec<String> = links(&pages)
        .into_iter()
        .filter(|(_, _, target, _)| !within(target))
        .map(|(page, link, ..)| format!("{}: {link}", page.display()))
        .collect();
    assert!(outside.is_empty(), "`BOOK` in the Makefile does not have {outside:?}");
}

/// Options' help, comments of the chart and messages name pages, too.
#[test]
fn every_page_that_the_code_names_is_there() {
    let sources = ["rs", "yaml", "yml", "txt", "in", "toml"].into_iter();
    let sources = sources
        .flat_map(|kind| ["src", "deploy", "tests", "benches"].into_iter().flat_map(move |folder| files(folder, kind)));
    let mut named = 0;
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        for tail in text.split("docs/").skip(1) {
            let end = tail.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_/.".contains(letter)));
            let path = tail.get(..end.unwrap_or(tail.len())).unwrap().trim_end_matches('.');
            if path.ends_with(".md") && !source.starts_with("tests/it/book") {
                assert!(Path::new("docs").join(path).is_file(), "{} names docs/{path}", source.display());
                named += 1;
            }
        }
    }
    assert!(named > 10, "only {named}");
}
