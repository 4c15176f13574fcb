//! TLS on the gRPC port: our certificate, who may call, and their renewal without a restart.
//!
//! Not for: TLS towards brokers (`net::tls`).

mod clients;
mod handshake;
mod material;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{ServerConfig, crypto::aws_lc_rs, server::NoServerSessionStorage, sign::CertifiedKey};
use tracing::warn;

use self::{
    clients::{Clients, verifier},
    handshake::Refusals,
    material::Material,
};
use crate::{
    config::{ConfigError, Files, Followed},
    telemetry::Metrics,
};

/// What the options say.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The roots of callers' certificates, PEM; with it every caller must show one.
    pub client_ca: Option<PathBuf>,
    /// Names of which a caller's certificate must have one; all callers of a right root where there are none.
    pub allow_clients: Vec<String>,
    /// How long a root that has left the file is still good for.
    pub client_ca_overlap: Duration,
}

/// TLS as it is in use now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: TlsOptions,
    metrics: Arc<Metrics>,
    state: RwLock<State>,
    refusals: Refusals,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    material: Material,
    former: Vec<Former>,
    /// Days before expiry that have been warned of.
    warned: Option<u64>,
}

/// A root that has left the file.
#[derive(Debug, Clone)]
struct Former {
    root: material::Root,
    until: SystemTime,
}

/// From so many days before expiry on there is a warning a day.
const WARN_DAYS: u64 = 14;
const DAY: u64 = 24 * 60 * 60;

impl Tls {
    /// Reads the files and makes TLS of them; they are to be [followed](crate::config::follow).
    pub fn load(options: TlsOptions, metrics: Arc<Metrics>) -> Result<(Self, Files, Vec<Vec<u8>>), ConfigError> {
        if options.client_ca.is_none() && !options.allow_clients.is_empty() {
            let text = "`--allow-client` needs `--tls-client-ca`: without it callers show no certificate";
            return Err(ConfigError(text.to_owned()));
        }
        let mut files = vec![("--tls-cert", options.cert.clone()), ("--tls-key", options.key.clone())];
        files.extend(options.client_ca.clone().map(|path| ("--tls-client-ca", path)));
        let files = Files::new(files);
        let contents = files.read()?;
        let material = Material::read(&contents, SystemTime::now())?;
        let config = config(&material, &[], &options.allow_clients)?;
        let state = RwLock::new(State { config, material, former: Vec::new(), warned: None });
        let tls = Self(Arc::new(Shared { options, metrics, state, refusals: Refusals::default() }));
        tls.show();
        Ok((tls, files, contents))
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.state.read().config)
    }

    /// When certificates expire, for the series.
    fn show(&self) {
        let state = self.0.state.read();
        self.0.metrics.certificate_expires("server", state.material.expires);
        if let Some(expires) = state.material.roots.iter().map(|root| root.expires).min() {
            self.0.metrics.certificate_expires("client_ca", expires);
        }
    }

    /// One warning a day from [`WARN_DAYS`] before the certificate expires.
    fn warn(&self, state: &mut State, now: SystemTime) {
        let certificates = [("--tls-cert", Some(state.material.expires))]
            .into_iter()
            .chain([("--tls-client-ca", state.material.roots.iter().map(|root| root.expires).min())]);
        let soonest = certificates.filter_map(|(option, expires)| Some((expires?, option))).min();
        let Some((expires, option)) = soonest else { return };
        let days = expires.duration_since(now).map_or(0, |left| left.as_secs() / DAY);
        if days >= WARN_DAYS {
            state.warned = None;
        } else if state.warned != Some(days) {
            state.warned = Some(days);
            warn!(option, days, "a certificate expires soon: renew it, the file is read again by itself");
        }
    }
}

impl Followed for Tls {
    fn what(&self) -> &'static str {
        "tls"
    }

    fn take(&self, contents: &Vec<Vec<u8>>) -> Result<(), ConfigError> {
        let now = SystemTime::now();
        let material = Material::read(contents, now)?;
        let mut state = self.0.state.write();
        let gone = state.material.roots.iter().filter(|root| !material.roots.contains(root));
        let former = gone.map(|root| Former { root: root.clone(), until: now + self.0.options.client_ca_overlap });
        let mut former: Vec<_> = former.chain(state.former.iter().cloned()).collect();
        former.retain(|former| former.is_good(now) && !material.roots.contains(&former.root));
        state.config = config(&material, &former, &self.0.options.allow_clients)?;
        (state.material, state.former) = (material, former);
        drop(state);
        self.show();
        Ok(())
    }

    fn look(&self) {
        let now = SystemTime::now();
        let mut state = self.0.state.write();
        self.warn(&mut state, now);
        if state.former.iter().all(|former| former.is_good(now)) {
            return;
        }
        state.former.retain(|former| former.is_good(now));
        // It was made of the same before, and of more.
        if let Ok(config) = config(&state.material, &state.former, &self.0.options.allow_clients) {
            state.config = config;
        }
    }
}

impl Former {
    fn is_good(&self, now: SystemTime) -> bool {
        now < self.until && now < self.root.expires
    }
}

fn config(material: &Material, former: &[Former], allow: &[String]) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = CertifiedKey::from_der(material.chain.clone(), material.key.clone_key(), &provider).map_err(|_| {
        ConfigError("`--tls-key` is not the key of `--tls-cert`, or of a kind that cannot be used".to_owned())
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| ConfigError("TLS is not to be had here".to_owned()))?;
    let builder = if material.roots.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = material.roots.iter().chain(former.iter().map(|former| &former.root));
        builder.with_client_cert_verifier(Arc::new(Clients::new(verifier(roots, &provider)?, allow)))
    };
    let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A session that is taken up again would not be asked for its certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
