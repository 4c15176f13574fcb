//! What is left as it is, and says so by name.

use super::{ADDRESS, options};
use plimsoll::{manifest::Source, migrate::migrate};

fn object(triggers: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: a}}\nspec:\n  scaleTargetRef: {{name: a}}\n  triggers:\n{triggers}"
    )
}

const REDIS: &str = "  - type: redis\n    metadata:\n      address: redis:6379\n      listName: mails\n";

#[track_caller]
fn check(triggers: &str, why: &str) {
    let text = object(triggers);
    let migrated = migrate(&options(), &Source { name: "a.yaml".to_owned(), text: text.clone() }, ADDRESS).unwrap();
    let refused: Vec<_> = migrated.triggers.iter().filter_map(|trigger| trigger.refused.clone()).collect();
    assert!(refused.iter().any(|said| said.contains(why)), "{why}: {refused:?}\n{}", migrated.text);
    if refused.len() == migrated.triggers.len() {
        assert_eq!(migrated.text, text);
    }
}

#[test]
fn templates_are_named_and_left_alone() {
    check(
        "  - type: kafka\n    metadata:\n      topic: \"{{ .Values.topic }}\"\n      bootstrapServers: k:9092\n      consumerGroup: g\n",
        "template (`{{`)",
    );
    let unquoted = object(
        "  - type: kafka\n    metadata:\n      topic: {{ .Values.topic }}\n      {{- if .Values.tls }}\n      tls: enable\n      {{- end }}\n",
    );
    let error =
        migrate(&options(), &Source { name: "a.yaml".to_owned(), text: unquoted }, ADDRESS).unwrap_err().to_string();
    assert!(error.contains("a.yaml:") && error.contains("template"), "{error}");
    // In another document, or in another object's text, it is nobody's business.
    let other = format!("kind: ConfigMap\ndata: {{a: \"{{{{ x }}}}\"}}\n---\n{}", object(REDIS));
    let migrated = migrate(&options(), &Source { name: "a.yaml".to_owned(), text: other }, ADDRESS).unwrap();
    assert!(migrated.triggers[0].refused.is_none());
}

#[test]
fn what_an_alias_would_change_elsewhere_is_left_alone() {
    check("  - &t\n    type: redis\n    metadata: {address: \"r:1\", listName: a}\n  - *t\n", "alias");
    check(
        "  - type: redis\n    metadata: &m {address: \"r:1\", listName: a}\n  - type: redis\n    metadata: *m\n",
        "the alias `*m`",
    );
    check(
        "  - type: redis\n    metadata: &m {address: \"r:1\", listName: a}\n  - type: redis-streams\n    metadata: {<<: *m, stream: s}\n",
        "used for something else",
    );
    check(
        "  - type: &k redis\n    metadata: {address: \"r:1\", listName: a}\n  - type: *k\n    metadata: {address: \"r:1\", listName: b}\n",
        "`type`",
    );
    let text = "common: &c {address: \"r:1\", enableTLS: \"true\"}\n".to_owned()
        + &object("  - type: redis\n    metadata:\n      <<: *c\n      listName: a\n");
    let migrated = migrate(&options(), &Source { name: "a".to_owned(), text: text.clone() }, ADDRESS).unwrap();
    assert!(
        migrated.triggers[0].refused.as_ref().unwrap().contains("`enableTLS` comes by a merge key"),
        "{:?}",
        migrated.triggers
    );
    assert_eq!(migrated.text, text);
}

#[test]
fn what_would_not_work_is_left_alone() {
    check(
        "  - type: kafka\n    metadata: {bootstrapServers: \"k:1\", consumerGroup: g, topic: t, lagThreshold: ten}\n",
        "`lagThreshold` must be",
    );
    check(
        "  - type: prometheus\n    metadata: {serverAddress: \"http://p\", query: up, threshold: \"1\", cortexOrgID: x}\n",
        "cortexOrgID",
    );
    check(
        "  - type: redis\n    metadata: {address: \"r:1\", listName: a, enableTLS: \"true\", tls: enable}\n",
        "both `enableTLS` and `tls`",
    );
    check(
        "  - type: kafka\n    metadata: {scalerType: x, bootstrapServers: \"k:1\", consumerGroup: g}\n",
        "`scalerType` already",
    );
    check("  - type: kafka\n", "no `metadata`");
    check("  - type: kafka\n    metadata:\n", "no mapping");
    check("  - type: redis\n    metadata:\n      ? address\n      : redis:6379\n      listName: a\n", "long form");
    check("  - type: kafka\n    metadata: {bootstrapServers: \"k:1\", topic: t}\n", "`consumerGroup` is required");
}

#[test]
fn a_template_that_is_yaml_all_the_same_is_left_alone() {
    // As KEDA's page on Prometheus has it.
    let text = object(
        "  - type: prometheus\n    metadata: {serverAddress: \"https://aps.{{.Region}}.aws/ws\", query: up, threshold: \"1\"}\n",
    );
    let migrated = migrate(&options(), &Source { name: "a".to_owned(), text: text.clone() }, ADDRESS).unwrap();
    assert!(migrated.triggers[0].refused.as_ref().unwrap().contains("template"), "{:?}", migrated.triggers);
    assert_eq!(migrated.text, text);
}

#[test]
fn one_that_stays_does_not_hold_up_the_others() {
    let text = object(&format!("  - type: kafka\n    metadata: {{topic: t}}\n{REDIS}"));
    let migrated = migrate(&options(), &Source { name: "a".to_owned(), text }, ADDRESS).unwrap();
    assert!(migrated.triggers[0].refused.is_some() && migrated.triggers[1].refused.is_none());
    assert!(migrated.text.contains("  - type: kafka\n    metadata: {topic: t}\n"), "{}", migrated.text);
    assert!(migrated.text.contains("      scalerType: redis\n"), "{}", migrated.text);
}

#[test]
fn keda_1_is_moved_by_hand_first() {
    let text = object(REDIS).replace("keda.sh", "keda.k8s.io");
    let migrated = migrate(&options(), &Source { name: "a".to_owned(), text: text.clone() }, ADDRESS).unwrap();
    assert!(migrated.triggers[0].refused.as_ref().unwrap().contains("KEDA 1"));
    assert_eq!(migrated.text, text);
}
