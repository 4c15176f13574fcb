//! What we ship and write passes: every manifest, and every snippet of the pages.

use std::{fs, path::PathBuf};

use plimsoll::check::{Severity, rules};

use super::report;
use crate::book::{files, pages};

/// A snippet may begin where it is of interest: what stands around it is added.
fn whole(snippet: &str) -> Option<String> {
    let head = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\n";
    let spec = "spec:\n  scaleTargetRef: {name: a}\n";
    let first = snippet.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty())?;
    match first {
        _ if snippet.contains("kind: Scaled") || snippet.contains("TriggerAuthentication\n") => {
            Some(snippet.to_owned())
        }
        "triggers:" => {
            Some(format!("{head}{spec}{}", snippet.lines().map(|line| format!("  {line}\n")).collect::<String>()))
        }
        "spec:" if snippet.contains("  triggers:") && snippet.contains("scaleTargetRef") => {
            Some(format!("{head}{snippet}"))
        }
        "spec:" if snippet.contains("  triggers:") => Some(format!("{head}{}", snippet.replacen("spec:\n", spec, 1))),
        _ => None,
    }
}

#[test]
fn every_yaml_that_we_ship_passes() {
    let mut checked = 0;
    let fences = pages().into_iter().flat_map(|page| page.fences());
    for fence in fences.filter(|fence| fence.language == "yaml") {
        let Some(text) = whole(&fence.text) else { continue };
        let findings = report(&[&text]).findings;
        let errors: Vec<_> = findings.iter().filter(|finding| finding.rule.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{text}", fence.place);
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
    let rendered =
        files("deploy", "yaml").into_iter().filter(|file: &PathBuf| !file.iter().any(|part| part == "templates"));
    for file in rendered {
        let text = fs::read_to_string(&file).unwrap();
        let findings = report(&[&text]).findings;
        let example = file.starts_with("deploy/examples");
        let least = if example { Severity::Warning } else { Severity::Error };
        let bad: Vec<_> = findings.iter().filter(|finding| finding.rule.severity >= least).collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", file.display());
    }
}

#[test]
fn every_code_has_its_heading() {
    let page = fs::read_to_string("docs/checks.md").unwrap();
    let headings: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).filter(|heading| heading.starts_with("PL")).collect();
    let codes: Vec<&str> = rules::ALL.iter().map(|rule| rule.code).collect();
    assert_eq!(headings, codes);
    for rule in rules::ALL {
        let severity = rule.severity.as_str();
        let begins =
            format!("## {}\n\n**{}{}: {}.**", rule.code, severity[..1].to_uppercase(), &severity[1..], rule.title);
        assert!(page.contains(&begins), "{begins}");
    }
}
