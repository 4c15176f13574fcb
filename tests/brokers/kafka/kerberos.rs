//! `sasl: gssapi`: the real server, a real realm, and a Kafka that takes its tickets.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::time::Instant;
use tonic::Code;

use super::fixtures::{Cluster, address, unique};
use crate::{
    emulator::{Keda, seen_by_keda},
    process::Process,
};

fn kdc_folder() -> PathBuf {
    address("PLIMSOLL_TEST_KDC_DIR").into()
}

fn config() -> String {
    fs::read_to_string(kdc_folder().join("krb5.conf")).expect("the realm's configuration")
}

/// A topic with seven records that `group`, which has its name, has not seen.
async fn seven() -> String {
    let topic = unique("kerberos");
    let cluster = Cluster::at("PLIMSOLL_TEST_KAFKA_GSSAPI_PLAIN").await;
    cluster.create(&topic, 1).await;
    cluster.commit(&topic, &[(&topic, 0, 0)]).await;
    cluster.produce(&topic, 0, 7).await;
    topic
}

fn keda(server: &Process, topic: &str, more: &[(&str, &str)]) -> Keda {
    let (servers, config) = (address("PLIMSOLL_TEST_KAFKA_GSSAPI"), config());
    let keys = [
        ("scalerType", "kafka"),
        ("bootstrapServers", servers.as_str()),
        ("consumerGroup", topic),
        ("topic", topic),
        ("sasl", "gssapi"),
        ("username", "user"),
        ("realm", "PLIMSOLL.TEST"),
        ("kerberosConfig", &config),
    ];
    // The last of equal keys counts.
    Keda::new(server.channel(), topic, &[&keys, more].concat())
}

fn metric(topic: &str) -> String {
    format!("kafka-{topic}")
}

fn helpers_of(server: &Process) -> usize {
    let listed = Command::new("ps").args(["--ppid", &server.pid().to_string(), "-o", "pid="]).output().expect("ps");
    String::from_utf8_lossy(&listed.stdout).lines().count()
}

#[tokio::test]
async fn a_password_or_a_keytab_gets_a_ticket_that_the_broker_takes() {
    let (server, topic) = (Process::start(&[]), seven().await);
    let keytab = STANDARD.encode(fs::read(kdc_folder().join("user.keytab")).expect("the user's keytab"));
    for proof in [("password", "user-secret"), ("keytab", &keytab), ("passwordFromEnv", "user-secret")] {
        let mut keda = keda(&server, &topic, &[proof, ("kerberosDisableFAST", "true")]);
        let value = keda.value(&metric(&topic), None).await.unwrap_or_else(|refused| panic!("{}: {refused}", proof.0));
        assert!((seen_by_keda(&value) - 7.0).abs() < f64::EPSILON, "{}: {value:?}", proof.0);
    }
    assert!(!server.log().contains("user-secret") && !server.log().contains(&keytab[..24]));
    assert_eq!(helpers_of(&server), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_ticket_is_told_and_harms_nobody_else() {
    let (server, topic) = (Process::start(&[]), seven().await);
    let unknown = config().replace("16488", "1");
    let cases = [
        (vec![("password", "not-it")], Code::FailedPrecondition, "check `username`, `password` or `keytab`"),
        (vec![("password", "p"), ("username", "nobody")], Code::FailedPrecondition, "`nobody@PLIMSOLL.TEST` gets no"),
        (
            vec![("password", "user-secret"), ("kerberosServiceName", "other")],
            Code::FailedPrecondition,
            "`kerberosServiceName`",
        ),
        (vec![("password", "user-secret"), ("kerberosConfig", &unknown)], Code::Unavailable, "check the `kdc`"),
        (
            vec![("password", "p"), ("kerberosConfig", "[realms]")],
            Code::InvalidArgument,
            "`kerberosConfig` names no server",
        ),
        (vec![("keytab", "bm8ga2V5dGFi")], Code::InvalidArgument, "`keytab` must be the keytab's bytes in base64"),
        (vec![], Code::InvalidArgument, "exactly one of `password` and `keytab`"),
    ];
    for (more, code, says) in cases {
        let mut keda = keda(&server, &topic, &more);
        let refused = keda.value(&metric(&topic), None).await.expect_err(says);
        assert_eq!(refused.code(), code, "{says}: {refused}");
        assert!(refused.message().contains(says), "`{says}` is not in: {refused}");
        assert!(!refused.message().contains("not-it") && !refused.message().contains("user-secret"), "{refused}");
    }
    let mut good = keda(&server, &topic, &[("password", "user-secret")]);
    assert!((seen_by_keda(&good.value(&metric(&topic), None).await.expect("unharmed")) - 7.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_frozen_realm_costs_its_own_triggers_their_deadline_and_leaves_no_process() {
    let (server, topic) = (Process::start(&[]), seven().await);
    // Takes connections and says nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let config = config().replace("16488", &deaf.local_addr().expect("bound").port().to_string());
    let mut keda = keda(&server, &topic, &[("password", "user-secret"), ("kerberosConfig", &config)]);
    let refused = keda.value(&metric(&topic), None).await.expect_err("no ticket");
    assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Unavailable), "{refused}");
    drop(keda);
    let until = Instant::now() + Duration::from_secs(20);
    while helpers_of(&server) > 0 {
        assert!(Instant::now() < until, "a helper outlives its login");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
