//! The options of `serve` that say what of the cluster is read for credentials.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::serve::duration;
use crate::credentials::cluster::{Cluster, OnMissing, Options, Restricted, Rules};

/// A token of a ServiceAccount lives for so long at least, and at most: KEDA's own bounds.
const TOKEN_LIFE: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(6 * 3600));

/// What of the cluster is read.
#[derive(Debug, Args)]
#[command(next_help_heading = "KEDA's objects (docs/credentials.md)")]
pub(super) struct Kubernetes {
    /// Read what triggers' `authenticationRef`s name, live from the API server.
    #[arg(long, env = "PLIMSOLL_KUBERNETES")]
    kubernetes: bool,
    /// Read these namespaces alone; KEDA's `WATCH_NAMESPACE`.
    #[arg(
        long,
        env = "PLIMSOLL_KUBERNETES_NAMESPACES",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "kubernetes"
    )]
    kubernetes_namespaces: Vec<String>,
    /// Read ScaledObjects and ScaledJobs with these labels alone; KEDA's `WATCH_LABEL_SELECTOR`.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_LABELS", value_name = "SELECTOR", requires = "kubernetes")]
    kubernetes_labels: Option<String>,
    /// The same for authentications; KEDA's `WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH`.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_AUTH_LABELS", value_name = "SELECTOR", requires = "kubernetes")]
    kubernetes_auth_labels: Option<String>,
    /// KEDA's namespace, where a ClusterTriggerAuthentication's Secrets are; KEDA's `KEDA_CLUSTER_OBJECT_NAMESPACE`.
    #[arg(long, env = "PLIMSOLL_KEDA_NAMESPACE", value_name = "NAME", default_value = "keda")]
    keda_namespace: String,
    /// Which Secrets are read; KEDA's `KEDA_RESTRICT_SECRET_ACCESS`.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_SECRETS", value_enum, default_value = "own")]
    kubernetes_secrets: Secrets,
    /// Ask for tokens of the ServiceAccounts that an authentication names: with one, this server is that account.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_TOKENS", requires = "kubernetes")]
    kubernetes_tokens: bool,
    /// How long they live, 1h to 6h; KEDA's `KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY`.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_TOKEN_LIFE", value_name = "TIME", value_parser = token_life, default_value = "1h")]
    kubernetes_token_life: Duration,
    /// The folder below which a ClusterTriggerAuthentication's `filePath` is; KEDA's `--filepath-auth-root-path`.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_FILE_ROOT", value_name = "DIR", requires = "kubernetes")]
    kubernetes_file_root: Option<PathBuf>,
    /// What becomes of a trigger whose Secret, ConfigMap or key is missing.
    #[arg(long, env = "PLIMSOLL_KUBERNETES_MISSING", value_enum, default_value = "refuse")]
    kubernetes_missing: Missing,
}

/// Which Secrets are read.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Secrets {
    /// Those of the namespace that an authentication is in.
    Own,
    /// Those of KEDA's namespace alone, for ClusterTriggerAuthentications.
    Keda,
    /// Those of KEDA's namespace alone, for any authentication of any namespace, as KEDA itself does.
    KedaForAll,
}

/// What becomes of a trigger whose reference leads to nothing.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Missing {
    /// It fails and says what is missing; no broker is asked.
    Refuse,
    /// As with KEDA, what is missing is empty, and the broker is asked without.
    Empty,
}

impl Kubernetes {
    /// The objects, if they are wanted.
    pub(super) async fn connect(&self) -> Result<Option<Cluster>> {
        if !self.kubernetes {
            return Ok(None);
        }
        Ok(Some(Cluster::connect(self.options()).await?))
    }

    /// The objects, for a command that is about nothing else.
    #[cfg(feature = "tools")]
    pub(super) async fn always(&self) -> Result<Cluster> {
        Ok(Cluster::connect(self.options()).await?)
    }

    fn options(&self) -> Options {
        let rules = Rules {
            keda_namespace: self.keda_namespace.clone(),
            restricted: match self.kubernetes_secrets {
                Secrets::Own => Restricted::No,
                Secrets::Keda => Restricted::ToCluster,
                Secrets::KedaForAll => Restricted::AsKeda,
            },
            tokens: self.kubernetes_tokens,
            file_root: self.kubernetes_file_root.clone(),
            on_missing: match self.kubernetes_missing {
                Missing::Refuse => OnMissing::Refuse,
                Missing::Empty => OnMissing::Empty,
            },
        };
        let named = |text: &String| !text.trim().is_empty();
        Options {
            namespaces: self
                .kubernetes_namespaces
                .iter()
                .filter(|name| named(name))
                .map(|name| name.trim().to_owned())
                .collect(),
            labels: self.kubernetes_labels.clone().filter(named),
            auth_labels: self.kubernetes_auth_labels.clone().filter(named),
            token_life: self.kubernetes_token_life,
            rules,
        }
    }
}

fn token_life(text: &str) -> Result<Duration, &'static str> {
    let life = duration(text)?;
    let legal = (TOKEN_LIFE.0..=TOKEN_LIFE.1).contains(&life);
    if legal { Ok(life) } else { Err("must be from `1h` to `6h`") }
}
