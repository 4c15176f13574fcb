//! Findings as SARIF 2.1.0, for code scanning.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    check::{Finding, Report, Rule, Severity, rules},
    cli::{exit::Unusable, inputs::STDIN, output},
};

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// One run with all rules.
pub(super) fn write(out: &mut impl Write, report: &Report, unusable: &[Unusable]) -> io::Result<()> {
    let all: Vec<Value> = rules::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.title},
                "help": {"text": help(rule)},
                "defaultConfiguration": {"level": level(rule.severity)},
            })
        })
        .collect();
    let notifications: Vec<Value> =
        unusable.iter().map(|error| json!({"level": "error", "message": {"text": error.0}})).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "plimsoll check",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": all,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": unusable.is_empty() && report.seen.unreadable == 0,
                "toolExecutionNotifications": notifications,
            }],
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    output::json(out, &document)
}

/// What the page of the codes says of it.
fn help(rule: &Rule) -> String {
    let section = super::explanation(rule.code);
    let said = section.split_once('\n').map_or("", |(_, said)| said.trim());
    format!("{said}\n\nSee {}", rule.link())
}

fn result(finding: &Finding) -> Value {
    let index = rules::ALL.iter().position(|rule| rule.code == finding.rule.code);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.file)},
            "region": {"startLine": finding.at.line.max(1), "startColumn": finding.at.column.max(1)},
        },
    });
    let belongs_to = finding.belongs_to();
    if let (false, Some(location)) = (belongs_to.is_empty(), location.as_object_mut()) {
        location.insert("logicalLocations".to_owned(), json!([{"fullyQualifiedName": belongs_to, "kind": "object"}]));
    }
    json!({
        "ruleId": finding.rule.code,
        "ruleIndex": index,
        "level": level(finding.rule.severity),
        "message": {"text": format!("{}. Cure: {}.", finding.what, finding.cure)},
        "locations": [location],
    })
}

/// A path as a relative or absolute URI.
fn uri(file: &str) -> String {
    let file = if file == STDIN { "stdin" } else { file };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let file = file.strip_prefix("./").unwrap_or(file);
    let escaped: String = file
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if file.starts_with('/') { format!("file://{escaped}") } else { escaped }
}
