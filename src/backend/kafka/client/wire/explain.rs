//! Why a link to a broker failed, in words that say what to change.
//!
//! A broker that dislikes how we talk to it mostly just hangs up. What we were doing at that moment and how we were
//! told to connect are enough to name the likely cause.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::AlertDescription;

use crate::{
    error::{ReadError, ReadErrorKind, give_login},
    net::{DialError, tls::Session},
};

/// The far end of a link, and how we were told to talk to it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// `host:port`.
    pub address: Arc<str>,
    /// The address came from the cluster, not from the trigger.
    pub advertised: bool,
    pub tls: bool,
    /// We show a client certificate.
    pub client_certificate: bool,
    /// The SASL mechanism in use.
    pub sasl: Option<&'static str>,
    /// Whether a link to it has ever been of use: what once worked is not told to be configured otherwise.
    pub worked: Arc<AtomicBool>,
}

impl Peer {
    /// For people, in backticks.
    pub fn place(&self) -> String {
        let origin = if self.advertised { " (an address that the cluster advertises)" } else { "" };
        format!("`{}`{origin}", self.address)
    }

    fn has_worked(&self) -> bool {
        self.worked.load(Ordering::Relaxed)
    }
}

/// What a link was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
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
    /// An answer of more bytes than may come.
    TooLong(usize),
    /// There is no room for more replies.
    Full(ReadError),
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

/// The error for a `peer` to which there is no connection.
pub fn undialled(peer: &Peer, error: &DialError) -> ReadError {
    match error {
        DialError::Forbidden(refusal) if peer.advertised => {
            let text = format!(
                "the cluster advertises `{}`, and {refusal}: have the broker advertise another address, or change the rule",
                peer.address
            );
            ReadError::new(ReadErrorKind::Denied, text)
        }
        other => other.at(&peer.place()),
    }
}

/// The error for a link to `peer` that broke.
pub fn explain(peer: &Peer, stage: Stage, broke: &Broke) -> ReadError {
    use ReadErrorKind::{BadReply, Timeout, Unreachable};
    let address = &peer.address;
    match (stage, broke) {
        (_, Broke::Tls(error)) => tls(peer, stage, error),
        (_, Broke::TlsRecord) => wants_tls(peer),
        (_, Broke::Full(error)) => error.clone(),
        (Stage::TlsHandshake, Broke::Late(_, after)) => {
            let text =
                format!("`{address}` accepts the connection but does not answer a TLS handshake within {after:?}");
            let cure = if peer.has_worked() { "is it frozen?" } else { "is it a plaintext port or a frozen broker?" };
            ReadError::new(Timeout, format!("{text}: {cure}"))
        }
        (Stage::Hello, Broke::Late(_, after)) => {
            let text = format!("`{address}` accepts the connection but does not answer within {after:?}");
            let cure = if peer.has_worked() { "is it frozen?" } else { "is it a Kafka broker, is it frozen?" };
            ReadError::new(Timeout, format!("{text}: {cure}"))
        }
        (_, Broke::Late(request, after)) => ReadError::new(
            Timeout,
            format!("`{address}` does not answer {request} within {after:?}: is the broker frozen?"),
        ),
        (_, Broke::Closed) if peer.has_worked() => {
            let doing = match stage {
                Stage::TlsHandshake => "hangs up during the TLS handshake",
                Stage::Hello | Stage::FirstRequest => "hangs up on our first request",
                Stage::Login => "hangs up during the login",
                Stage::Working => return ReadError::new(Unreachable, format!("`{address}` closed the connection")),
            };
            ReadError::new(Unreachable, format!("`{address}` {doing}, which it has answered before: is it restarting?"))
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
        (_, Broke::Io(kind)) => ReadError::new(Unreachable, format!("{} cannot be reached: {kind}", peer.place())),
        (Stage::Hello | Stage::Login | Stage::TlsHandshake, Broke::TooLong(longest)) => {
            let text =
                format!("`{address}` sends more than {} MiB before any login: is it a Kafka broker?", longest >> 20);
            ReadError::new(BadReply, text).of_connection()
        }
        (_, Broke::TooLong(longest)) => {
            let text =
                format!("`{address}` answers with more than {} MiB: name fewer topics in one trigger", longest >> 20);
            ReadError::new(BadReply, text)
        }
        (_, Broke::Garbled(what)) => {
            ReadError::new(BadReply, format!("`{address}` sends {what}: is it a Kafka broker?"))
        }
    }
}

fn wants_tls(peer: &Peer) -> ReadError {
    let cure = if peer.has_worked() {
        "it has done so before: was its listener changed, or does something else answer at its address?"
    } else {
        "it is probably a TLS port, set `tls: enable` or give the plaintext port"
    };
    ReadError::new(ReadErrorKind::Unreachable, format!("`{}` does not talk plaintext to us: {cure}", peer.address))
}

fn wants_login(peer: &Peer) -> ReadError {
    let login = give_login(&["sasl", "username", "password"]);
    let text = format!(
        "`{}` hangs up on our first request: it probably wants a login: {login}, or name a port without SASL",
        peer.address
    );
    ReadError::new(ReadErrorKind::Denied, text).of_connection()
}

/// In TLS 1.3 a client certificate that is missing or refused is told after the handshake only, and old Javas then have
/// no better word than any alert.
fn tls(peer: &Peer, stage: Stage, error: &rustls::Error) -> ReadError {
    let place = format!("`{}`", peer.address);
    match error {
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InternalError)
            if stage != Stage::TlsHandshake && !peer.client_certificate && !peer.has_worked() =>
        {
            let text = format!("{place} ends the TLS session: it may want a client certificate, set `cert` and `key`");
            ReadError::new(ReadErrorKind::Denied, text).of_connection()
        }
        rustls::Error::InvalidMessage(_) if peer.has_worked() => {
            let cure = "it has done so before: was its listener changed, or does something else answer at its address?";
            ReadError::new(ReadErrorKind::Unreachable, format!("{place} does not answer in TLS: {cure}"))
        }
        error => {
            let without_tls = "it is probably a plaintext port, set `tls: disable` or give the TLS port";
            Session { place: &place, client_certificate: peer.client_certificate, without_tls }.failed(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Reach, Rules};

    fn peer(tls: bool, sasl: Option<&'static str>) -> Peer {
        Peer {
            address: "b1:9092".into(),
            advertised: false,
            tls,
            client_certificate: false,
            sasl,
            worked: Arc::default(),
        }
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
        check(&plain, Stage::FirstRequest, &Broke::Closed, Denied, "`sasl`");
        check(&peer(true, Some("PLAIN")), Stage::Login, &Broke::Closed, Denied, "PLAIN login");
        check(&plain, Stage::Working, &Broke::Closed, Unreachable, "closed the connection");
    }

    #[test]
    fn silence_is_told_with_how_far_we_came() {
        let late = Broke::Late("Metadata", Duration::from_secs(3));
        for (stage, says) in [
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
        for error in [DialError::NoAddress, DialError::Failed(io::ErrorKind::ConnectionRefused)] {
            let error = undialled(&advertised, &error);
            assert_eq!(error.kind, ReadErrorKind::Unreachable);
            assert!(error.to_string().contains("`b1:9092` (an address that the cluster advertises)"), "{error}");
        }
    }

    #[test]
    fn a_forbidden_address_names_the_rule_and_who_gave_it() {
        let deny = vec!["b1".parse().expect("a host")];
        let refusal = Reach::new(Rules { deny, ..Rules::default() }).check_host("b1").expect_err("denied");
        let given = undialled(&peer(false, None), &refusal.clone().into());
        let advertised = undialled(&Peer { advertised: true, ..peer(false, None) }, &refusal.into());
        for (error, says) in
            [(given, "`b1` may not"), (advertised, "the cluster advertises `b1:9092`, and `b1` may not")]
        {
            assert_eq!(error.kind, ReadErrorKind::Denied, "{error}");
            assert!(error.to_string().starts_with(says) && error.to_string().contains("policy's `deny`"), "{error}");
        }
    }

    #[test]
    fn what_once_worked_is_not_told_to_be_configured_otherwise() {
        let corrupt = Broke::Tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        let late = Broke::Late("ApiVersions", Duration::from_secs(3));
        for (tls, sasl) in [(false, None), (true, None), (false, Some("PLAIN")), (true, Some("PLAIN"))] {
            let peer = peer(tls, sasl);
            peer.worked.store(true, Ordering::Relaxed);
            for stage in [Stage::TlsHandshake, Stage::Hello, Stage::Login, Stage::FirstRequest, Stage::Working] {
                for broke in [Broke::Closed, Broke::TlsRecord, late.clone(), corrupt.clone()] {
                    let error = explain(&peer, stage, &broke);
                    assert_ne!(error.kind, ReadErrorKind::Denied, "{error}");
                    for advice in ["`tls", "`sasl`", "port", "a Kafka broker"] {
                        assert!(!error.to_string().contains(advice), "{stage:?} {broke:?}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_missing_login_says_that_kedas_does_not_arrive() {
        let error = explain(&peer(false, None), Stage::FirstRequest, &Broke::Closed).to_string();
        assert!(error.contains("`authenticationRef`") && error.contains("`saslFromEnv`"), "{error}");
    }

    #[test]
    fn a_refused_login_or_certificate_concerns_the_whole_connection() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let cases =
            [(Stage::TlsHandshake, expired, ReadErrorKind::Unreachable), (Stage::Hello, alert, ReadErrorKind::Denied)];
        for (stage, error, kind) in cases {
            let error = explain(&peer(true, None), stage, &Broke::Tls(error));
            assert_eq!((error.kind, error.whole_connection), (kind, true), "{error}");
        }
    }
}
