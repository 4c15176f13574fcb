//! The book: which pages are in it, whether each link leads somewhere, whether what its commands name is there.
//!
//! Not for: YAML, which is held against the registry in `docs.rs`.

mod api;
mod commands;
mod links;
mod markdown;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use markdown::Page;

/// Every file under `folder` whose name ends in `.extension`.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(path.to_str().unwrap(), extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every page that is for people.
pub fn pages() -> Vec<Page> {
    let folders = ["docs", "tests", "proto", "deploy"].into_iter().flat_map(|folder| files(folder, "md"));
    let root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "RELEASING.md", "SECURITY.md"].map(PathBuf::from);
    folders.chain(root).filter(|path| !path.ends_with("SUMMARY.md")).map(|path| Page::read(&path)).collect()
}

/// `link` from `page`, without `.` and `..`.
fn resolve(page: &Path, link: &str) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in page.parent().unwrap_or(Path::new("")).join(link).components() {
        match part {
            std::path::Component::ParentDir => assert!(resolved.pop(), "{link} leaves the tree"),
            std::path::Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}
