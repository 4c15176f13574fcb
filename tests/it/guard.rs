//! The policy file with the real binary: what a namespace may reach, what a changed file does, and what is refused without one.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tonic::Code;

use crate::{certificates::Mount, emulator::Keda, process::Process};

fn kafka(address: &str) -> Vec<(&str, &str)> {
    vec![("scalerType", "kafka"), ("bootstrapServers", address), ("consumerGroup", "billing"), ("topic", "orders")]
}

/// What a question about a topic at `address` is answered by; the namespace is `shop`.
async fn refusal(server: &Process, address: &str) -> (Code, String) {
    let mut keda = Keda::new(server.channel(), "orders", &kafka(address));
    let status = keda.active().await.expect_err("nobody is there");
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_host_that_the_policy_refuses_is_a_wrong_trigger_that_names_the_rule() {
    let policy = "default: {allow: [nowhere.example]}\nnamespaces:\n  shop:\n    allow: ['*.shop.svc', localhost]\n    deny: [vault.shop.svc]\n";
    let mut mount = Mount::new(&[("policy.yaml", policy)]);
    let server = Process::start(&["--policy", &mount.path("policy.yaml")]);
    for (address, code, words) in [
        ("redis.bank.svc:9092", Code::InvalidArgument, "nothing in the policy's `allow`"),
        ("vault.shop.svc:9092", Code::InvalidArgument, "the policy's `deny` has `vault.shop.svc`"),
        ("VAULT.shop.svc.:9092", Code::InvalidArgument, "the policy's `deny` has `vault.shop.svc`"),
        ("169.254.169.254:80", Code::InvalidArgument, "link-local or a cloud's metadata service"),
        ("[::ffff:169.254.169.254]:80", Code::InvalidArgument, "link-local or a cloud's metadata service"),
        ("localhost:1", Code::Unavailable, "localhost:1"),
    ] {
        let (found, text) = refusal(&server, address).await;
        assert_eq!(found, code, "{address}: {text}");
        assert!(text.contains(words), "{address}: {text}");
    }

    mount.swap(&[("policy.yaml", "default: {deny: [127.0.0.0/8]}\n")]);
    server.until_log("changed files are in use");
    let (code, text) = refusal(&server, "127.0.0.1:1").await;
    assert_eq!(code, Code::InvalidArgument, "{text}");
    assert!(text.contains("the policy's `deny` has `127.0.0.0/8`"), "{text}");

    mount.swap(&[("policy.yaml", "default: {denny: []}\n")]);
    server.until_log("changed files cannot be used");
    assert!(server.log().contains("denny"), "{}", server.log());
    assert_eq!(refusal(&server, "127.0.0.1:1").await.0, Code::InvalidArgument, "the former rules hold");
    assert!(server.page("/metrics").contains("plimsoll_stale_files{files=\"policy\"} 1"));
}

#[tokio::test]
async fn loopback_is_refused_inside_a_cluster_unless_it_is_allowed() {
    let inside = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    let server = Process::start_in(&[], &inside);
    for address in ["127.0.0.1:1", "localhost:1", "[::1]:1", "0.0.0.0:1"] {
        let (code, text) = refusal(&server, address).await;
        assert_eq!(code, Code::InvalidArgument, "{address}: {text}");
        assert!(text.contains("--allow-loopback"), "{address}: {text}");
    }
    let server = Process::start_in(&["--allow-loopback"], &inside);
    assert_eq!(refusal(&server, "127.0.0.1:1").await.0, Code::Unavailable);
}

#[test]
fn a_policy_that_cannot_be_used_ends_it_before_it_serves() {
    for (policy, words) in [
        ("default: {alow: []}", "alow"),
        ("namespaces: {shop: {allow: ['http://x']}}", "`namespaces.shop.allow[0]`: `http://x` must be a host"),
        ("default:\n  deny:\n    - 10.0.0.0/33\n", "`default.deny[0]`"),
        ("default: [", "line"),
        ("default: {identities: {aws: nowhere}}", "line 1"),
        ("\u{0}", "--policy"),
    ] {
        let mount = Mount::new(&[("policy.yaml", policy)]);
        let (code, said) = Process::refuses(&["--policy".to_owned(), mount.path("policy.yaml")]);
        assert_eq!(code, Some(64), "{policy}: {said}");
        assert!(said.contains(words) && said.contains("--policy"), "{policy}: {said}");
    }
}

/// The status of an answer of the admin port.
fn status(address: &str, path: &str, token: Option<&str>) -> u16 {
    let mut connection = TcpStream::connect(address).expect("it listens");
    let token = token.map(|token| format!("authorization: {token}\r\n")).unwrap_or_default();
    write!(connection, "GET {path} HTTP/1.0\r\n{token}\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn pages_want_the_token_and_probes_do_not() {
    let (first, second) = ("0123456789abcdef", "fedcba9876543210");
    let mut mount = Mount::new(&[("token", &format!("{first}\n"))]);
    let server = Process::start(&["--admin-token-file", &mount.path("token")]);
    let bearer = |token: &str| format!("Bearer {token}");
    let triggers = |token: Option<&str>| status(&server.admin, "/api/v1/triggers", token);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(status(&server.admin, path, None), 200, "{path}");
    }
    assert_eq!(triggers(None), 401);
    for wrong in
        [bearer(""), bearer(&first[..15]), bearer(&format!("{first}0")), format!("Basic {first}"), first.to_owned()]
    {
        assert_eq!(triggers(Some(&wrong)), 401, "{wrong}");
    }
    assert_eq!(triggers(Some(&bearer(first))), 200);
    // As a browser shows it, which is told by the challenge to ask for it.
    let password = |token: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{token}")));
    assert_eq!((triggers(Some(&password(first))), triggers(Some(&password(second)))), (200, 401));
    assert_eq!((status(&server.admin, "/", None), status(&server.admin, "/", Some(&password(first)))), (401, 200));
    mount.swap(&[("token", second)]);
    server.until_log("changed files are in use");
    assert_eq!((triggers(Some(&bearer(first))), triggers(Some(&bearer(second)))), (401, 200));
    mount.swap(&[("token", "short")]);
    server.until_log("changed files cannot be used");
    assert_eq!(triggers(Some(&bearer(second))), 200);
    let log = server.log();
    assert!(!log.contains(first) && !log.contains(second), "{log}");
}

#[test]
fn without_a_token_pages_are_shown_by_no_name_that_an_outsider_could_have_given() {
    let server = Process::start(&[]);
    let port = server.admin.rsplit_once(':').unwrap().1;
    let by = |host: &str| {
        let mut connection = TcpStream::connect(&server.admin).expect("it listens");
        write!(connection, "GET /api/v1/triggers HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    for host in [&server.admin, &format!("localhost:{port}"), "plimsoll.keda.svc"] {
        assert!(by(host).starts_with("HTTP/1.1 200"), "{host}");
    }
    let refused = by(&format!("evil.example:{port}"));
    assert!(refused.starts_with("HTTP/1.1 421") && refused.contains("--admin-token-file"), "{refused}");
    assert!(by("localhost").contains("content-security-policy: default-src 'none';"));
    // Probes come by whatever name they like.
    assert_eq!(status(&server.admin, "/livez", None), 200);
}

#[test]
fn pages_can_be_bound_apart_from_probes() {
    let server = Process::start(&["--pages-listen", "127.0.0.1:0"]);
    let pages = server.pages();
    assert_ne!(pages, server.admin);
    assert_eq!(status(&server.admin, "/api/v1/triggers", None), 404);
    assert_eq!(status(&server.admin, "/metrics", None), 200);
    assert_eq!(status(&pages, "/api/v1/triggers", None), 200);
    assert_eq!(status(&pages, "/livez", None), 404);
}

#[test]
fn a_token_that_could_be_guessed_is_not_taken() {
    for token in ["", "short", "two words of some length"] {
        let mount = Mount::new(&[("token", token)]);
        let (code, said) = Process::refuses(&["--admin-token-file".to_owned(), mount.path("token")]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("at least 16 characters"), "{said}");
    }
}
