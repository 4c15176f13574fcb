//! `plimsoll check` as a user runs it: what is written where, and with which exit code.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{REDIS, object};

/// A folder of its own for a test.
pub struct Folder(std::path::PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("plimsoll-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The exit code, standard output, standard error.
pub fn run(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(args)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read it has ended.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_exit_code_says_how_it_went() {
    let warned = object("", REDIS).replace("  maxReplicaCount: 10\n", "");
    let wrong = object("  idleReplicaCount: 0\n", REDIS);
    for (args, input, code) in [
        (&["check", "-"][..], object("", REDIS).as_str(), 0),
        (&["check", "-"], &warned, 0),
        (&["check", "--strict", "-"], &warned, 1),
        (&["check", "--strict", "--ignore", "PL201", "-"], &warned, 0),
        (&["check", "-"], &wrong, 1),
        (&["check", "--ignore", "pl203,PL201", "-"], &wrong, 0),
        (&["check", "-"], "a: [\n", 2),
        (&["check", "/nowhere.yaml"], "", 2),
        (&["check"], "", 2),
        (&["check", "--ignore", "PL999", "-"], "", 2),
        (&["check", "--output", "xml", "-"], "", 2),
        (&["check", "--explain", "PL201"], "", 0),
    ] {
        let (got, out, err) = run(args, input);
        assert_eq!(got, code, "{args:?}\n{out}{err}");
    }
}

#[test]
fn text_names_place_cure_and_page_without_colours() {
    let (_, out, err) = run(&["check", "-"], &object("  idleReplicaCount: 0\n", REDIS));
    assert!(out.starts_with("<stdin>:9:21: error PL203: `idleReplicaCount: 0` is not below"), "{out}");
    for part in [
        "in   ScaledObject shop/a",
        "cure set `minReplicaCount` to 1",
        "see  docs/checks.md#pl203",
        "1 file: 1 of KEDA's objects, 1 trigger; 1 error",
    ] {
        assert!(out.contains(part), "{part} in\n{out}");
    }
    assert!(!out.contains('\x1b') && err.is_empty(), "{out}{err}");
    let (_, out, _) = run(&["check", "-"], "a: b\n");
    assert_eq!(out, "1 file: none of 1 object is KEDA's; nothing found\n");
}

#[test]
fn json_sarif_and_annotations_say_the_same() {
    let text = object("  idleReplicaCount: 0\n", REDIS).replace("  maxReplicaCount: 10\n", "");
    let (code, out, _) = run(&["check", "-o", "json", "-"], &text);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, json["result"].as_str(), json["errors"].as_u64(), json["warnings"].as_u64()),
        (1, Some("failed"), Some(1), Some(1))
    );
    assert_eq!(json["findings"][0]["code"], "PL201");
    let last = &json["findings"][1];
    assert_eq!(
        (last["code"].as_str(), last["line"].as_u64(), last["severity"].as_str()),
        (Some("PL203"), Some(8), Some("error"))
    );

    let (_, out, _) = run(&["check", "-o", "sarif", "-"], &text);
    let sarif: Value = serde_json::from_str(&out).unwrap();
    let driver = &sarif["runs"][0]["tool"]["driver"];
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64().unwrap() > 0);
    }
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 2);

    let (_, out, _) = run(&["check", "-o", "github", "-"], &text);
    assert!(out.contains("\n::error file=<stdin>,line=8,col=21,title=PL203 "), "{out}");
    assert!(out.starts_with("::warning file="), "{out}");
}

#[test]
fn a_folder_is_looked_through_and_the_rest_is_still_checked() {
    let folder = Folder::new("check-folder");
    folder.file("a.yaml", &object("", REDIS));
    folder.file("b.txt", "a: [");
    folder.file(
        "c.yml",
        &object("", REDIS)
            .replace("{name: a, ", "{name: b, ")
            .replace("scaleTargetRef: {name: a}", "scaleTargetRef: {name: b}"),
    );
    let path = folder.path().display().to_string();
    let (code, out, _) = run(&["check", &path], "");
    assert!(code == 0 && out.contains("2 files: 2 of KEDA's objects, 2 triggers; nothing found"), "{out}");
    let (code, out, err) = run(&["check", &path, "/nowhere.yaml"], "");
    assert!(code == 2 && out.contains("2 files") && err.contains("/nowhere.yaml: "), "{out}{err}");
}

#[test]
fn a_named_connection_gives_what_is_missing() {
    let folder = Folder::new("check-connection");
    let config = folder.file(
        "config.yaml",
        "connections:\n  main:\n    scalerType: redis\n    parameters:\n      address: redis:6379\n",
    );
    let text = object("", &REDIS.replace("address: redis:6379", "connection: main"));
    assert_eq!(run(&["check", "-", "--strict"], &text).0, 0, "what it gives is not known");
    assert_eq!(run(&["check", "-", "--config", &config], &text).0, 0);
    let (code, out, _) =
        run(&["check", "-", "--config", &config], &text.replace("connection: main", "connection: min"));
    assert!(code == 1 && out.contains("PL101: `connection` names `min`"), "{out}");
}

#[test]
fn a_look_says_why_nothing_was_read() {
    let gone = object("", &REDIS.replace("redis:6379", "127.0.0.1:1"));
    let (code, out, _) = run(&["check", "--live", "-"], &gone);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("PL501") && out.contains("127.0.0.1:1"), "{out}");
    let secret = object("", &REDIS.replace("stream: s", "stream: s\n      passwordFromEnv: NOBODY_SETS_THIS"));
    let (code, out, _) = run(&["check", "--live", "-"], &secret);
    assert!(code == 0 && out.contains("not read: `password` is not in the input"), "{out}");
}

#[test]
fn each_code_is_explained_and_shells_and_man_are_served() {
    let (_, out, _) = run(&["check", "--explain", "pl203"], "");
    assert!(out.starts_with("PL203\n\n**Error: ") && !out.contains("PL204"), "{out}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell], "");
        assert!(code == 0 && out.contains("migrate") && out.contains("in-place"), "{shell}");
    }
    let (code, out, _) = run(&["man"], "");
    assert!(code == 0 && out.contains(".TH plimsoll 1"), "{out}");
    let folder = Folder::new("check-man");
    let path = folder.path().join("man").display().to_string();
    assert_eq!(run(&["man", &path], "").0, 0);
    assert!(fs::read_to_string(folder.path().join("man/plimsoll-check.1")).unwrap().contains("strict"));
}
