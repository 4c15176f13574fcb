//! Who asks: TLS, client certificate and login at a real Prometheus.

use plimsoll::error::{
    ReadError,
    ReadErrorKind::{Denied, Unreachable},
};

use super::fixtures::{pem, read, variable};

/// One look at the Prometheus behind TLS, with everything it wants but for what `more` replaces.
async fn look(more: &[(&str, &str)]) -> Result<f64, ReadError> {
    let (ca, cert, key) = (pem("ca.pem"), pem("client.pem"), pem("client.key"));
    let mut pairs = vec![
        ("authModes", "tls,basic"),
        ("ca", ca.as_str()),
        ("cert", cert.as_str()),
        ("key", key.as_str()),
        ("username", "reader"),
        ("password", "reader-secret"),
    ];
    for (name, value) in more {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    Ok(read(&variable("PLIMSOLL_TEST_PROMETHEUS_TLS"), "vector(7)", &pairs).await?.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_and_a_login_get_through() {
    assert_eq!(look(&[]).await, Ok(7.0));
    let (encrypted, other) = (pem("client-encrypted.key"), pem("other-ca.pem"));
    assert_eq!(look(&[("key", &encrypted), ("keyPassword", "secret")]).await, Ok(7.0));
    assert_eq!(look(&[("ca", &other), ("skipTlsVerify", "true")]).await, Ok(7.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_denied_and_no_password_is_told() {
    let error = look(&[("password", "s3cret")]).await.unwrap_err();
    assert_eq!(error.kind, Denied);
    let text = error.to_string();
    assert!(text.contains("401 Unauthorized: correct the credentials") && !text.contains("s3cret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_certificate_or_the_right_authority_there_is_no_connection() {
    let other = pem("other-ca.pem");
    for (more, kind) in [
        (&[("authModes", "basic"), ("ca", "")][..], Unreachable),
        (&[("ca", other.as_str())], Unreachable),
        (&[("authModes", "basic"), ("ca", ""), ("skipTlsVerify", "true")], Denied),
    ] {
        let error = look(more).await.unwrap_err();
        assert_eq!((error.kind, error.whole_connection), (kind, true), "{error}");
    }
    let error = look(&[("ca", &other)]).await.unwrap_err();
    assert!(error.to_string().contains("of an unknown issuer: set `ca`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_may_stand_in_the_address() {
    let address = variable("PLIMSOLL_TEST_PROMETHEUS_TLS").replace("https://", "https://reader:reader-secret@");
    let (ca, cert, key) = (pem("ca.pem"), pem("client.pem"), pem("client.key"));
    let pairs = [("authModes", "tls"), ("ca", ca.as_str()), ("cert", cert.as_str()), ("key", key.as_str())];
    assert_eq!(read(&address, "vector(8)", &pairs).await.unwrap().value, 8.0);
    let wrong = address.replace("reader-secret", "s3cret");
    let error = read(&wrong, "vector(8)", &pairs).await.unwrap_err();
    assert!(error.kind == Denied && !error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_to_a_tls_port_says_what_the_server_says() {
    let address = variable("PLIMSOLL_TEST_PROMETHEUS_TLS").replace("https://", "http://");
    let error = read(&address, "1", &[]).await.unwrap_err();
    assert!(error.to_string().contains("400 Bad Request"), "{error}");
}
