//! TLS on KEDA's port, with the real binary: who comes in, and what happens when files change.

use std::{
    io::Write,
    net::TcpStream,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::{
    certificates::{Authority, Identity, Mount, days},
    emulator::Keda,
    process::Process,
};

/// Nobody listens there: its streams stay open, and say nothing.
const TRIGGER: [(&str, &str); 4] =
    [("scalerType", "redis"), ("address", "127.0.0.1:1"), ("listName", "jobs"), ("listLength", "5")];

/// A channel as KEDA makes it from `caCert`, `tlsClientCert` and `tlsClientKey`.
async fn channel(address: &str, ca: &str, identity: Option<&Identity>) -> Result<Channel, tonic::transport::Error> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { cert, key }) => {
            let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (connector, address) = (TlsConnector::from(Arc::new(config)), address.to_owned());
    let connect = tower::service_fn(move |_| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("plimsoll.keda.svc").unwrap();
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("http://plimsoll.keda.svc").connect_with_connector(connect).await
}

/// Whether a question gets through.
async fn answered(address: &str, ca: &str, identity: Option<&Identity>) -> bool {
    let Ok(channel) = channel(address, ca, identity).await else { return false };
    Keda::new(channel, "orders", &TRIGGER).spec().await.is_ok()
}

/// The server's files.
struct Files {
    mount: Mount,
}

impl Files {
    fn new(server: &Identity, client_ca: &str) -> Self {
        Self { mount: Mount::new(&contents(server, client_ca)) }
    }

    fn options(&self) -> Vec<String> {
        let path = |name| self.mount.path(name);
        ["--tls-cert".into(), path("tls.crt"), "--tls-key".into(), path("tls.key")].into()
    }

    fn options_with_clients(&self, more: &[&str]) -> Vec<String> {
        let mut options = self.options();
        options.extend(["--tls-client-ca".to_owned(), self.mount.path("ca.crt")]);
        options.extend(more.iter().map(|option| (*option).to_owned()));
        options
    }
}

fn contents<'a>(server: &'a Identity, client_ca: &'a str) -> [(&'a str, &'a str); 3] {
    [("tls.crt", &server.cert), ("tls.key", &server.key), ("ca.crt", client_ca)]
}

fn start(options: &[String]) -> Process {
    Process::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Waits for something that must come true.
#[track_caller]
fn until(server: &Process, said: &str) {
    let begin = SystemTime::now();
    while !server.log().contains(said) {
        assert!(begin.elapsed().unwrap() < Duration::from_secs(20), "never {said}:\n{}", server.log());
        std::thread::yield_now();
    }
}

const NAME: &str = "plimsoll.keda.svc";

#[tokio::test]
async fn a_caller_with_a_right_certificate_comes_in_and_any_other_is_told_apart_in_the_log() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.lasting(&[NAME]), &ours.pem());
    let options = files.options_with_clients(&["--allow-client", "spare", "--allow-client", "keda-operator"]);
    for (identity, reason) in [
        (Some(ours.lasting(&["keda-operator"])), ""),
        (Some(ours.lasting(&["else", "KEDA-Operator"])), ""),
        (Some(ours.lasting(&["tenant"])), "none of the names of `--allow-client`"),
        (Some(theirs.lasting(&["keda-operator"])), "not of a CA in `--tls-client-ca`"),
        (Some(ours.issue(&["keda-operator"], days(2))), "has expired"),
        (None, "shows no certificate"),
    ] {
        let server = start(&options);
        assert_eq!(answered(&server.grpc, &ours.pem(), identity.as_ref()).await, reason.is_empty(), "{reason}");
        if !reason.is_empty() {
            until(&server, reason);
        }
    }
    let server = start(&options);
    assert!(Keda::new(server.channel(), "orders", &TRIGGER).spec().await.is_err(), "without TLS");
    until(&server, "does not speak TLS: set `enableTLS");
    let server = start(&options);
    assert!(!answered(&server.grpc, &theirs.pem(), Some(&ours.lasting(&["spare"]))).await, "another CA of ours");
    until(&server, "does not trust our certificate");
}

#[tokio::test]
async fn renewed_files_are_used_beside_the_old_without_cutting_streams() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut files = Files::new(&old.lasting(&[NAME]), &old.pem());
    let server = start(&files.options_with_clients(&[]));
    let (before, after) = (old.lasting(&["keda-operator"]), new.lasting(&["keda-operator"]));
    let mut keda = Keda::new(channel(&server.grpc, &old.pem(), Some(&before)).await.unwrap(), "orders", &TRIGGER);
    let mut stream = keda.stream().await.unwrap();
    assert!(!answered(&server.grpc, &old.pem(), Some(&after)).await, "the new CA is not known yet");

    files.mount.swap(&contents(&new.lasting(&[NAME]), &new.pem()));
    until(&server, "changed files are in use");
    assert!(answered(&server.grpc, &new.pem(), Some(&after)).await, "the new certificates are in use");
    assert!(answered(&server.grpc, &new.pem(), Some(&before)).await, "a certificate of the old CA is still good");
    assert!(!answered(&server.grpc, &old.pem(), Some(&before)).await, "our old certificate is not in use any more");

    assert!(keda.spec().await.is_ok(), "the old connection lives");
    assert!(futures::poll!(stream.next()).is_pending(), "and so does its stream");
    server.terminate();
    assert!(stream.next().await.is_none(), "which ends with OK");
}

#[tokio::test]
async fn without_an_overlap_a_ca_that_has_left_is_good_no_more() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut files = Files::new(&old.lasting(&[NAME]), &(old.pem() + &new.pem()));
    let server = start(&files.options_with_clients(&["--tls-client-ca-overlap", "0"]));
    let (before, after) = (old.lasting(&["keda-operator"]), new.lasting(&["keda-operator"]));
    assert!(answered(&server.grpc, &old.pem(), Some(&before)).await);
    assert!(answered(&server.grpc, &old.pem(), Some(&after)).await, "two CAs stand side by side");
    files.mount.swap(&contents(&new.lasting(&[NAME]), &new.pem()));
    until(&server, "changed files are in use");
    assert!(answered(&server.grpc, &new.pem(), Some(&after)).await);
    assert!(!answered(&server.grpc, &new.pem(), Some(&before)).await);
}

#[test]
fn files_that_cannot_be_used_end_it_before_it_serves() {
    let authority = Authority::new("ours");
    let (good, other) = (authority.lasting(&[NAME]), authority.lasting(&[NAME]));
    let marked = "-----BEGIN PRIVATE KEY-----\nS3CRETMARKER===\n-----END PRIVATE KEY-----\n";
    let one_line = good.key.replace('\n', " ");
    let with = |cert: &str, key: &str| Identity { cert: cert.to_owned(), key: key.to_owned() };
    for (server, client_ca, expected) in [
        (
            with("", &good.key),
            authority.pem(),
            "`--tls-cert` cannot be used: there is no `-----BEGIN CERTIFICATE-----`",
        ),
        (with(&good.cert, &other.key), authority.pem(), "`--tls-key` is not the key of `--tls-cert`"),
        (with(&good.cert, marked), authority.pem(), "`--tls-key` cannot be used"),
        (with(&good.cert, &one_line), authority.pem(), "`--tls-key` cannot be used"),
        (with(&good.cert, &good.key.replace("PRIVATE", "ENCRYPTED PRIVATE")), authority.pem(), "it is encrypted"),
        (authority.issue(&[NAME], days(2)), authority.pem(), "`--tls-cert` cannot be used: it has expired"),
        (good.clone(), String::new(), "`--tls-client-ca` cannot be used: there is no"),
        (good.clone(), "x".repeat(2_000_000), "is larger than"),
    ] {
        let files = Files::new(&server, &client_ca);
        let (code, said) = Process::refuses(&files.options_with_clients(&[]));
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(expected), "{expected}\n{said}");
        let secret = good.key.lines().nth(1).unwrap();
        assert!(!said.contains("S3CRET") && !said.contains(secret), "{said}");
        assert!(!said.contains("serving"), "{said}");
    }
    let (code, said) = Process::refuses(&["--tls-cert", "/not/there", "--tls-key", "/not/there"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("`--tls-cert`: `/not/there` cannot be read: entity not found"), "{said}");
}

#[tokio::test]
async fn changed_files_that_cannot_be_used_leave_the_old_in_use_and_are_said_once() {
    let authority = Authority::new("ours");
    let server_identity = authority.lasting(&[NAME]);
    let mut files = Files::new(&server_identity, &authority.pem());
    let server = start(&files.options());
    assert!(answered(&server.grpc, &authority.pem(), None).await);
    assert!(server.page("/metrics").contains("plimsoll_stale_files{files=\"tls\"} 0"), "{}", server.page("/metrics"));
    files.mount.swap(&[("tls.crt", "nonsense"), ("tls.key", "nonsense"), ("ca.crt", "")]);
    until(&server, "changed files cannot be used");
    assert!(answered(&server.grpc, &authority.pem(), None).await);
    until_page(&server, "plimsoll_stale_files{files=\"tls\"} 1");
    files.mount.swap(&contents(&authority.lasting(&[NAME]), ""));
    until(&server, "changed files are in use");
    until_page(&server, "plimsoll_stale_files{files=\"tls\"} 0");
    assert_eq!(server.log().matches("changed files cannot be used").count(), 1, "{}", server.log());
}

#[track_caller]
fn until_page(server: &Process, line: &str) {
    let begin = SystemTime::now();
    while !server.page("/metrics").contains(line) {
        assert!(begin.elapsed().unwrap() < Duration::from_secs(20), "never {line}:\n{}", server.page("/metrics"));
    }
}

#[test]
fn a_certificate_that_expires_soon_is_warned_of_and_shown() {
    let authority = Authority::new("ours");
    for (lives, warned) in [(days(2 + 13), true), (days(2 + 15), false)] {
        let identity = authority.issue(&[NAME], lives);
        let expires = SystemTime::now() - days(2) + lives;
        let files = Files::new(&identity, "");
        let server = start(&files.options());
        // What follows files is not stale once it has looked, and it has warned by then.
        until_page(&server, "plimsoll_stale_files{files=\"tls\"} 0");
        let page = server.page("/metrics");
        let line = page.lines().find(|line| line.contains("{certificate=\"server\"}")).unwrap();
        let (name, value) = line.split_once(' ').unwrap();
        assert_eq!(name, "plimsoll_certificate_expiry_timestamp_seconds{certificate=\"server\"}");
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(value.parse::<u64>().unwrap().abs_diff(expires) < 60, "{line}");
        if warned {
            until(&server, "a certificate expires soon");
        }
        assert_eq!(server.log().contains("a certificate expires soon"), warned, "{}", server.log());
    }
}

#[tokio::test]
async fn callers_that_never_shake_hands_keep_nobody_out() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.lasting(&[NAME]), "");
    let server = start(&files.options());
    let deaf: Vec<_> = (0..400)
        .map(|number| {
            let mut caller = TcpStream::connect(&server.grpc).unwrap();
            // Half of a record's head, for some.
            if number % 2 == 0 {
                caller.write_all(&[0x16, 3, 1]).unwrap();
            }
            caller
        })
        .collect();
    assert!(answered(&server.grpc, &authority.pem(), None).await);
    drop(deaf);
}

#[tokio::test]
async fn a_secret_that_crosses_the_port_in_the_clear_is_warned_of_once() {
    let authority = Authority::new("ours");
    let files = Files::new(&authority.lasting(&[NAME]), "");
    let (open, closed) = (Process::start(&[]), start(&files.options()));
    let secret = [TRIGGER.as_slice(), &[("passwordFromEnv", "hunter2")]].concat();
    let mut plain = Keda::new(open.channel(), "orders", &TRIGGER);
    plain.spec().await.unwrap();
    assert!(!open.log().contains("in the clear"), "{}", open.log());
    for _ in 0..2 {
        Keda::new(open.channel(), "orders", &secret).spec().await.unwrap();
    }
    until(&open, "in the clear");
    assert_eq!(open.log().matches("in the clear").count(), 1, "{}", open.log());
    let channel = channel(&closed.grpc, &authority.pem(), None).await.unwrap();
    Keda::new(channel, "orders", &secret).spec().await.unwrap();
    assert!(!closed.log().contains("in the clear"), "{}", closed.log());
    assert!(!open.log().contains("hunter2") && !closed.log().contains("hunter2"));
}
