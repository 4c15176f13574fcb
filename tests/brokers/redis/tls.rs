//! TLS: who is trusted, who is let in, and what an operator is told when it does not fit.

use std::{sync::Arc, time::Duration};

use plimsoll::{
    backend::Source,
    error::ReadErrorKind::{Denied, Timeout, Unreachable},
};

use super::{
    fixtures::{Pairs, Writer, eventually, fails, pem, source, unique, until_active, value, variable},
    server::{SOON, Server, free_port},
};

const ON: (&str, &str) = ("tls", "enable");

fn list(address: &str, more: Pairs<'_>) -> Arc<dyn Source> {
    source("redis", &[&[("address", address), ("listName", "q")], more])
}

fn lines(port: u16, clients: &str) -> Vec<String> {
    let directory = variable("PLIMSOLL_TEST_TLS_DIR");
    vec![
        "port 0".to_owned(),
        format!("tls-port {port}"),
        format!("tls-cert-file {directory}/server.pem"),
        format!("tls-key-file {directory}/server.key"),
        format!("tls-ca-cert-file {directory}/ca.pem"),
        format!("tls-auth-clients {clients}"),
    ]
}

/// A server that speaks nothing but TLS.
async fn tls_only(clients: &str, more: &[&str]) -> (Server, String) {
    let port = free_port();
    let lines = lines(port, clients);
    let all: Vec<&str> = lines.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let server = Server::start_unseen(port, &all);
    let address = server.address();
    eventually(SOON, true, async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
    (server, address)
}

#[tokio::test]
async fn a_server_is_trusted_by_its_issuer_or_blindly() {
    let address = variable("PLIMSOLL_TEST_REDIS_TLS");
    let (ca, other) = (pem("ca.pem"), pem("other-ca.pem"));
    assert_eq!(value(&list(&address, &[ON, ("ca", &ca)])).await, 0.0);
    assert_eq!(value(&list(&address, &[ON, ("skipTlsVerify", "true")])).await, 0.0);
    fails(&list(&address, &[ON]), Unreachable, &["unknown issuer", "`ca`"]).await;
    fails(&list(&address, &[ON, ("ca", &other)]), Unreachable, &["unknown issuer", "`ca`"]).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (server, _) = tls_only("no", &["bind 127.0.0.1 127.0.0.2"]).await;
    let ca = pem("ca.pem");
    let by =
        |host: &str, more: Pairs<'_>| list(&format!("{host}:{}", server.port()), &[&[ON, ("ca", &ca)], more].concat());
    assert_eq!(value(&by("127.0.0.1", &[])).await, 0.0);
    assert_eq!(value(&by("localhost", &[])).await, 0.0);
    fails(&by("127.0.0.2", &[]), Unreachable, &["for another name", "`skipTlsVerify: true`"]).await;
    assert_eq!(value(&by("127.0.0.2", &[("skipTlsVerify", "true")])).await, 0.0);
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_that_is_wanted() {
    let (_server, address) = tls_only("yes", &[]).await;
    let (ca, cert, key, encrypted) = (pem("ca.pem"), pem("client.pem"), pem("client.key"), pem("client-encrypted.key"));
    let with = |more: Pairs<'_>| list(&address, &[&[ON, ("ca", &ca)], more].concat());
    assert_eq!(value(&with(&[("cert", &cert), ("key", &key)])).await, 0.0);
    assert_eq!(value(&with(&[("Cert", &cert), ("key", &key)])).await, 0.0);
    assert_eq!(value(&with(&[("cert", &cert), ("key", &encrypted), ("keyPassword", "secret")])).await, 0.0);
    fails(&with(&[]), Denied, &["client certificate", "`cert` and `key`"]).await;
    fails(&with(&[("cert", &cert), ("key", &encrypted)]), Denied, &["`keyPassword`"]).await;
    let wrong =
        fails(&with(&[("cert", &cert), ("key", &encrypted), ("keyPassword", "s3cret")]), Denied, &["`key`"]).await;
    assert!(!wrong.to_string().contains("s3cret"), "{wrong}");
    fails(&with(&[("cert", "not a certificate"), ("key", &key)]), Denied, &["`cert`"]).await;
}

#[tokio::test]
async fn a_mix_up_of_tls_and_plain_text_is_told_from_both_sides() {
    let (_server, address) = tls_only("no", &[]).await;
    fails(&list(&address, &[]), Unreachable, &["`tls: enable`"]).await;
    let plain = Server::start(&[]).await;
    // It takes our first message for half a command and waits for the rest, or for garbage and says so.
    let error = list(&plain.address(), &[ON]).read().await.expect_err("no TLS there");
    assert!(matches!(error.kind, Timeout | Unreachable) && error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn a_key_wakes_over_tls() {
    let address = variable("PLIMSOLL_TEST_REDIS_TLS");
    let (key, ca) = (unique("tls"), pem("ca.pem"));
    let list = source("redis", &[&[("address", &address), ("listName", &key), ON, ("ca", &ca)]]);
    assert_eq!(value(&list).await, 0.0);
    let mut writer = Writer::new(&variable("PLIMSOLL_TEST_REDIS")).await;
    writer.does(&format!("RPUSH {key} a")).await;
    until_active(&list, Duration::from_secs(3)).await;
    writer.does(&format!("DEL {key}")).await;
}

#[tokio::test]
async fn a_cluster_speaks_tls_at_every_node() {
    let (server, address) = tls_only("no", &["cluster-enabled yes", "tls-cluster yes"]).await;
    own_all_slots(&server);
    let ca = pem("ca.pem");
    let list = source("redis-cluster", &[&[("addresses", &address), ("listName", "q"), ON, ("ca", &ca)]]);
    eventually(SOON, Some(0.0), async || list.read().await.ok().map(|reading| reading.value)).await;
}

#[tokio::test]
async fn sentinels_and_the_master_speak_the_same_tls() {
    let (master, _) = tls_only("no", &["tls-replication yes"]).await;
    let monitor = format!("sentinel monitor m 127.0.0.1 {} 1", master.port());
    let (_sentinel, address) = tls_sentinel(&monitor).await;
    let ca = pem("ca.pem");
    let reach = [("addresses", address.as_str()), ("sentinelMaster", "m"), ("listName", "q")];
    let list = |more: Pairs<'_>| source("redis-sentinel", &[&reach, more]);
    assert_eq!(value(&list(&[ON, ("ca", &ca)])).await, 0.0);
    fails(&list(&[ON]), Unreachable, &["redis sentinel", "unknown issuer"]).await;
    fails(&list(&[]), Unreachable, &["redis sentinel", "`tls: enable`"]).await;
}

async fn tls_sentinel(monitor: &str) -> (Server, String) {
    let port = free_port();
    let lines = lines(port, "no");
    let all: Vec<&str> = lines.iter().map(String::as_str).chain(["tls-replication yes", monitor]).collect();
    let server = Server::start_unseen_sentinel(port, &all);
    let address = server.address();
    eventually(SOON, true, async || tokio::net::TcpStream::connect(&address).await.is_ok()).await;
    (server, address)
}

/// A cluster of one.
fn own_all_slots(server: &Server) {
    let port = server.port().to_string();
    let ca = format!("{}/ca.pem", variable("PLIMSOLL_TEST_TLS_DIR"));
    let words = ["-p", &port, "--tls", "--cacert", &ca, "CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    let done = std::process::Command::new("redis-cli").args(words).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "OK");
}
