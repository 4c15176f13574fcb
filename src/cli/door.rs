//! The options of `serve` that say who comes in and what may be reached.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::serve::duration;
use crate::{app::Guard, door::TlsOptions};

/// Who comes in, and what may be reached on whose behalf.
#[derive(Debug, Args)]
#[command(next_help_heading = "Security (docs/security.md)")]
pub(super) struct Door {
    /// The certificate chain (PEM) with which KEDA's port speaks TLS; read again when it changes.
    #[arg(long, env = "PLIMSOLL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "PLIMSOLL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let in only callers with a certificate of one of these CAs (PEM, several).
    #[arg(long, env = "PLIMSOLL_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// How long a CA that has left `--tls-client-ca` is still good for: KEDA's streams keep their certificate.
    #[arg(
        long, env = "PLIMSOLL_TLS_CLIENT_CA_OVERLAP", value_name = "TIME", value_parser = duration, default_value = "24h"
    )]
    tls_client_ca_overlap: Duration,
    /// Let in only callers whose certificate has this name (a SAN or the CN); may be given several times.
    #[arg(
        long = "allow-client",
        env = "PLIMSOLL_ALLOW_CLIENT",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "tls_client_ca"
    )]
    allow_clients: Vec<String>,
    /// Where /api is, apart from probes and /metrics.
    #[arg(long, env = "PLIMSOLL_PAGES_LISTEN", value_name = "ADDR")]
    pages_listen: Option<SocketAddr>,
    /// The file with the bearer token that /api wants; read again when it changes.
    #[arg(long, env = "PLIMSOLL_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Named connections for triggers, and maybe policy and limits (YAML; docs/config.md); read again when it changes.
    #[arg(long, env = "PLIMSOLL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which hosts each namespace may reach (YAML); read again when it changes.
    #[arg(long, env = "PLIMSOLL_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let triggers name the server's own loopback; so it is outside Kubernetes.
    #[arg(long, env = "PLIMSOLL_ALLOW_LOOPBACK")]
    allow_loopback: bool,
}

impl Door {
    pub(super) fn guard(&self) -> Guard {
        Guard {
            pages_listen: self.pages_listen,
            admin_token: self.admin_token_file.clone(),
            tls: self.tls(),
            config: self.config.clone(),
            policy: self.policy.clone(),
            // Beside a pod are its sidecars, which serve nobody but it.
            loopback: self.allow_loopback || std::env::var_os("KUBERNETES_SERVICE_HOST").is_none(),
        }
    }

    fn tls(&self) -> Option<TlsOptions> {
        Some(TlsOptions {
            cert: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
            allow_clients: self.allow_clients.clone(),
            client_ca_overlap: self.tls_client_ca_overlap,
        })
    }
}
