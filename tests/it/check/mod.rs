//! `plimsoll check`: each code where it belongs and not beside, ignore comments, and all that we ship.

mod channel;
mod codes;
mod formats;
mod reading;
pub mod shell;
mod ship;

use plimsoll::{
    backend::Registry,
    check::{self, Finding, Options, Report},
    manifest::Source,
};

/// A ScaledObject around `triggers` (a YAML list), with `more` in its `spec`; complete, so that nothing else is found.
pub fn object(more: &str, triggers: &str) -> String {
    let minimum = if more.contains("minReplicaCount") { "" } else { "  minReplicaCount: 0\n" };
    let maximum = if more.contains("maxReplicaCount") { "" } else { "  maxReplicaCount: 10\n" };
    let fallback = if more.contains("fallback") { "" } else { "  fallback: {failureThreshold: 3, replicas: 1}\n" };
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: a, namespace: shop}}\nspec:\n  scaleTargetRef: {{name: a}}\n{minimum}{maximum}{fallback}{more}  triggers:\n{triggers}"
    )
}

/// A trigger of ours.
pub const REDIS: &str = "  - type: external-push\n    metadata:\n      scalerAddress: plimsoll.keda.svc:6000\n      scalerType: redis-streams\n      \
                         address: redis:6379\n      stream: s\n";

pub fn report(texts: &[&str]) -> Report {
    let sources: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Source { name: format!("{index}.yaml"), text: (*text).to_owned() })
        .collect();
    check::check(&Options::new(Registry::standard()), &sources)
}

pub fn found(text: &str) -> Vec<Finding> {
    report(&[text]).findings
}

pub fn codes(text: &str) -> Vec<&'static str> {
    found(text).iter().map(|finding| finding.rule.code).collect()
}
