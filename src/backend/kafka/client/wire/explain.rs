//! Why a link to a broker failed, in words that say what to change.
//!
//! A broker that dislikes how we talk to it mostly just hangs up. What we were doing at that moment and how we were
//! told to connect are enough to name the likely cause.

use std::{io, sync::Arc, time::Duration};

use rustls::{AlertDescription, CertificateError};

use crate::error::{ReadError, ReadErrorKind};

/// The far end of a link, and how we were told to talk to it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// `host:port`.
    pub address: Arc<str>,
    /// The address came from the cluster, not from the trigger.
    pub advertised: bool,
    pub tls: bool,
    /// The SASL mechanism in use.
    pub sasl: Option<&'static str>,
}

/// What a link was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connect,
    TlsHandshake,
    /// The first request, `ApiVersions`, which every listener answers before any login.
    Hello,
    Login,
    /// Logged in, but no other request was ever answered.
    FirstRequest,
    Working,
}

/// What happened to a link.
#[derive(Debug, Clone)]
pub enum Broke {
    /// The name does not resolve.
    Dns,
    /// The broker closed the connection.
    Closed,
    /// The operating system's error.
    Io(io::ErrorKind),
    /// A TLS failure that we or the broker found.
    Tls(rustls::Error),
    /// Bytes that are a TLS record where we speak plaintext.
    TlsRecord,
    /// No answer in time: to which request, how long.
    Late(&'static str, Duration),
    /// An answer that makes no sense.
    Garbled(&'static str),
}

impl From<&io::Error> for Broke {
    fn from(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls(tls.clone());
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            kind => Self::Io(kind),
        }
    }
}

/// The error for a link to `peer` that broke.
pub fn explain(peer: &Peer, stage: Stage, broke: &Broke) -> ReadError {
    use ReadErrorKind::{BadReply, Timeout, Unreachable};
    let address = &peer.address;
    let origin = if peer.advertised { " (an address that the cluster advertises)" } else { "" };
    match (stage, broke) {
        (_, Broke::Tls(error)) => tls(peer, stage, error),
        (_, Broke::TlsRecord) => wants_tls(peer),
        (_, Broke::Dns) => {
            let cure = "correct it or the cluster's DNS";
            ReadError::new(Unreachable, format!("`{address}`{origin} cannot be resolved: {cure}"))
        }
        (Stage::Connect, Broke::Late(_, after)) => {
            let text =
                format!("`{address}`{origin} does not accept connections within {after:?}: check address and firewall");
            ReadError::new(Timeout, text)
        }
        (Stage::TlsHandshake, Broke::Late(_, after)) => {
            let text =
                format!("`{address}` accepts the connection but does not answer a TLS handshake within {after:?}");
            ReadError::new(Timeout, format!("{text}: is it a plaintext port or a frozen broker?"))
        }
        (Stage::Hello, Broke::Late(_, after)) => {
            let text = format!("`{address}` accepts the connection but does not answer within {after:?}");
            ReadError::new(Timeout, format!("{text}: is it a Kafka broker, is it frozen?"))
        }
        (_, Broke::Late(request, after)) => ReadError::new(
            Timeout,
            format!("`{address}` does not answer {request} within {after:?}: is the broker frozen?"),
        ),
        (Stage::Connect, Broke::Io(io::ErrorKind::ConnectionRefused)) => {
            let text = format!("`{address}`{origin} refuses the connection: is the broker up, is the port right?");
            ReadError::new(Unreachable, text)
        }
        (Stage::TlsHandshake, Broke::Closed) => {
            let cure = "it is probably a plaintext port, set `tls: disable` or give the TLS port";
            ReadError::new(Unreachable, format!("`{address}` hangs up during the TLS handshake: {cure}"))
        }
        (Stage::Hello, Broke::Closed) if !peer.tls => wants_tls(peer),
        (Stage::Hello | Stage::FirstRequest, Broke::Closed) if peer.sasl.is_none() => wants_login(peer),
        (Stage::Login, Broke::Closed) => ReadError::new(
            ReadErrorKind::Denied,
            format!("`{address}` hangs up during the {} login: check `sasl`", peer.sasl.unwrap_or("SASL")),
        )
        .of_connection(),
        (_, Broke::Closed) => ReadError::new(Unreachable, format!("`{address}` closed the connection")),
        (_, Broke::Io(kind)) => ReadError::new(Unreachable, format!("`{address}`{origin} cannot be reached: {kind}")),
        (_, Broke::Garbled(what)) => {
            ReadError::new(BadReply, format!("`{address}` sends {what}: is it a Kafka broker?"))
        }
    }
}

fn wants_tls(peer: &Peer) -> ReadError {
    let cure = "it is probably a TLS port, set `tls: enable` or give the plaintext port";
    ReadError::new(ReadErrorKind::Unreachable, format!("`{}` does not talk plaintext to us: {cure}", peer.address))
}

fn wants_login(peer: &Peer) -> ReadError {
    let cure = "it probably wants a login, set `sasl` and its keys, or give a port without SASL";
    ReadError::new(ReadErrorKind::Denied, format!("`{}` hangs up on our first request: {cure}", peer.address))
        .of_connection()
}

/// TLS failures that have a key of the trigger as their cure.
fn tls(peer: &Peer, stage: Stage, error: &rustls::Error) -> ReadError {
    use AlertDescription as Alert;
    let address = &peer.address;
    let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host);
    let denied = |text: String| ReadError::new(ReadErrorKind::Denied, text).of_connection();
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => denied(format!(
            "`{address}` shows a certificate of an unknown CA: give that CA's certificate as `ca` (or `skipTlsVerify: \"true\"`)"
        )),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => denied(format!(
            "`{address}` shows a certificate that is not for `{host}`: use a name that it holds (or `skipTlsVerify: \"true\"`)"
        )),
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            denied(format!(
                "`{address}` shows an expired certificate: renew it at the broker (or `skipTlsVerify: \"true\"`)"
            ))
        }
        rustls::Error::InvalidCertificate(reason) => denied(format!(
            "`{address}` shows a certificate we cannot accept: {reason} (`skipTlsVerify: \"true\"` accepts any)"
        )),
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied),
        ) => denied(format!(
            "`{address}` refuses our TLS client certificate or misses one ({alert:?}): set `cert` and `key` to a pair that it trusts"
        )),
        // A broker that speaks TLS 1.2 or an old Java has no better word for a missing client certificate.
        rustls::Error::AlertReceived(alert) if stage != Stage::TlsHandshake => denied(format!(
            "`{address}` ends the TLS session ({alert:?}): it may want a client certificate, set `cert` and `key`"
        )),
        rustls::Error::InvalidMessage(_) if stage == Stage::TlsHandshake => {
            let cure = "it is probably a plaintext port, set `tls: disable` or give the TLS port";
            ReadError::new(ReadErrorKind::Unreachable, format!("`{address}` does not answer in TLS: {cure}"))
        }
        other => ReadError::new(ReadErrorKind::Unreachable, format!("TLS with `{address}` does not work: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(tls: bool, sasl: Option<&'static str>) -> Peer {
        Peer { address: "b1:9092".into(), advertised: false, tls, sasl }
    }

    #[track_caller]
    fn check(peer: &Peer, stage: Stage, broke: &Broke, kind: ReadErrorKind, says: &str) {
        let error = explain(peer, stage, broke);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(says), "`{says}` is not in: {error}");
        assert!(error.to_string().contains("`b1:9092`"), "{error}");
    }

    #[test]
    fn a_broker_that_hangs_up_is_understood_by_what_we_were_doing() {
        use ReadErrorKind::{Denied, Unreachable};
        let (plain, tls) = (peer(false, None), peer(true, None));
        check(&plain, Stage::Hello, &Broke::Closed, Unreachable, "`tls: enable`");
        check(&tls, Stage::TlsHandshake, &Broke::Closed, Unreachable, "`tls: disable`");
        check(&plain, Stage::FirstRequest, &Broke::Closed, Denied, "set `sasl`");
        check(&peer(true, Some("PLAIN")), Stage::Login, &Broke::Closed, Denied, "PLAIN login");
        check(&plain, Stage::Working, &Broke::Closed, Unreachable, "closed the connection");
    }

    #[test]
    fn silence_is_told_with_how_far_we_came() {
        let late = Broke::Late("Metadata", Duration::from_secs(3));
        for (stage, says) in [
            (Stage::Connect, "does not accept connections within 3s"),
            (Stage::TlsHandshake, "does not answer a TLS handshake within 3s"),
            (Stage::Hello, "does not answer within 3s"),
            (Stage::Working, "does not answer Metadata within 3s"),
        ] {
            check(&peer(true, None), stage, &late, ReadErrorKind::Timeout, says);
        }
    }

    #[test]
    fn an_address_that_the_cluster_gave_us_is_said_to_be_that() {
        let advertised = Peer { advertised: true, ..peer(false, None) };
        let refused = Broke::Io(io::ErrorKind::ConnectionRefused);
        for broke in [Broke::Dns, refused] {
            check(&advertised, Stage::Connect, &broke, ReadErrorKind::Unreachable, "that the cluster advertises");
        }
    }

    #[test]
    fn a_refused_login_or_certificate_concerns_the_whole_connection() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        for (stage, error) in [(Stage::TlsHandshake, expired), (Stage::Hello, alert)] {
            let error = explain(&peer(true, None), stage, &Broke::Tls(error));
            assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Denied, true), "{error}");
        }
    }
}
