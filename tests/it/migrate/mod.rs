//! `plimsoll migrate` over a corpus: what KEDA's scalers take (`keda.txt`), each example of KEDA's own pages for our backends in
//! its shape (`pages.txt`; as of 2.21, mistakes and all), and what people write (`people.txt`), each as it is and in other clothes: Windows' line ends, no line end, a mark of the byte order, in a list.

mod refused;
mod shell;

use std::time::Duration;

use plimsoll::{
    backend::Registry,
    check::{self, Options, Severity},
    manifest::{Manifest, Source},
    metadata::{Metadata, Reader},
    migrate::{Migrated, migrate},
    net::Reach,
    trigger::Trigger,
};
use yaml_rust2::{Yaml, YamlLoader, yaml::Hash};

const ADDRESS: &str = "plimsoll.keda.svc:6000";
const OURS: [&str; 11] = [
    "apache-kafka",
    "aws-sqs-queue",
    "kafka",
    "prometheus",
    "rabbitmq",
    "redis",
    "redis-cluster",
    "redis-cluster-streams",
    "redis-sentinel",
    "redis-sentinel-streams",
    "redis-streams",
];

/// Each shape with its name.
fn shapes() -> Vec<(&'static str, String)> {
    let all = [include_str!("keda.txt"), include_str!("pages.txt"), include_str!("people.txt")];
    let shapes = all.into_iter().flat_map(|text| text.split("#### ").skip(1));
    shapes.map(|shape| shape.split_once('\n').unwrap()).map(|(name, text)| (name, text.to_owned())).collect()
}

/// The same text in other clothes.
fn clothes(text: &str) -> Vec<(&'static str, String)> {
    let windows = text.replace('\n', "\r\n");
    let mut clothes = vec![
        ("as it is", text.to_owned()),
        ("Windows", windows),
        ("no line end", text.trim_end().to_owned()),
        ("byte order mark", format!("\u{feff}{text}")),
    ];
    // Indented, as an element of a list: where a document is alone.
    if !text.contains("---") && !text.starts_with('%') {
        let indented: String =
            text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
        clothes.push(("in a list", format!("apiVersion: v1\nkind: List\nitems:\n-\n{indented}")));
    }
    clothes
}

fn options() -> Options {
    Options::new(Registry::standard())
}

fn moved(name: &str, text: &str) -> Migrated {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    migrate(&options(), &source, ADDRESS).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"))
}

fn documents(text: &str) -> Vec<Yaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What another parser must find after the move: everything as it was, but for the triggers of ours.
fn expected(document: Yaml, job: bool, silent: bool) -> Yaml {
    let key = |name: &str| Yaml::String(name.to_owned());
    match document {
        Yaml::Array(items) => Yaml::Array(items.into_iter().map(|item| expected(item, job, silent)).collect()),
        Yaml::Hash(hash) => {
            let job = job || hash.get(&key("kind")).and_then(Yaml::as_str) == Some("ScaledJob");
            let activation = hash
                .get(&key("advanced"))
                .is_some_and(|advanced| !advanced["scalingModifiers"]["activationTarget"].is_badvalue());
            let silent = silent || activation;
            let kind =
                hash.get(&key("type")).and_then(Yaml::as_str).filter(|kind| OURS.contains(kind)).map(str::to_owned);
            let is_trigger = kind.is_some() && hash.contains_key(&key("metadata"));
            let mut new = Hash::new();
            for (name, value) in hash {
                let value = match (name.as_str(), &kind) {
                    (Some("type"), Some(_)) if is_trigger => key(if job { "external" } else { "external-push" }),
                    (Some("metadata"), Some(kind)) if is_trigger => metadata(value, kind, silent),
                    _ => expected(value, job, silent),
                };
                new.insert(name, value);
            }
            Yaml::Hash(new)
        }
        other => other,
    }
}

fn metadata(value: Yaml, kind: &str, silent: bool) -> Yaml {
    let text = |text: &str| Yaml::String(text.to_owned());
    let mut new = Hash::new();
    new.insert(text("scalerAddress"), text(ADDRESS));
    new.insert(text("scalerType"), text(kind));
    if silent {
        new.insert(text("push"), text("false"));
    }
    for (name, value) in value.into_hash().unwrap() {
        // Kubernetes takes texts only.
        let value = match value {
            Yaml::Boolean(on) => text(if on { "true" } else { "false" }),
            Yaml::Integer(number) => Yaml::String(number.to_string()),
            Yaml::Real(number) => Yaml::String(number),
            other => other,
        };
        match name.as_str().unwrap() {
            "enableTLS" if kind.starts_with("redis") => {
                let on = value.as_str() == Some("true");
                new.insert(text("tls"), text(if on { "enable" } else { "disable" }));
            }
            "enableTLS" => {}
            "unsafeSsl" if matches!(kind, "apache-kafka" | "aws-sqs-queue") => {}
            "unsafeSsl" => drop(new.insert(text("skipTlsVerify"), value)),
            _ => drop(new.insert(name, value)),
        }
    }
    Yaml::Hash(new)
}

/// In an order that does not matter to YAML.
fn sorted(yaml: Yaml) -> Yaml {
    match yaml {
        Yaml::Array(items) => Yaml::Array(items.into_iter().map(sorted).collect()),
        Yaml::Hash(hash) => {
            let mut pairs: Vec<_> = hash.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by_cached_key(|(key, _)| format!("{key:?}"));
            Yaml::Hash(pairs.into_iter().collect())
        }
        other => other,
    }
}

/// With what merge keys bring in their place.
fn merged(yaml: Yaml) -> Yaml {
    match yaml {
        Yaml::Array(items) => Yaml::Array(items.into_iter().map(merged).collect()),
        Yaml::Hash(hash) => {
            let mut new: Hash = hash.into_iter().map(|(key, value)| (key, merged(value))).collect();
            if let Some(Yaml::Hash(more)) = new.remove(&Yaml::String("<<".to_owned())) {
                for (key, value) in more {
                    new.entry(key).or_insert(value);
                }
            }
            Yaml::Hash(new)
        }
        other => other,
    }
}

/// Each line of the old text that says nothing that changes is there, in order.
fn lines_stay(old: &str, new: &str, name: &str) {
    let mut rest = new.split_inclusive('\n');
    let touched = ["type", "enableTLS", "unsafeSsl", "triggers: [", "metadata: {", "- {"];
    let bare = |line: &str| {
        let value = line.split_once(": ").map_or("", |(_, value)| value.trim());
        value.starts_with(|first: char| first.is_ascii_digit())
            || value.starts_with("true")
            || value.starts_with("false")
    };
    let changes =
        |line: &str| touched.iter().any(|part| line.contains(part)) || line.trim_start().starts_with('{') || bare(line);
    let old = old.strip_prefix('\u{feff}').unwrap_or(old);
    for line in old.split_inclusive('\n').filter(|line| !changes(line)) {
        let content = |line: &str| line.trim_end_matches(['\r', '\n']).to_owned();
        let kept = rest.any(|candidate| content(candidate).ends_with(&content(line)));
        assert!(kept, "{name}: the line {line:?} is gone from\n{new}");
    }
}

#[test]
fn every_shape_is_moved_whole_and_nothing_else_is_touched() {
    let shapes = shapes();
    assert!(shapes.len() >= 110, "{}", shapes.len());
    for (name, text) in shapes {
        for (dress, text) in clothes(&text) {
            let name = format!("{name}, {dress}");
            let migrated = moved(&name, &text);
            let refused: Vec<_> = migrated.triggers.iter().filter_map(|trigger| trigger.refused.as_ref()).collect();
            assert!(refused.is_empty(), "{name}: {refused:?}");
            assert!(!migrated.triggers.is_empty(), "{name}: nothing was moved\n{text}");
            let new = &migrated.text;
            let wanted: Vec<Yaml> =
                documents(&text).into_iter().map(|document| sorted(expected(merged(document), false, false))).collect();
            let made: Vec<Yaml> = documents(new).into_iter().map(merged).map(sorted).collect();
            assert_eq!(made, wanted, "{name}\n{new}");
            lines_stay(&text, new, &name);
            let comments = |text: &str| {
                Manifest::read("x", text).comments.iter().map(|comment| comment.text.to_owned()).collect::<Vec<_>>()
            };
            let (before, after) = (comments(&text), comments(new));
            let gone = before.iter().filter(|comment| !after.contains(comment)).count();
            assert!(
                gone == 0 || (gone == 1 && name.contains("what goes stands between")),
                "{name}: {before:?} {after:?}"
            );
            if dress == "Windows" {
                assert_eq!(new.matches('\n').count(), new.matches("\r\n").count(), "{name}");
            }
            assert_eq!(new.ends_with('\n'), text.ends_with('\n'), "{name}");
            assert_eq!(new.starts_with('\u{feff}'), text.starts_with('\u{feff}'), "{name}");
            assert_eq!(moved(&name, new).text, *new, "{name}: a second time");
        }
    }
}

#[test]
fn what_is_moved_passes_the_check_and_means_the_same() {
    let registry = Registry::standard();
    let mut compared = 0;
    for (name, text) in shapes() {
        let migrated = moved(name, &text);
        let errors = |text: &str| {
            let report = check::check(&options(), &[Source { name: name.to_owned(), text: text.to_owned() }]);
            let errors = report.findings.into_iter().filter(|finding| finding.rule.severity == Severity::Error);
            errors.map(|finding| format!("{} {}", finding.rule.code, finding.what)).collect::<Vec<_>>()
        };
        // A stray key beside `spec` is there before and after.
        let before = errors(&text);
        let new: Vec<String> = errors(&migrated.text).into_iter().filter(|error| !before.contains(error)).collect();
        assert_eq!(new, Vec::<String>::new(), "{name}\n{}", migrated.text);
        // A number without quotes is mended in what is moved. What is wrong elsewhere is wrong as before: some of KEDA's pages
        // name a TriggerAuthentication of another namespace.
        let after = errors(&migrated.text);
        let elsewhere =
            ["a merge from outside the triggers", "rabbitmq, a formula behind the triggers, its target a number"];
        let unfound = |error: &String| error.starts_with("PL305 ") && name.starts_with("prometheus, ");
        assert!(after.iter().all(unfound) || elsewhere.contains(&name), "{name}: {after:?}");
        let untyped = |error: &String| error.starts_with("PL004 ") || unfound(error);
        assert!(before.iter().all(untyped) || elsewhere.contains(&name), "{name}: {before:?}");
        let (old, new) = (Manifest::read(name, &text), Manifest::read(name, &migrated.text));
        let triggers = |manifest: &Manifest<'_>| -> Vec<(String, Metadata)> {
            let scaled = manifest.objects().into_iter().filter_map(plimsoll::manifest::Object::scaled);
            let triggers = scaled.flat_map(|scaled| scaled.triggers());
            triggers
                .map(|trigger| {
                    let entries = trigger.metadata.into_iter().flat_map(plimsoll::manifest::Node::entries);
                    let pairs = entries
                        .map(|(key, value)| (key.written().unwrap().to_owned(), value.written().unwrap().to_owned()));
                    (trigger.kind.to_owned(), pairs.collect())
                })
                .collect()
        };
        for ((kind, before), (_, after)) in triggers(&old).into_iter().zip(triggers(&new)) {
            let Some(backend) = registry.find(&kind) else { continue };
            let mut before = Reader::new(&before);
            let metric = backend.metric(&kind, &mut before);
            assert!(metric.is_some(), "{name}");
            assert_eq!(metric, backend.metric(&kind, &mut Reader::new(&after)), "{name}");
            // Where all that is needed stands in the metadata, the server follows it.
            if let Ok(trigger) = Trigger::parse(&registry, &after, &Reach::open(), Duration::from_secs(5)) {
                assert_eq!(Some(trigger.source.metric()), metric.as_ref(), "{name}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 30, "{compared}");
}
