//! Who may import whom: the table of docs/architecture.md, held against the code.

use std::{fs, path::Path};

/// Each module and what of ours it may use.
const MAY_USE: [(&str, &[&str]); 27] = [
    ("clock", &[]),
    ("error", &["limits"]),
    ("limits", &[]),
    ("manifest", &["error", "limits"]),
    ("keda", &["error", "metadata"]),
    ("metadata", &["error", "limits"]),
    ("object", &[]),
    ("reading", &[]),
    ("task", &[]),
    ("telemetry", &["clock", "error", "limits", "task"]),
    ("net", &["clock", "error", "limits", "metadata", "task", "telemetry"]),
    ("identity", &["clock", "error", "limits", "metadata", "net", "task"]),
    ("backend", &["clock", "error", "identity", "limits", "metadata", "net", "reading", "task", "telemetry"]),
    ("credentials", &["clock", "error", "identity", "limits", "metadata", "net", "object", "task", "telemetry"]),
    ("trigger", &["backend", "credentials", "error", "limits", "metadata", "net", "reading"]),
    (
        "sampler",
        &[
            "backend",
            "clock",
            "credentials",
            "error",
            "limits",
            "metadata",
            "net",
            "object",
            "reading",
            "task",
            "telemetry",
            "trigger",
        ],
    ),
    ("fuzzing", &["backend", "check", "manifest", "metadata", "migrate", "net", "trigger"]),
    (
        "check",
        &["backend", "credentials", "error", "keda", "limits", "manifest", "metadata", "net", "reading", "trigger"],
    ),
    ("migrate", &["check", "keda", "manifest"]),
    ("watch", &["limits", "sampler", "trigger"]),
    ("otlp", &["error", "limits", "metadata", "net", "task", "telemetry"]),
    ("config", &["credentials", "error", "limits", "metadata", "net", "telemetry"]),
    ("door", &["config", "limits", "task", "telemetry"]),
    ("grpc", &["door", "error", "limits", "metadata", "object", "sampler", "task", "telemetry", "watch"]),
    ("admin", &["clock", "config", "door", "error", "limits", "net", "reading", "sampler", "task", "telemetry"]),
    (
        "app",
        &[
            "admin",
            "backend",
            "clock",
            "config",
            "credentials",
            "door",
            "grpc",
            "limits",
            "net",
            "otlp",
            "sampler",
            "task",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "backend",
            "clock",
            "config",
            "credentials",
            "door",
            "error",
            "grpc",
            "limits",
            "metadata",
            "net",
            "otlp",
            "sampler",
            "task",
            "telemetry",
            "check",
            "keda",
            "manifest",
            "migrate",
            "object",
            "reading",
            "trigger",
        ],
    ),
];

/// Client libraries, and the only folder that may name them.
const LIBRARIES: [(&str, &[&str]); 23] = [
    ("kube", &["credentials/cluster"]),
    ("k8s_openapi", &["credentials/cluster"]),
    ("kafka_protocol", &["backend/kafka"]),
    ("rsasl", &["backend/kafka"]),
    ("redis", &["backend/redis"]),
    ("aws_sdk_sqs", &["backend/sqs"]),
    ("aws_sdk_secretsmanager", &["credentials/stores/aws.rs"]),
    ("aws_sdk_sts", &["identity/aws"]),
    ("aws_sigv4", &["backend/prometheus/client"]),
    ("azure_identity", &["identity/azure.rs"]),
    ("google_cloud_auth", &["identity/google.rs"]),
    ("hyper_util", &["net/http", "grpc", "admin"]),
    ("reqwest", &[]),
    ("rdkafka", &["cli/demo"]),
    ("tonic", &["grpc", "app", "cli/demo"]),
    ("granit_parser", &["manifest"]),
    ("axum", &["admin", "app"]),
    ("ratatui", &["cli/top"]),
    ("crossterm", &["cli/explain", "cli/top"]),
    ("opentelemetry", &["otlp", "telemetry"]),
    ("opentelemetry_otlp", &["otlp"]),
    ("opentelemetry_sdk", &["otlp", "telemetry/spans.rs"]),
    ("tracing_opentelemetry", &["otlp", "telemetry/spans.rs"]),
];

/// The rooms of `backend/kafka/client`: each uses only those before it.
const KAFKA_ROOMS: [&str; 5] = ["wire", "dial", "cluster", "read", "wake"];

fn rust_files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix("src").unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    rust_files(Path::new("src"), &mut found);
    assert!(found.len() > 20);
    found
}

/// The modules of ours that `text` uses: `crate::x` and the heads of `use crate::{x, y::z}`.
fn used(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for tail in text.split("crate::").skip(1) {
        if let Some(list) = tail.strip_prefix('{') {
            let mut depth = 0;
            let mut head = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && c != '}' {
                    head.push(c);
                }
            }
            used.extend(head.split(',').map(|part| part.trim().split("::").next().unwrap().trim().to_owned()));
        } else {
            used.push(tail.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned());
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn nothing_points_up() {
    for (file, text) in sources() {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{file}: say in MAY_USE what it may use"));
        for name in used(&text) {
            assert!(name == module || allowed.contains(&name.as_str()), "{file} uses crate::{name}");
        }
    }
}

#[test]
fn a_backend_never_uses_another_and_only_it_names_its_library() {
    for (file, text) in sources() {
        for backend in ["kafka", "prometheus", "rabbitmq", "redis", "sqs"] {
            // The Kerberos helper is a process of its own, which the command line starts.
            let inside =
                file.starts_with(&format!("backend/{backend}/")) || (file == "cli/kerberos.rs" && backend == "kafka");
            assert!(inside || !text.contains(&format!("backend::{backend}::")), "{file} uses backend::{backend}");
        }
        for (library, folders) in LIBRARIES {
            let names_it = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && (line.contains(&format!("use {library}::"))
                        || line.contains(&format!(" {library}::"))
                        || line.starts_with(&format!("{library}::")))
            });
            let allowed = folders.iter().any(|folder| file.starts_with(folder));
            assert!(allowed || !names_it, "{file} names {library}");
        }
    }
}

/// Whether `text` has a path through `module`, comments apart.
fn goes_through(text: &str, module: &str) -> bool {
    let path = format!("{module}::");
    let is_head = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| line.match_indices(&path).any(|(at, _)| is_head(&line[..at])))
}

#[test]
fn a_room_of_the_kafka_client_uses_only_those_below_it() {
    let mut seen = 0;
    for (file, text) in sources() {
        let Some(inside) = file.strip_prefix("backend/kafka/client/") else { continue };
        let Some(level) = KAFKA_ROOMS.iter().position(|room| inside.starts_with(&format!("{room}/"))) else { continue };
        seen += 1;
        for above in &KAFKA_ROOMS[level + 1..] {
            assert!(!goes_through(&text, above), "{file} uses `{above}`, which is above it");
        }
    }
    assert!(seen > 20);
}

#[test]
fn files_stay_small() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= 400, "{file} has {} lines: split it by subject", text.lines().count());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.starts_with("//!"), "{file} has no head comment");
    }
}

/// Where a task may end for good at a panic, and who notices.
const NOT_SUPERVISED: [(&str, &str); 5] = [
    ("app.rs", "its loop only hands callers over: accepting them is supervised, each is served by a task of its own"),
    ("backend/kafka/client/dial/sasl.rs", "the broker, which closes a link that is not logged in again"),
    ("backend/kafka/client/wire/link.rs", "the link, which is dead then and dialled again"),
    ("backend/redis/client/connect/hello.rs", "the keeper of the link, which connects again"),
    ("backend/redis/client/link/keyspace.rs", "the keeper of the link, which connects again"),
];

#[test]
fn long_lived_tasks_are_supervised() {
    for (file, text) in sources() {
        let ours = file == "task.rs" || file.contains("tests") || file.starts_with("cli/demo/");
        let known = NOT_SUPERVISED.iter().any(|(known, _)| *known == file);
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(
            ours || known || !code.contains("task::spawn("),
            "{file}: use `task::supervise`, or say in NOT_SUPERVISED who notices that the task has ended"
        );
    }
}
