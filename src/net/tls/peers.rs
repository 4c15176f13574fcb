//! What brokers have shown of themselves in TLS handshakes: until when their certificates hold, for people and series.
//!
//! Noted where every handshake passes, the verifier, and before its verdict: an expired one is shown too. Not for: whether
//! they are believed (`verify.rs`).

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_cert::{Certificate, der::Decode};

/// Names of one connection that are remembered, the latest: a cluster has as many as brokers, and three are usual.
const PEERS: usize = 64;

/// A certificate that expires so soon is late: the alert for our own fires then.
pub const EXPIRES_SOON: Duration = Duration::from_secs(7 * 86_400);

/// Whether bytes are encrypted, and who may have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Plain text.
    None,
    /// TLS with somebody whose certificate was verified.
    Verified,
    /// TLS with anybody: `skipTlsVerify`.
    Unverified,
}

impl Encryption {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Verified => "verified",
            Self::Unverified => "unverified",
        }
    }
}

/// What the peers of one connection have shown.
#[derive(Debug, Default)]
pub struct Peers(Mutex<BTreeMap<String, Times>>);

/// A certificate, and who has shown it when. Times are Unix times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The name that it was asked for by.
    pub by: String,
    /// When the first one of its chain expires.
    pub expires: u64,
    /// When the handshake was.
    pub at: u64,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    expires: u64,
    at: u64,
}

impl Peers {
    /// Of each peer's last certificate the one that expires first.
    #[must_use]
    pub fn first_to_expire(&self) -> Option<Shown> {
        let peers = self.0.lock();
        let (by, times) = peers.iter().min_by_key(|(_, times)| times.expires)?;
        Some(Shown { by: by.clone(), expires: times.expires, at: times.at })
    }

    /// Notes the chain that `name` has shown. What cannot be read says nothing.
    pub(super) fn have_shown<'c>(
        &self,
        name: &ServerName<'_>,
        chain: impl Iterator<Item = &'c CertificateDer<'c>>,
        now: UnixTime,
    ) {
        let expiry = |der: &CertificateDer<'_>| {
            let certificate = Certificate::from_der(der).ok()?;
            Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
        };
        let Some(expires) = chain.filter_map(expiry).min() else { return };
        let (name, at) = (name.to_str().into_owned(), now.as_secs());
        let mut peers = self.0.lock();
        if peers.len() >= PEERS && !peers.contains_key(&name) {
            let oldest = peers.iter().min_by_key(|(_, times)| times.at).map(|(name, _)| name.clone());
            oldest.map(|name| peers.remove(&name));
        }
        peers.insert(name, Times { expires, at });
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["b1".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn name(text: &str) -> ServerName<'static> {
        ServerName::try_from(text.to_owned()).expect("a name")
    }

    #[test]
    fn the_first_to_expire_of_what_each_peer_has_shown_last_is_told() {
        let (peers, soon, late) = (Peers::default(), until(2030), until(2040));
        assert_eq!(peers.first_to_expire(), None, "nobody has shown anything");
        peers.have_shown(&name("b1"), [&CertificateDer::from(vec![1, 2])].into_iter(), at(1));
        assert_eq!(peers.first_to_expire(), None, "what cannot be read says nothing");
        // 2030-01-01 and 2040-01-01.
        let (of_soon, of_late) = (1_893_456_000, 2_208_988_800);
        peers.have_shown(&name("b1"), [&late].into_iter(), at(10));
        peers.have_shown(&name("b2"), [&late, &soon].into_iter(), at(20));
        let shown = |by: &str, expires, at| Some(Shown { by: by.to_owned(), expires, at });
        assert_eq!(peers.first_to_expire(), shown("b2", of_soon, 20), "an issuer's too");
        peers.have_shown(&name("b2"), [&late].into_iter(), at(30));
        assert_eq!(peers.first_to_expire().map(|shown| shown.expires), Some(of_late), "a renewed one takes its place");
    }

    #[test]
    fn of_a_broker_with_ever_new_names_the_latest_are_remembered() {
        let (peers, soon, late) = (Peers::default(), until(2030), until(2040));
        peers.have_shown(&name("b0"), [&soon].into_iter(), at(0));
        for second in 1..1_000 {
            peers.have_shown(&name(&format!("b{second}")), [&late].into_iter(), at(second));
        }
        assert_eq!(peers.0.lock().len(), PEERS);
        assert!(peers.first_to_expire().is_some_and(|shown| shown.at > 900));
    }
}
