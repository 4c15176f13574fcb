//! Who may read and who may not, with and without TLS, and what the refusals say.

use plimsoll::error::ReadErrorKind::{self, Denied, NotFound, Timeout, Unreachable};

use super::fixtures::{Broker, pem, read, shared, unique, variable};

struct Case<'c> {
    host: String,
    more: &'c [(&'c str, &'c str)],
    /// The kind of error and a part of its text; `None` is a value.
    expected: Option<(ReadErrorKind, &'c str)>,
}

#[track_caller]
fn check(case: &Case<'_>, outcome: Result<plimsoll::reading::Reading, plimsoll::error::ReadError>) {
    let host = &case.host;
    match (case.expected, outcome) {
        (None, outcome) => assert_eq!(outcome.map(|reading| reading.value), Ok(1.0), "{host}"),
        (Some((kind, part)), Err(error)) => {
            let text = error.to_string();
            assert_eq!(error.kind, kind, "{host}: {text}");
            assert!(text.contains(part), "{host}: {text}");
            assert!(!text.contains("secret") && !text.contains("wrong"), "{host}: {text}");
        }
        (Some(_), Ok(reading)) => panic!("{host}: {reading:?}"),
    }
}

async fn check_all(cases: &[Case<'_>]) {
    let broker = Broker::new().await;
    let queue = unique("login");
    broker.declare(&queue).await;
    broker.publish(&queue, 1).await;
    for case in cases {
        let mut pairs = vec![("host", case.host.as_str()), ("queueName", &queue)];
        pairs.extend_from_slice(case.more);
        check(case, read(&pairs).await);
    }
    broker.delete(&[queue]).await;
}

#[tokio::test]
async fn without_tls_a_user_needs_access_to_the_vhost_and_no_permission() {
    let _broker_runs = shared().await;
    let (amqp, http) = (variable("RABBITMQ"), variable("RABBITMQ_HTTP"));
    let nobody = "127.0.0.1:1";
    // The kernel accepts for it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    let case = |host, more, expected| Case { host, more, expected };
    check_all(&[
        case(format!("amqp://watcher:watcher-secret@{amqp}"), &[], None),
        case(format!("http://watcher:watcher-secret@{http}"), &[], None),
        case(format!("amqp://x:wrong@{amqp}"), &[("username", "watcher"), ("password", "watcher-secret")], None),
        case(format!("http://x:wrong@{http}"), &[("username", "watcher"), ("password", "watcher-secret")], None),
        case(format!("amqp://watcher:watcher-secret@{amqp}/?auth_mechanism=amqplain"), &[], None),
        case(
            format!("amqp://watcher:wrong@{amqp}"),
            &[],
            Some((Denied, "refuses user `watcher`: correct `username` and `password`, or the user part of `host`")),
        ),
        case(format!("amqp://{amqp}"), &[], Some((Denied, "refuses user `guest`, whom it is asked as where no other is given: KEDA does not pass `authenticationRef` on"))),
        case(
            format!("amqp://stranger:stranger-secret@{amqp}"),
            &[],
            Some((Denied, "refuses us vhost `/`: grant the user access to it, no permission in it is needed")),
        ),
        case(
            format!("amqp://watcher:watcher-secret@{amqp}/nowhere"),
            &[],
            Some((Denied, "has no vhost `nowhere`: create it, or correct `vhostName` or the path of `host`")),
        ),
        case(format!("amqp://{nobody}"), &[], Some((Unreachable, "cannot be reached: connection refused: check the address, and that it is up"))),
        case(
            "amqp://nowhere.invalid".to_owned(),
            &[],
            Some((Unreachable, "cannot be reached: its name has no address: correct the address")),
        ),
        case(
            format!("amqp://watcher:watcher-secret@{silent}"),
            &[],
            Some((Timeout, "does not answer AMQP: check that it is up, and that the port is its plain AMQP port")),
        ),
        case(format!("http://watcher:wrong@{http}"), &[], Some((Denied, "refuses user `watcher` with 401"))),
        case(format!("http://{http}"), &[], Some((Denied, "wants a login: KEDA does not pass `authenticationRef` on"))),
        case(format!("http://client:client-secret@{http}"), &[], Some((Denied, "give the user the tag `management`"))),
        case(
            format!("http://stranger:stranger-secret@{http}"),
            &[],
            Some((Denied, "refuses user `stranger` vhost `/`")),
        ),
        case(format!("http://watcher:watcher-secret@{http}/nowhere"), &[], Some((NotFound, "has no vhost `nowhere`"))),
        case(
            format!("http://watcher:watcher-secret@{http}/no/such/"),
            &[],
            Some((NotFound, "has no management API below `/no/such`")),
        ),
        case(format!("http://{nobody}"), &[], Some((Unreachable, "cannot be reached"))),
    ])
    .await;
}

#[tokio::test]
async fn tls_trusts_what_it_should_and_a_certificate_can_be_the_login() {
    let _broker_runs = shared().await;
    let (amqp, http) = (variable("RABBITMQ_TLS"), variable("RABBITMQ_HTTPS"));
    let (plain_amqp, plain_http) = (variable("RABBITMQ"), variable("RABBITMQ_HTTP"));
    let (ca, other, cert) = (pem("ca.pem"), pem("other-ca.pem"), pem("client.pem"));
    let (key, encrypted) = (pem("client.key"), pem("client-encrypted.key"));
    let user = [("username", "watcher"), ("password", "watcher-secret")];
    let with = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        more.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    };
    let trusting = with(&[("tls", "enable"), ("ca", &ca), user[0], user[1]]);
    let mistaken = with(&[("tls", "enable"), ("ca", &other), user[0], user[1]]);
    let careless = with(&[("skipTlsVerify", "true"), user[0], user[1]]);
    let naive = with(&user);
    let external = with(&[("tls", "enable"), ("ca", &ca), ("cert", &cert), ("key", &key)]);
    let locked =
        with(&[("tls", "enable"), ("ca", &ca), ("cert", &cert), ("key", &encrypted), ("keyPassword", "secret")]);
    let (unknown, no_tls) = ("certificate of an unknown issuer", "does not speak TLS");
    let ready = |host: String, more: &Vec<(&'static str, String)>, expected| (host, more.clone(), expected);
    let cases = [
        ready(format!("amqps://{amqp}"), &trusting, None),
        ready(format!("amqps://localhost:{}", amqp.rsplit(':').next().unwrap()), &trusting, None),
        ready(format!("amqps://{amqp}"), &mistaken, Some((Unreachable, unknown))),
        ready(format!("amqps://{amqp}"), &naive, Some((Unreachable, unknown))),
        ready(format!("amqps://{amqp}"), &careless, None),
        ready(format!("amqps://{amqp}"), &external, None),
        ready(format!("amqps://{amqp}"), &locked, None),
        ready(
            format!("amqps://{amqp}/?server_name_indication=elsewhere"),
            &trusting,
            Some((Unreachable, "certificate for another name")),
        ),
        ready(format!("amqps://{plain_amqp}"), &trusting, Some((Unreachable, no_tls))),
        ready(format!("amqp://{amqp}"), &naive, Some((Unreachable, "use `amqps://`, or give its plain AMQP port"))),
        ready(format!("https://{http}"), &trusting, None),
        ready(format!("https://{http}"), &careless, None),
        ready(format!("https://{http}"), &mistaken, Some((Unreachable, unknown))),
        ready(format!("https://{http}"), &naive, Some((Unreachable, unknown))),
        ready(format!("https://{plain_http}"), &trusting, Some((Unreachable, no_tls))),
    ];
    let cases: Vec<(String, Vec<(&str, &str)>, _)> = cases
        .iter()
        .map(|(host, more, expected)| (host.clone(), more.iter().map(|(k, v)| (*k, v.as_str())).collect(), *expected))
        .collect();
    let cases: Vec<Case<'_>> =
        cases.iter().map(|(host, more, expected)| Case { host: host.clone(), more, expected: *expected }).collect();
    check_all(&cases).await;
}
