//! `check --output sarif` against the official schema of SARIF 2.1.0, by a validator that is not ours; and annotations of GitHub
//! workflows, read back as GitHub's runner reads them.

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use super::{
    codes::samples,
    shell::{Folder, run},
};

const SCHEMA: &str = include_str!("sarif-2.1.0/schema.json");

/// Why `document` is no SARIF; empty where it is.
fn mistakes(document: &Value) -> String {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("sarif.json", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let schema = compiler.compile("sarif.json", &mut schemas).unwrap();
    schemas.validate(document, schema).err().map(|error| format!("{error:#}")).unwrap_or_default()
}

/// A file for each kind of finding, the last ones with names that nobody expects.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (index, (code, text, _)) in samples().into_iter().enumerate() {
        folder.file(&format!("{index:03}-{code}.yaml"), &text);
    }
    let odd = super::object("  idleReplicaCount: 0\n", super::REDIS).replace("{name: a, ", "{name: odd, ");
    for name in ["a b,c:d%e.yaml", "line\nbreak%0A.yaml", "größe 世界.yaml", "#?&[].yaml"] {
        folder.file(name, &odd);
    }
    folder
}

/// A URI's path without its escapes.
fn decoded(uri: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = uri.split('%');
    bytes.extend(parts.next().unwrap().bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_finding_is_sarif_by_the_official_schema() {
    let folder = folder("check-sarif");
    let path = folder.path().display().to_string();
    let (code, out, _) = run(&["check", "-o", "sarif", &path, "/nowhere.yaml"], "");
    assert_eq!(code, 2);
    let sarif: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(mistakes(&sarif), "");
    let run_ = &sarif["runs"][0];
    let (_, out, _) = run(&["check", "-o", "json", &path], "");
    let findings: Value = serde_json::from_str(&out).unwrap();
    let (results, findings) = (run_["results"].as_array().unwrap(), findings["findings"].as_array().unwrap());
    assert!(results.len() > samples().len());
    for (result, finding) in results.iter().zip(findings) {
        let place = &result["locations"][0]["physicalLocation"];
        let region = json!({"startLine": finding["line"], "startColumn": finding["column"]});
        assert_eq!((&result["ruleId"], &place["region"]), (&finding["code"], &region));
        // The URI leads to the file.
        let uri = place["artifactLocation"]["uri"].as_str().unwrap().strip_prefix("file://").unwrap();
        assert_eq!(decoded(uri), finding["file"].as_str().unwrap());
    }
    // What a service that shows findings wants of each rule.
    for rule in run_["tool"]["driver"]["rules"].as_array().unwrap() {
        let (code, help) = (rule["id"].as_str().unwrap(), rule["help"]["text"].as_str().unwrap());
        let full = rule["fullDescription"]["text"].as_str().unwrap();
        assert!(
            help.len() > 40 && !full.is_empty() && help.ends_with(&format!("docs/checks.md#{}", code.to_lowercase())),
            "{rule:#}"
        );
    }
    assert!(
        run_["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
            .as_str()
            .unwrap()
            .contains("nowhere")
    );
    // Nothing found is SARIF too, and so is standard input.
    let (_, out, _) = run(&["check", "-o", "sarif", "-"], &super::object("", super::REDIS));
    assert_eq!(mistakes(&serde_json::from_str(&out).unwrap()), "");
}

#[test]
fn the_schema_would_say_what_is_wrong() {
    let (_, out, _) = run(&["check", "-o", "sarif", "-"], "a: [\n");
    let right: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(mistakes(&right), "");
    for (pointer, wrong) in [
        ("/version", json!("2.0.0")),
        ("/runs/0/results/0/level", json!("notice")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", json!(0)),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", json!("a b.yaml")),
        ("/runs/0/results/0/message", json!({})),
        ("/runs/0/columnKind", json!("bytes")),
        ("/runs/0/tool/driver", json!({"rules": []})),
    ] {
        let mut document = right.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(mistakes(&document), "", "{pointer}");
    }
}

type Properties = Vec<(String, String)>;

/// A workflow command, as the runner reads it: `::name key=value,…::message`.
fn command(line: &str) -> Option<(&str, Properties, String)> {
    let (head, message) = line.strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ')?;
    let data = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    let property = |text: &str| data(&text.replace("%3A", ":").replace("%2C", ","));
    let pairs = properties.split(',').map(|pair| pair.split_once('=').unwrap());
    Some((name, pairs.map(|(key, value)| (key.to_owned(), property(value))).collect(), data(message)))
}

#[test]
fn annotations_are_read_back_by_githubs_rules() {
    let folder = folder("check-github");
    let path = folder.path().display().to_string();
    let (_, out, _) = run(&["check", "-o", "github", &path], "");
    let (_, json, _) = run(&["check", "-o", "json", &path], "");
    let json: Value = serde_json::from_str(&json).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let lines: Vec<&str> = out.lines().collect();
    // One line each, and what it comes to.
    assert_eq!(lines.len(), findings.len() + 1, "{out}");
    for (line, finding) in lines.iter().zip(findings) {
        let (name, properties, message) = command(line).unwrap_or_else(|| panic!("{line}"));
        let kind = match finding["severity"].as_str().unwrap() {
            "note" => "notice",
            other => other,
        };
        assert_eq!(name, kind);
        let text = |key: &str| match &finding[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let title = format!("{} {}", text("code"), text("title"));
        let wanted = [("file", text("file")), ("line", text("line")), ("col", text("column")), ("title", title)];
        assert_eq!(properties, wanted.map(|(key, value)| (key.to_owned(), value)), "{line}");
        assert!(message.starts_with(&text("what")) && message.ends_with(&text("docs")), "{message}");
    }
}
