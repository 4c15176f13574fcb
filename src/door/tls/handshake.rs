//! A caller's handshake: with a deadline, and with a word of why it failed that tells an operator what to set.

use std::{
    io,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use rustls::{AlertDescription, CertificateError, Error};
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, warn};

use super::Tls;
use crate::limits;

/// The least time between two warnings of refused callers: somebody who is refused comes again.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Refused callers, of whom not each is worth a line.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    said: Mutex<Option<Instant>>,
    unsaid: AtomicU64,
}

impl Refusals {
    fn say(&self, address: IpAddr, reason: &'static str) {
        let mut said = self.said.lock();
        if said.is_some_and(|said| said.elapsed() < WARN_EVERY) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        *said = Some(Instant::now());
        let others = self.unsaid.swap(0, Ordering::Relaxed);
        warn!(%address, reason, others, "a caller was refused by TLS");
    }
}

impl Tls {
    /// The stream inside, or `None` when there is none in time.
    pub(in crate::door) async fn accept(&self, stream: TcpStream, address: IpAddr) -> Option<TlsStream<TcpStream>> {
        let accepting = TlsAcceptor::from(self.config()).accept(stream);
        let why = match timeout(limits::GREETING, accepting).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => reason(&error),
            Err(_) => None,
        };
        self.0.metrics.handshake_failures.inc();
        match why {
            Some(reason) => self.0.refusals.say(address, reason),
            // Port scanners and probes.
            None => debug!(%address, "a caller has left in its TLS handshake, or says nothing"),
        }
        None
    }
}

/// What an operator can do about it, where there is something to be done.
fn reason(error: &io::Error) -> Option<&'static str> {
    use CertificateError::{ApplicationVerificationFailure, Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::NoCertificatesPresented => {
            "it shows no certificate: set `tlsClientCert` and `tlsClientKey` in its TriggerAuthentication"
        }
        Error::InvalidCertificate(ApplicationVerificationFailure) => {
            "its certificate has none of the names of `--allow-client`"
        }
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => "its certificate has expired",
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            "its certificate is not valid yet: compare the clocks"
        }
        Error::InvalidCertificate(_) => "its certificate is not of a CA in `--tls-client-ca`",
        Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        ) => "it does not trust our certificate: give it our CA as `caCert`, and call us by a name in the certificate",
        Error::AlertReceived(_) => "it broke off the handshake",
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "it does not speak TLS: set `enableTLS: \"true\"` in the trigger"
        }
        Error::NoApplicationProtocol => "it does not offer HTTP/2",
        Error::PeerIncompatible(_) => "it has no version or cipher in common with us",
        _ => "the handshake failed",
    })
}
