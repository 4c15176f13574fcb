//! The pages and examples, held against the code: every YAML in them is followed, every kind of error has its heading.
//!
//! Not for: links and commands (`book/`).

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use plimsoll::net::Reach;
use plimsoll::{
    backend::Registry,
    config::{Config, PolicyFile},
    error::ReadErrorKind,
    metadata::Metadata,
    trigger::Trigger,
};
use yaml_rust2::{Yaml, YamlEmitter, YamlLoader};

use crate::book::{Page, files, pages};

/// Triggers of KEDA's own that no server answers.
const OTHERS: [&str; 3] = ["cpu", "memory", "cron"];

/// Each YAML in the pages, and each file that we ship: where, and the text.
fn yamls() -> Vec<(String, String)> {
    let fences = pages().into_iter().flat_map(|page| page.fences());
    let fences = fences.filter(|fence| fence.language == "yaml").map(|fence| (fence.place, fence.text));
    // A template is not YAML yet; what is made of it is.
    let shipped = files("deploy", "yaml").into_iter().filter(|file| !file.iter().any(|part| part == "templates"));
    let shipped = shipped.map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap()));
    fences.chain(shipped).collect()
}

fn documents(place: &str, yaml: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(yaml).unwrap_or_else(|error| panic!("{place}: {error} in\n{yaml}"))
}

/// Every trigger in `yaml`, however deep: whatever has metadata and a type.
fn triggers(yaml: &Yaml) -> Vec<&Yaml> {
    if yaml["type"].as_str().is_some() && yaml["metadata"].as_hash().is_some() {
        return vec![yaml];
    }
    match yaml {
        Yaml::Array(all) => all.iter().flat_map(triggers).collect(),
        Yaml::Hash(map) => map.values().flat_map(triggers).collect(),
        _ => Vec::new(),
    }
}

/// What KEDA would send of it. A built-in trigger is asked about as it would be once it is ours.
fn metadata(place: &str, trigger: &Yaml) -> Metadata {
    let pairs = trigger["metadata"].as_hash().unwrap().iter().map(|(key, value)| {
        let value = value.as_str().unwrap_or_else(|| panic!("{place}: Kubernetes takes text only, quote {key:?}"));
        (key.as_str().unwrap(), value)
    });
    let kind = trigger["type"].as_str().filter(|kind| !kind.starts_with("external"));
    pairs.chain(kind.map(|kind| ("scalerType", kind))).collect()
}

#[test]
fn every_trigger_in_the_pages_and_examples_is_followed_without_a_warning() {
    let registry = Registry::standard();
    let mut followed = 0;
    for (place, yaml) in yamls() {
        let documents = documents(&place, &yaml);
        for trigger in documents.iter().flat_map(triggers) {
            if trigger["type"].as_str().is_some_and(|kind| OTHERS.contains(&kind)) {
                continue;
            }
            let metadata = metadata(&place, trigger);
            let parsed = Trigger::parse(&registry, &metadata, &Reach::open(), Duration::from_secs(5));
            let parsed = parsed.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(parsed.warnings().is_empty(), "{place}: {:?}", parsed.warnings());
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} triggers were found");
}

/// Whether all of `yaml`'s keys are `values`'; what is empty there takes any.
fn are_values(yaml: &Yaml, values: &Yaml) -> bool {
    match (yaml.as_hash(), values.as_hash()) {
        (Some(_), Some(values)) if values.is_empty() => true,
        (Some(keys), Some(values)) => {
            keys.iter().all(|(key, its)| values.get(key).is_some_and(|of| are_values(its, of)))
        }
        _ => true,
    }
}

#[test]
fn every_yaml_in_the_pages_is_of_a_kind_that_is_known_and_followed() {
    let values = fs::read_to_string("deploy/chart/plimsoll/values.yaml").unwrap();
    let values = &documents("values.yaml", &values)[0];
    let fences = pages().into_iter().flat_map(|page| page.fences()).filter(|fence| fence.language == "yaml");
    for fence in fences {
        let place = &fence.place;
        for document in documents(place, &fence.text) {
            let has = |key: &str| document[key] != Yaml::BadValue;
            let mut text = String::new();
            YamlEmitter::new(&mut text).dump(&document).unwrap();
            if has("apiVersion") {
                assert!(
                    has("kind") && document["metadata"]["name"].as_str().is_some(),
                    "{place}: an object has kind and name"
                );
            } else if has("connections") || has("policy") || has("limits") {
                Config::read(&vec![text.into_bytes()]).unwrap_or_else(|error| panic!("{place}: {error}"));
            } else if has("default") || has("namespaces") {
                PolicyFile::new(&vec![text.into_bytes()], false).unwrap_or_else(|error| panic!("{place}: {error}"));
            } else if document.as_hash().is_some() && are_values(&document, values) {
                // A file for `helm --values`.
            } else {
                let part = has("spec") || has("triggers") || document.as_vec().is_some();
                assert!(
                    part,
                    "{place}: neither an object, nor a part of one, a config, a policy or values of the chart"
                );
            }
        }
    }
}

/// What we tell people to apply is what `plimsoll check` has nothing to say against.
#[test]
fn whole_objects_in_the_pages_and_examples_pass_our_own_check() {
    let examples = files("deploy/examples", "yaml").into_iter();
    let examples = examples.map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap()));
    let fences = pages().into_iter().flat_map(|page| page.fences()).filter(|fence| fence.language == "yaml");
    let whole =
        fences.filter(|fence| fence.text.contains("apiVersion: keda.sh/")).map(|fence| (fence.place, fence.text));
    let mut checked = 0;
    for (place, yaml) in whole.chain(examples) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let checking = command
            .args(["check", "--strict", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = checking.spawn().unwrap();
        child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&said));
        checked += 1;
    }
    assert!(checked > 10, "only {checked} were found");
}

#[test]
fn every_kind_of_error_has_its_heading() {
    let page = Page::read(Path::new("docs/errors.md"));
    let headings: Vec<&str> = page.text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let kinds = ReadErrorKind::ALL.map(ReadErrorKind::as_str);
    assert_eq!(headings, [&["A wrong trigger"], &kinds[..]].concat());
}
