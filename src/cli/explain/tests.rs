//! The chain as text.

use serde_json::json;

use super::Chain;
use crate::cli::{
    output::Paint,
    remote::{Detail, Seen},
};

fn text(detail: serde_json::Value) -> String {
    let detail: Detail = serde_json::from_value(detail).unwrap();
    let seen: Seen = serde_json::from_value(json!({"version": "1", "nowAt": 1000.0})).unwrap();
    Chain::new(&detail, ("pod", &seen), Paint::none()).text()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` in\n{text}");
    }
}

#[test]
fn parts_stand_below_each_other_and_an_object_has_the_last_word() {
    let told = text(json!({
        "trigger": {
            "state": "active", "scaledObjects": ["shop/orders"], "scalerType": "kafka", "value": 42.0, "active": true,
            "target": 10.0, "replicas": 5.0, "streams": 1, "wake": "armed", "pollingInterval": 5.0, "metric": "kafka-orders",
            "objects": [{"kind": "ScaledObject", "namespace": "shop", "name": "orders", "maxReplicas": 3, "pushes": true, "paused": true}],
        },
        "push": "always",
        "parts": {"rule": "the sum", "activation": 0.0, "columns": ["partition", "lag", "why"],
                  "rows": [[0, 40.0, "世界"], [10, 2.0, null]], "omitted": 5},
        "look": {"beganAt": 998.0, "took": 0.004, "together": 12},
    }));
    has(
        &told,
        &[
            "made of      the sum\n               partition  lag  why\n                       0   40  世界\n                      10    2  ?\n",
            "and 5 more",
            "2 s ago, took 4 ms, 12 triggers together; every 5 s, and at once when the broker says so",
            "active: 42 is above 0; pushed to 1 stream",
            "replicas     3  ⌈42 ÷ 10⌉ = 5, at most 3; ScaledObject shop/orders: 0 to 3; paused",
        ],
    );
}

#[test]
fn nobody_who_asks_and_no_maximum_are_said() {
    let never = text(json!({"trigger": {"state": "unasked", "scaledObjects": ["shop/orders"]}}));
    has(&never, &["asked by     nobody: does KEDA's operator run", "value        not known: never read"]);
    let idle = text(json!({
        "trigger": {
            "state": "idle", "scaledObjects": ["shop/orders"], "value": 0.0, "active": false, "target": 10.0, "replicas": 0.0,
            "askedAt": 400.0, "objects": [{"kind": "ScaledObject", "namespace": "shop", "name": "orders", "minReplicas": 1}],
        },
        "askers": [{"namespace": "shop", "name": "orders", "askedAt": 400.0}],
    }));
    has(
        &idle,
        &[
            "shop/orders: asked 10 min ago",
            "nobody has asked since 10 min",
            "1  ⌈0 ÷ 10⌉ = 0, at least 1; ScaledObject shop/orders",
            "1 to 100 (KEDA's default, none is given)",
        ],
    );
}

#[test]
fn long_texts_are_broken_where_the_terminal_ends_and_begin_where_the_others_do() {
    let cure = "word ".repeat(30);
    let detail = json!({
        "trigger": {"state": "failing", "error": {"kind": "denied", "message": "no", "sinceAt": 990.0, "count": 1}},
        "help": {"anchor": "denied", "cause": "c", "check": "c", "cure": cure},
    });
    let detail: Detail = serde_json::from_value(detail).unwrap();
    let seen: Seen = serde_json::from_value(json!({"version": "1", "nowAt": 1000.0})).unwrap();
    let told = Chain::new(&detail, ("pod", &seen), Paint::none()).within(60).text();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("word")).collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(lines[0].starts_with("    cure       word") && lines[1].starts_with("               word"), "{told}");
    assert!(lines.iter().all(|line| line.len() <= 60), "{told}");
    let whole = Chain::new(&detail, ("pod", &seen), Paint::none()).text();
    assert_eq!(whole.lines().filter(|line| line.contains("word")).count(), 1);
}

#[test]
fn a_connection_tells_what_it_costs_how_it_is_encrypted_and_how_old_its_login_is() {
    let day = 86_400.0;
    let told = text(json!({
        "trigger": {"state": "idle"},
        "logins": ["TriggerAuthentication `shop/kafka`"],
        "connection": {
            "place": "kafka://b1:9093", "state": "working", "triggers": 12, "looksPerMinute": 144.0, "requestsPerMinute": 24.0,
            "tls": "verified", "certificate": {"shownBy": "b1", "shownAt": 500.0, "expiresAt": 1000.0 + 30.0 * day},
            "credentials": [{"source": "a token of `https://id`", "readAt": 940.0},
                            {"source": "TriggerAuthentication `shop/kafka`", "readAt": 990.0}],
        },
    }));
    has(
        &told,
        &[
            "  login        from TriggerAuthentication `shop/kafka`, read 10 s ago\n",
            "               from a token of `https://id`, read 60 s ago\n",
            "  connection   kafka://b1:9093: working, shared by 12 triggers\n",
            "24 requests a minute (a client for each trigger: 144 at least); TLS, certificate of `b1` expires in 30 days\n",
        ],
    );
    let late = text(json!({"trigger": {"state": "idle"}, "connection": {
        "state": "failing", "looksPerMinute": 12.0, "tls": "unverified", "certificate": {"shownBy": "b1", "expiresAt": 990.0},
    }}));
    has(&late, &["12 looks a minute; TLS with anybody (`skipTlsVerify`), certificate of `b1` expired 10 s ago"]);
    assert!(!late.contains("login"), "{late}");
}
