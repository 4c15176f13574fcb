//! What a fuzzer feeds: each place where bytes from outside are first understood, as a function of bytes. Those of the
//! backends are in `backend::fuzz`.
//!
//! Built for tests, which replay `fuzz/seeds`, and with the feature `fuzzing`, for the targets in `fuzz/`. Not for: anything
//! a server does.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{
    backend::Registry,
    check,
    manifest::{Manifest, Source},
    metadata::{Metadata, Reader},
    migrate::migrate,
    net::{Reach, tls::Tls},
    trigger::Trigger,
};

/// What is made of a trigger may want a runtime to start its tasks on.
static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().ok());

/// `key=value` on each line; a NUL in a value is a line break.
fn pairs(data: &[u8]) -> Metadata {
    let text = String::from_utf8_lossy(data);
    let pair = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some((key.to_owned(), value.replace('\0', "\n")))
    };
    text.lines().filter_map(pair).collect::<BTreeMap<_, _>>().into()
}

/// Every backend's keys.
pub fn metadata(data: &[u8]) {
    let _guard = RUNTIME.as_ref().map(Runtime::enter);
    let parsed = Trigger::parse(&Registry::standard(), &pairs(data), &Reach::open(), Duration::from_secs(5));
    match parsed {
        Ok(trigger) => {
            let source = trigger.source;
            let _ = (source.metric(), source.describe(), source.connection().label(), source.deadline());
        }
        Err(error) => drop(error.to_string()),
    }
}

/// KEDA's grammar: numbers, durations, lists.
pub fn values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let metadata: Metadata = [("key", text)].into_iter().collect();
    let mut keys = Reader::new(&metadata);
    let _ = (keys.int("key", 0), keys.float("key"), keys.boolean("key", false), keys.list("key"), keys.map("key"));
    let _ = (keys.duration("key"), keys.timeout("key"), keys.unknown_keys());
    drop(keys.finish());
}

/// Certificates and keys, as the metadata's `ca`, `cert`, `key` and `keyPassword`.
pub fn keys(data: &[u8]) {
    let Some(runtime) = RUNTIME.as_ref() else { return };
    let metadata = pairs(data);
    let tls = Tls::read(&mut Reader::new(&metadata));
    if let Err(error) = runtime.block_on(tls.client_config(Default::default())) {
        drop(error.to_string());
    }
}

/// YAML of Kubernetes: checked, and its built-in triggers moved, which must not change what is not theirs.
pub fn manifest(data: &[u8]) {
    let _guard = RUNTIME.as_ref().map(Runtime::enter);
    let Ok(source) = Source::new("input", data.to_vec()) else { return };
    let options = check::Options::new(Registry::standard());
    drop(check::check(&options, std::slice::from_ref(&source)));
    if let Ok(migrated) = migrate(&options, &source, "plimsoll.keda.svc:6000") {
        let again = Source { name: source.name, text: migrated.text };
        let moved = Manifest::read(&again.name, &again.text);
        assert!(moved.troubles.is_empty(), "what was YAML must be YAML");
        let twice = migrate(&options, &again, "plimsoll.keda.svc:6000");
        assert!(twice.is_ok_and(|twice| twice.text == again.text), "what is moved stays");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::backend::fuzz::*;

    /// What one target calls.
    type Target = fn(&[u8]);

    /// A folder of `fuzz/seeds` each.
    fn targets() -> Vec<(&'static str, Target)> {
        vec![
            ("metadata", metadata),
            ("values", values),
            ("manifest", manifest),
            ("keys", keys),
            #[cfg(feature = "kafka")]
            ("kafka", kafka),
            #[cfg(feature = "kafka")]
            ("kafka_stream", kafka_stream),
            #[cfg(feature = "prometheus")]
            ("prometheus", prometheus),
            #[cfg(feature = "rabbitmq")]
            ("rabbitmq_amqp", rabbitmq_amqp),
            #[cfg(feature = "rabbitmq")]
            ("rabbitmq_http", rabbitmq_http),
            #[cfg(feature = "redis")]
            ("redis", redis),
            #[cfg(feature = "sqs")]
            ("sqs", sqs),
        ]
    }

    /// Each seed, and each input that once did harm.
    #[test]
    fn what_is_known_to_be_odd_does_no_harm() {
        for (name, read) in targets() {
            let folder = Path::new("fuzz/seeds").join(name);
            let seeds = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut count = 0;
            for seed in seeds {
                let path = seed.unwrap().path();
                let begin = std::time::SystemTime::now();
                read(&fs::read(&path).unwrap());
                let took = begin.elapsed().unwrap_or_default();
                assert!(took < Duration::from_secs(10), "{} took {took:?}", path.display());
                count += 1;
            }
            assert!(count > 0, "{} is empty", folder.display());
        }
    }

    #[test]
    fn each_target_can_be_run_and_no_other() {
        let mut there: Vec<String> = fs::read_dir("fuzz/targets")
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
        let mut built: Vec<String> = manifest
            .lines()
            .filter_map(|line| Some(line.strip_prefix("path = \"targets/")?.trim_end_matches('"').to_owned()))
            .collect();
        let mut wanted: Vec<String> = targets().iter().map(|(name, _)| format!("{name}.rs")).collect();
        there.sort();
        built.sort();
        wanted.sort();
        assert_eq!(there, wanted);
        assert_eq!(built, wanted, "fuzz/Cargo.toml lists each once");
    }
}
