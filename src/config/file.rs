//! The config file: named connections, the policy and the limits, followed as it and the files in it change.
//!
//! Not for: what its sections mean (`connections.rs`, `policy.rs`).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::warn;

use super::{
    ConfigError, PolicyFile,
    connections::{self, Connection, Kind, KindOf},
    files::{Contents, Files, Followed},
    policy,
};
use crate::{credentials::Connections, limits};

/// What stands in a file that `--config` names.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Plimsoll's config file")]
pub struct Config {
    /// What triggers mean by `connection: NAME`.
    #[serde(default)]
    connections: BTreeMap<String, Connection>,
    /// Which hosts each namespace may reach: as the file of `--policy`, and instead of it.
    policy: Option<policy::Written>,
    /// How much is observed, where no option says otherwise. Read at the start only.
    #[serde(default)]
    pub limits: Limits,
}

/// How much is observed; what is left out is as it is without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Distinct triggers, in all.
    pub triggers: Option<usize>,
    /// Distinct triggers of one namespace.
    pub triggers_per_namespace: Option<usize>,
    /// Distinct connections to brokers, in all.
    pub connections: Option<usize>,
    /// Distinct connections of one namespace.
    pub connections_per_namespace: Option<usize>,
}

/// The config file, which keeps [`Connections`] and a policy up to date.
#[derive(Clone)]
pub struct ConfigFile {
    connections: Connections,
    policy: Option<PolicyFile>,
    limits: Limits,
    kind_of: Arc<KindOf>,
}

impl Config {
    /// The file at `path` with those that it names.
    #[must_use]
    pub fn files(path: PathBuf) -> Files {
        Files::with_more(vec![("--config", path)], |contents| {
            let config = Self::read(contents)?;
            Ok(connections::files(&config.connections).into_iter().map(|file| ("--config", file)).collect())
        })
    }

    /// The file itself, of `contents` whose first it is.
    pub fn read(contents: &Contents) -> Result<Self, ConfigError> {
        yaml(contents, "--config")
    }

    /// What a file may say, for editors and other tools.
    #[must_use]
    pub fn schema() -> Schema {
        schema_for!(Self)
    }
}

impl ConfigFile {
    /// Of `contents` of [`Config::files`]. `loopback` is whether the server's own loopback may be reached.
    pub fn new(
        contents: &Contents,
        loopback: bool,
        kind_of: impl Fn(&str) -> Option<Kind> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let config = Config::read(contents)?;
        let policy = config.policy.as_ref().map(|written| PolicyFile::of("--config", written, loopback)).transpose()?;
        let (connections, kind_of) = (Connections::default(), Arc::new(kind_of));
        let file = Self { connections, policy, limits: config.limits, kind_of };
        file.take_connections(&config, contents)?;
        Ok(file)
    }

    /// What follows the file.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// The policy, if the file has one.
    #[must_use]
    pub fn policy(&self) -> Option<&PolicyFile> {
        self.policy.as_ref()
    }

    /// The limits, as they were at the start.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn take_connections(&self, config: &Config, contents: &Contents) -> Result<(), ConfigError> {
        let files = contents.get(1..).unwrap_or_default();
        let named = connections::named(&config.connections, files, &*self.kind_of)
            .map_err(|ConfigError(text)| ConfigError(format!("`--config`: {text}")))?;
        connections::warn_of_inline(&config.connections);
        self.connections.replace(named);
        Ok(())
    }
}

impl Followed for ConfigFile {
    fn what(&self) -> &'static str {
        "config"
    }

    fn take(&self, contents: &Contents) -> Result<(), ConfigError> {
        let config = Config::read(contents)?;
        if config.policy.is_some() != self.policy.is_some() {
            let text = "`--config`: a `policy` that comes or goes is in force after a restart only: restart the server";
            return Err(ConfigError(text.to_owned()));
        }
        if config.limits != self.limits {
            warn!("the limits in the config file have changed: they are in force after a restart");
        }
        // All of it or nothing: what is wrong in one section must not leave the other half changed.
        let policy = self.policy.as_ref().zip(config.policy.as_ref()).map(|(policy, written)| policy.table(written));
        let policy = policy.transpose()?;
        self.take_connections(&config, contents)?;
        if let (Some(file), Some(table)) = (&self.policy, policy) {
            file.policy().replace(table);
        }
        Ok(())
    }
}

impl Limits {
    /// These, and `others` where these say nothing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            triggers: self.triggers.or(others.triggers),
            triggers_per_namespace: self.triggers_per_namespace.or(others.triggers_per_namespace),
            connections: self.connections.or(others.connections),
            connections_per_namespace: self.connections_per_namespace.or(others.connections_per_namespace),
        }
    }
}

/// The first of `contents`, which `option` names, as YAML.
pub(super) fn yaml<T: DeserializeOwned>(contents: &Contents, option: &str) -> Result<T, ConfigError> {
    let problem = |text: &str| ConfigError(format!("`{option}`: {text}"));
    let text = contents.first().map(|text| std::str::from_utf8(text)).transpose();
    let text = text.map_err(|_| problem("the file is not UTF-8 text"))?.unwrap_or_default();
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|place| format!(" in line {}", place.line())).unwrap_or_default();
        let said = crate::error::clean_within(&error.without_snippet().to_string(), limits::TEXT).into_owned();
        problem(&format!("{said}{place}"))
    })
}
