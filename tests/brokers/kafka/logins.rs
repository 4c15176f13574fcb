//! Every way to log in, over every kind of port, and what is said when it does not work.

use plimsoll::{
    backend::kafka::{
        client::Client,
        connection::{Connection, Login, Sasl},
    },
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::tls::Tls,
};

use super::fixtures::{Cluster, address, brief, forward, plain, query, read, unique};

fn pem(file: &str) -> Option<Secret> {
    let path = format!("{}/{file}", address("PLIMSOLL_TEST_TLS_DIR"));
    Some(Secret::new(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))))
}

fn trusting() -> Tls {
    Tls { ca: pem("ca.pem"), ..Tls::default() }
}

fn login(username: &str, password: &str) -> Login {
    Login { username: username.into(), password: Secret::new(password) }
}

fn user() -> Login {
    login("user", "user-secret")
}

fn to(variable: &str, tls: Option<Tls>, sasl: Option<Sasl>) -> Connection {
    Connection { tls, sasl, ..plain(&address(variable)) }
}

async fn error(connection: Connection) -> ReadError {
    let topics = [unique("unread")];
    Client::new(connection).read(query("group", &[&topics[0]]).into()).await.unwrap_err()
}

/// Reads by each of `connections` what librdkafka has written over the plaintext port.
async fn check_reads(connections: Vec<(&str, Connection)>) {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("login"), unique("login"));
    cluster.create(&topic, 1).await;
    cluster.produce(&topic, 0, 3).await;
    cluster.commit(&group, &[(&topic, 0, 1)]).await;
    for (what, connection) in connections {
        let offsets = Client::new(connection).read(query(&group, &[&topic]).into()).await;
        let offsets = offsets.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(brief(&offsets), [(0, Some(1), Some(3))], "{what}");
    }
}

#[tokio::test]
async fn every_mechanism_logs_in_with_and_without_tls() {
    let mut connections = Vec::new();
    for (what, sasl) in [
        ("PLAIN", Sasl::Plain(user())),
        ("SCRAM-SHA-256", Sasl::Scram256(user())),
        ("SCRAM-SHA-512", Sasl::Scram512(user())),
    ] {
        connections.push((what, to("PLIMSOLL_TEST_KAFKA_SASL", None, Some(sasl.clone()))));
        connections.push((what, to("PLIMSOLL_TEST_KAFKA_SASL_SSL", Some(trusting()), Some(sasl))));
    }
    check_reads(connections).await;
}

#[tokio::test]
async fn tls_takes_a_ca_a_client_certificate_an_encrypted_key_or_no_verification() {
    let blind = Tls { skip_verify: true, ..Tls::default() };
    let client = Tls { cert: pem("client.pem"), key: pem("client.key"), ..trusting() };
    let encrypted = Tls {
        cert: pem("client.pem"),
        key: pem("client-encrypted.key"),
        key_password: Some(Secret::new("secret")),
        ..trusting()
    };
    check_reads(vec![
        ("ca", to("PLIMSOLL_TEST_KAFKA_SSL", Some(trusting()), None)),
        ("skipTlsVerify", to("PLIMSOLL_TEST_KAFKA_SSL", Some(blind.clone()), None)),
        ("client certificate", to("PLIMSOLL_TEST_KAFKA_MTLS", Some(client.clone()), None)),
        ("encrypted key", to("PLIMSOLL_TEST_KAFKA_MTLS", Some(encrypted.clone()), None)),
        (
            "both, unverified",
            to("PLIMSOLL_TEST_KAFKA_MTLS", Some(Tls { skip_verify: true, ca: None, ..encrypted }), None),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_brokers_words_and_its_mechanisms() {
    for sasl in [Sasl::Plain, Sasl::Scram256, Sasl::Scram512] {
        let error = error(to("PLIMSOLL_TEST_KAFKA_SASL", None, Some(sasl(login("user", "wrong-secret"))))).await;
        assert_eq!(error.kind, ReadErrorKind::Denied);
        assert!(error.whole_connection);
        let text = error.to_string();
        for part in [&address("PLIMSOLL_TEST_KAFKA_SASL"), "uthentication failed", "SCRAM-SHA-512", "`password`"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(!text.contains("wrong-secret"), "{text}");
    }
}

#[track_caller]
fn check_text(error: &ReadError, kind: ReadErrorKind, parts: &[&str]) {
    assert_eq!(error.kind, kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn tls_that_does_not_fit_names_the_key_that_cures_it() {
    use ReadErrorKind::{Denied, Unreachable};
    let stranger = Tls { ca: pem("other-ca.pem"), ..Tls::default() };
    let unknown = error(to("PLIMSOLL_TEST_KAFKA_SSL", Some(stranger), None)).await;
    check_text(&unknown, Unreachable, &["unknown issuer", "`ca`"]);
    let missing = error(to("PLIMSOLL_TEST_KAFKA_MTLS", Some(trusting()), None)).await;
    check_text(&missing, Denied, &["client certificate", "`cert`", "`key`"]);
    // A loopback address that the certificate does not hold.
    let elsewhere = forward("127.0.0.2:0", address("PLIMSOLL_TEST_KAFKA_SSL")).await;
    let name = error(Connection { tls: Some(trusting()), ..plain(&elsewhere) }).await;
    check_text(&name, Unreachable, &["for another name", "`skipTlsVerify"]);
}

#[tokio::test]
async fn a_port_of_another_kind_is_recognised() {
    use ReadErrorKind::{Denied, Unreachable};
    let plain_to_tls = error(to("PLIMSOLL_TEST_KAFKA_SSL", None, None)).await;
    check_text(&plain_to_tls, Unreachable, &["TLS port", "`tls: enable`"]);
    let sasl_to_sasl_tls = error(to("PLIMSOLL_TEST_KAFKA_SASL_SSL", None, Some(Sasl::Plain(user())))).await;
    check_text(&sasl_to_sasl_tls, Unreachable, &["TLS port", "`tls: enable`"]);
    let tls_to_plain = error(to("PLIMSOLL_TEST_KAFKA", Some(trusting()), None)).await;
    check_text(&tls_to_plain, Unreachable, &["plaintext port", "`tls: disable`"]);
    let tls_to_sasl = error(to("PLIMSOLL_TEST_KAFKA_SASL", Some(trusting()), Some(Sasl::Plain(user())))).await;
    check_text(&tls_to_sasl, Unreachable, &["plaintext port", "`tls: disable`"]);
    for (variable, tls) in [("PLIMSOLL_TEST_KAFKA_SASL", None), ("PLIMSOLL_TEST_KAFKA_SASL_SSL", Some(trusting()))] {
        let no_login = error(to(variable, tls, None)).await;
        check_text(&no_login, Denied, &["wants a login", "`sasl`"]);
    }
    let login_to_plain = error(to("PLIMSOLL_TEST_KAFKA", None, Some(Sasl::Plain(user())))).await;
    check_text(&login_to_plain, Denied, &["does not use SASL", "`sasl: none`"]);
}

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (open, closed) = (unique("open"), format!("denied-{}", unique("closed")));
    cluster.create_many(&[&open, &closed], 1, 1).await;
    let noaccess = Sasl::Plain(login("noaccess", "noaccess-secret"));
    let client = Client::new(to("PLIMSOLL_TEST_KAFKA_SASL", None, Some(noaccess)));
    let topic = client.read(query("group", &[&closed]).into()).await.unwrap_err();
    check_text(&topic, ReadErrorKind::Denied, &[&closed, "TOPIC_AUTHORIZATION_FAILED", "Describe on the topic"]);
    assert!(!topic.whole_connection);
    let group = format!("denied-{}", unique("group"));
    let denied = client.read(query(&group, &[&open]).into()).await.unwrap_err();
    check_text(&denied, ReadErrorKind::Denied, &[&group, "GROUP_AUTHORIZATION_FAILED", "Describe on the group"]);
    assert!(!denied.whole_connection);
    // Beside them, what is allowed is read.
    assert_eq!(brief(&read(&client, &query("group", &[&open])).await).len(), 1);
}

#[tokio::test]
async fn describe_on_topic_and_group_is_all_it_takes() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (format!("described-{}", unique("topic")), format!("described-{}", unique("group")));
    cluster.create(&topic, 1).await;
    cluster.produce(&topic, 0, 2).await;
    cluster.commit(&group, &[(&topic, 0, 1)]).await;
    let describer = Sasl::Scram256(login("describer", "describer-secret"));
    let client = Client::new(to("PLIMSOLL_TEST_KAFKA_SASL", None, Some(describer)));
    assert_eq!(brief(&read(&client, &query(&group, &[&topic])).await), [(0, Some(1), Some(2))]);
}
