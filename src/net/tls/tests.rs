//! Keys and certificates as people have them, hostile ones, and what both ends say of each other.

use std::{sync::Arc, time::Duration};

use pkcs8::{
    EncryptedPrivateKeyInfo, PrivateKeyInfo,
    der::{Decode, pem::LineEnding},
    pkcs5::{pbes2, scrypt},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::error::ReadErrorKind::{Denied, Unreachable};

type Change = (&'static str, fn(&str) -> String);

const PASSWORD: &str = "correct horse";

fn with(ca: Option<&str>, cert: Option<&str>, key: Option<&str>, password: Option<&str>) -> Tls {
    let secret = |text: &str| Secret::new(text);
    let (ca, cert, key) = (ca.map(secret), cert.map(secret), key.map(secret));
    Tls { ca, cert, key, key_password: password.map(secret), skip_verify: false }
}

/// A certificate for `localhost` that signs itself, and its key.
fn own(change: impl FnOnce(&mut CertificateParams)) -> CertifiedKey<KeyPair> {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a legal name");
    change(&mut params);
    let signing_key = KeyPair::generate().expect("a key");
    let cert = params.self_signed(&signing_key).expect("a certificate");
    CertifiedKey { cert, signing_key }
}

fn encrypted(pair: &KeyPair, parameters: pbes2::Parameters<'_>) -> String {
    let der = pair.serialize_der();
    let info = PrivateKeyInfo::from_der(&der).expect("PKCS#8");
    let document = info.encrypt_with_params(parameters, PASSWORD).expect("encrypted");
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).expect("PEM").to_string()
}

fn pbkdf2(rounds: u32) -> pbes2::Parameters<'static> {
    pbes2::Parameters::pbkdf2_sha256_aes256cbc(rounds, b"saltsalt", b"0123456789abcdef").expect("legal parameters")
}

fn scrypt_n(cost: u64, block_size: u16, parallelization: u16) -> pbes2::Parameters<'static> {
    let sane = scrypt::Params::new(10, 8, 1, 32).expect("legal parameters");
    let mut parameters = pbes2::Parameters::scrypt_aes256cbc(sane, b"saltsalt", b"0123456789abcdef").expect("legal");
    if let pbes2::Kdf::Scrypt(scrypt) = &mut parameters.kdf {
        (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization) = (cost, block_size, parallelization);
    }
    parameters
}

/// A key that says it was encrypted so, which no tool would have done.
fn claimed(parameters: pbes2::Parameters<'_>) -> String {
    let info = EncryptedPrivateKeyInfo { encryption_algorithm: parameters.into(), encrypted_data: &[7; 64] };
    let document = pkcs8::SecretDocument::encode_msg(&info).expect("DER");
    document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).expect("PEM").to_string()
}

#[tokio::test]
async fn key_derivations_beyond_the_bounds_are_refused_before_they_start() {
    let own = own(|_| {});
    let cert = own.cert.pem();
    let cases = [
        ("scrypt with N = 2^32", scrypt_n(1 << 32, 8, 1)),
        ("scrypt with N = 2^63", scrypt_n(1 << 63, 8, 1)),
        ("scrypt with r = 65535", scrypt_n(1 << 14, u16::MAX, 1)),
        ("scrypt with p = 65535", scrypt_n(1 << 14, 8, u16::MAX)),
        ("100 million rounds of PBKDF2", pbkdf2(100_000_000)),
        ("one round too many", pbkdf2(10_000_001)),
    ];
    for (what, parameters) in cases {
        let key = claimed(parameters);
        let began = Instant::now();
        let refused =
            with(None, Some(&cert), Some(&key), Some(PASSWORD)).client_config(Arc::default()).await.expect_err(what);
        assert_eq!(refused.kind, Denied, "{what}");
        assert!(refused.to_string().contains("its key derivation asks"), "{what}: {refused}");
        assert!(began.elapsed() < Duration::from_millis(500), "{what} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn encrypted_keys_as_tools_write_them_are_used() {
    let own = own(|_| {});
    let cert = own.cert.pem();
    let scrypt = scrypt::Params::new(10, 8, 1, 32).expect("legal parameters");
    let scrypt =
        pbes2::Parameters::scrypt_aes256cbc(scrypt, b"saltsalt", b"0123456789abcdef").expect("legal parameters");
    for parameters in [pbkdf2(2048), scrypt] {
        let key = encrypted(&own.signing_key, parameters);
        with(None, Some(&cert), Some(&key), Some(PASSWORD))
            .client_config(Arc::default())
            .await
            .expect("the pair is used");
        let wrong = with(None, Some(&cert), Some(&key), Some("wrong"))
            .client_config(Arc::default())
            .await
            .expect_err("refused");
        assert!(wrong.to_string().contains("`keyPassword` does not decrypt it"), "{wrong}");
    }
}

#[tokio::test]
async fn a_failure_to_decrypt_is_remembered() {
    let own = own(|_| {});
    let (cert, key) = (own.cert.pem(), encrypted(&own.signing_key, pbkdf2(20_000)));
    let tls = with(None, Some(&cert), Some(&key), Some("not it"));
    let began = Instant::now();
    tls.client_config(Arc::default()).await.expect_err("refused");
    let first = began.elapsed();
    let began = Instant::now();
    for _ in 0..20 {
        tls.client_config(Arc::default()).await.expect_err("refused");
    }
    assert!(began.elapsed() < first * 10, "20 askers took {:?}, the first {first:?}", began.elapsed());
}

#[tokio::test]
async fn lost_line_breaks_are_named_or_mended_and_never_shown() {
    let own = own(|_| {});
    let (cert, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let encrypted = encrypted(&own.signing_key, pbkdf2(2048));
    let mended: [Change; 4] = [
        ("literal", |pem| pem.replace('\n', "\\n")),
        ("literal CRLF", |pem| pem.replace('\n', "\\r\\n")),
        ("CRLF", |pem| pem.replace('\n', "\r\n")),
        ("indented", |pem| pem.replace('\n', "\n    ")),
    ];
    for (what, change) in mended {
        let tls = with(Some(&change(&cert)), Some(&change(&cert)), Some(&change(&key)), None);
        tls.client_config(Arc::default()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let tls = with(None, Some(&change(&cert)), Some(&change(&encrypted)), Some(PASSWORD));
        tls.client_config(Arc::default()).await.unwrap_or_else(|error| panic!("{what}, encrypted: {error}"));
    }
    let broken: [Change; 7] = [
        ("no line breaks", |pem| pem.replace('\n', "")),
        ("no line breaks", |pem| pem.replace('\n', " ")),
        ("no line breaks", |pem| pem.replace("-----\n", "-----")),
        ("END", |pem| pem.lines().take(3).collect::<Vec<_>>().join("\n")),
        ("no PEM text", |pem| pem.lines().filter(|line| !line.starts_with('-')).collect()),
        ("damaged", |pem| pem.replacen("\nM", "\n*M", 1)),
        ("BEGIN", |pem| pem.replace("-----\nM", "----\nM")),
    ];
    for (why, change) in broken {
        for password in [None, Some(PASSWORD)] {
            let key = if password.is_some() { &encrypted } else { &key };
            for (name, tls) in [
                ("key", with(None, Some(&cert), Some(&change(key)), password)),
                ("cert", with(None, Some(&change(&cert)), Some(key), password)),
                ("ca", with(Some(&change(&cert)), None, None, None)),
            ] {
                let error = tls.client_config(Arc::default()).await.expect_err(why);
                let (text, whole) = (error.to_string(), format!("{error:?}"));
                assert!(text.contains(&format!("`{name}`")), "{name}, {why}: {text}");
                let bodies = key.lines().chain(cert.lines()).filter(|line| line.len() > 20 && !line.starts_with('-'));
                for line in bodies {
                    let as_numbers = format!("{:?}", &line.as_bytes()[..8]).trim_matches(['[', ']']).to_owned();
                    assert!(!whole.contains(&line[..16]) && !whole.contains(&as_numbers), "{name}, {why}: {whole}");
                }
                if why == "no line breaks" {
                    assert!(text.contains(why), "{name}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_told() {
    let (one, other) = (own(|_| {}), own(|_| {}));
    let mixed = with(None, Some(&one.cert.pem()), Some(&other.signing_key.serialize_pem()), None);
    let error = mixed.client_config(Arc::default()).await.expect_err("a key of another certificate");
    assert!(error.to_string().contains("is not the key of `cert`"), "{error}");
}

fn server(own: &CertifiedKey<KeyPair>) -> ServerConfig {
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("PKCS#8");
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    builder.with_single_cert(vec![own.cert.der().clone()], key).expect("a pair")
}

/// A session between `tls` and `server`, over memory: whether it comes about, and our words if not.
async fn meet(tls: &Tls, server: ServerConfig, name: &'static str) -> Result<(), ReadError> {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let connector = TlsConnector::from(Arc::new(tls.client_config(Arc::default()).await?));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let name = ServerName::try_from(name).expect("a legal name");
    let session = Session { place: "`b:1`", client_certificate: tls.cert.is_some(), without_tls: "use plain text" };
    let both = async { tokio::join!(connector.connect(name, ours), acceptor.accept(theirs)) };
    let (client, _server) = timeout(Duration::from_secs(5), both).await.expect("a handshake of memory");
    let mut client = client.map_err(|error| session.failed_by(&error).expect("a TLS error"))?;
    // In TLS 1.3 a refused client certificate is told after the handshake.
    drop(_server);
    let mut byte = [0];
    match tokio::io::AsyncReadExt::read(&mut client, &mut byte).await {
        Ok(_) => Ok(()),
        Err(error) => session.failed_by(&error).map_or(Ok(()), Err),
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_itself_given() {
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let plain = own(|_| {});
    let ca = own(authority);
    let other = own(authority);
    for own in [&plain, &ca] {
        let trusted = with(Some(&format!("{}{}", other.cert.pem(), own.cert.pem())), None, None, None);
        meet(&trusted, server(own), "localhost").await.expect("trusted as given");
        let elsewhere = meet(&trusted, server(own), "elsewhere").await.expect_err("another name");
        assert!(elsewhere.to_string().contains("for another name"), "{elsewhere}");
        let stranger = meet(&with(Some(&other.cert.pem()), None, None, None), server(own), "localhost").await;
        let stranger = stranger.expect_err("nobody vouches for it");
        assert_eq!(stranger.kind, Unreachable);
        assert!(!stranger.to_string().contains("Error("), "{stranger}");
    }
}

#[tokio::test]
async fn what_a_given_certificate_itself_says_still_counts() {
    let year = |params: &mut CertificateParams, not_before: i32, not_after: i32| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(not_before, 1, 1);
        params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
    };
    let cases = [
        ("expired", own(|params| year(params, 2001, 2002))),
        ("not valid yet", own(|params| year(params, 2090, 2091))),
        (
            "not for servers",
            own(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        (
            "for another name",
            own(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.subject_alt_names = vec![SanType::DnsName("other".try_into().expect("a name"))];
            }),
        ),
    ];
    for (why, own) in cases {
        let refused = meet(&with(Some(&own.cert.pem()), None, None, None), server(&own), "localhost").await;
        let refused = refused.expect_err(why);
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
}

#[tokio::test]
async fn no_common_cipher_is_not_taken_for_a_refused_client_certificate() {
    let own = own(|_| {});
    let ca = own.cert.pem();
    let mut provider = aws_lc_rs::default_provider();
    // An ECDSA certificate and ciphers for RSA only.
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("PKCS#8");
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).expect("TLS 1.2").with_no_client_auth();
    let config = builder.with_single_cert(vec![own.cert.der().clone()], key).expect("a pair");
    let error = meet(&with(Some(&ca), None, None, None), config, "localhost").await.expect_err("no common cipher");
    assert_eq!(error.kind, Unreachable);
    assert!(error.to_string().contains("no TLS cipher in common"), "{error}");
    assert!(!error.to_string().contains("refuses our client certificate"), "{error}");
}

#[tokio::test]
async fn a_missing_and_a_refused_client_certificate_are_told_apart() {
    let (own, stranger) = (own(|_| {}), own(|_| {}));
    let ca = own.cert.pem();
    let mtls = || {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.cert.der().clone()).expect("a root");
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_client_cert_verifier(clients.expect("a verifier"));
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("PKCS#8");
        builder.with_single_cert(vec![own.cert.der().clone()], key).expect("a pair")
    };
    let without = meet(&with(Some(&ca), None, None, None), mtls(), "localhost").await.expect_err("no certificate");
    assert!(without.to_string().contains("wants a client certificate"), "{without}");
    let (cert, key) = (stranger.cert.pem(), stranger.signing_key.serialize_pem());
    let refused = with(Some(&ca), Some(&cert), Some(&key), None);
    let refused = meet(&refused, mtls(), "localhost").await.expect_err("a stranger's");
    assert!(refused.to_string().contains("refuses our client certificate"), "{refused}");
}
