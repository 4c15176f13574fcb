//! The pages and examples, held against the code: every trigger in them is followed, every kind of error has its heading,
//! every link between them leads somewhere.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use plimsoll::net::Reach;
use plimsoll::{backend::Registry, error::ReadErrorKind, metadata::Metadata, trigger::Trigger};
use yaml_rust2::{Yaml, YamlLoader};

/// Every file under `folder` whose name ends in `.extension`.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(path.to_str().unwrap(), extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found
}

pub fn pages() -> Vec<PathBuf> {
    let folders = ["docs", "tests", "proto"].into_iter().flat_map(|folder| files(folder, "md"));
    folders.chain(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "RELEASING.md"].map(PathBuf::from)).collect()
}

/// The YAML in a page's fences.
pub fn snippets(page: &str) -> Vec<String> {
    page.split("```yaml\n").skip(1).map(|tail| tail.split("```").next().unwrap().to_owned()).collect()
}

fn triggers(yaml: &str) -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
    documents.iter().flat_map(|document| document["spec"]["triggers"].as_vec().cloned().unwrap_or_default()).collect()
}

fn metadata(trigger: &Yaml) -> Metadata {
    let pairs = trigger["metadata"].as_hash().expect("a trigger has metadata").iter();
    pairs
        .map(|(key, value)| {
            let value =
                value.as_str().unwrap_or_else(|| panic!("{key:?}: Kubernetes takes text only, quote {value:?}"));
            (key.as_str().unwrap(), value)
        })
        .collect()
}

#[test]
fn every_trigger_in_the_pages_and_examples_is_followed_without_a_warning() {
    let mut yamls: Vec<(PathBuf, String)> = Vec::new();
    for page in pages() {
        yamls.extend(snippets(&fs::read_to_string(&page).unwrap()).into_iter().map(|yaml| (page.clone(), yaml)));
    }
    // A template is not YAML yet; what is made of it is.
    for example in files("deploy", "yaml").into_iter().filter(|file| !file.iter().any(|part| part == "templates")) {
        yamls.push((example.clone(), fs::read_to_string(example).unwrap()));
    }
    let registry = Registry::standard();
    let mut followed = 0;
    for (file, yaml) in yamls {
        for trigger in triggers(&yaml) {
            if trigger["type"].as_str() != Some("external-push") {
                continue;
            }
            let parsed = Trigger::parse(&registry, &metadata(&trigger), &Reach::open(), Duration::from_secs(5));
            let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(parsed.warnings().is_empty(), "{}: {:?}", file.display(), parsed.warnings());
            followed += 1;
        }
    }
    assert!(followed >= 3, "only {followed} triggers were found");
}

#[test]
fn every_kind_of_error_has_its_heading() {
    let page = fs::read_to_string("docs/errors.md").unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let kinds = ReadErrorKind::ALL.map(ReadErrorKind::as_str);
    assert_eq!(headings, [&["A wrong trigger"], &kinds[..]].concat());
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for tail in text.split("](").skip(1) {
            let link = tail.split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            if link.contains("://") || file.is_empty() {
                continue;
            }
            let target = page.parent().unwrap_or(Path::new("")).join(file);
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
        }
    }
}
