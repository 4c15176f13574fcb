//! The section `connections` of the config file: addresses, TLS and logins that triggers name instead of having them.
//!
//! Not for: what a trigger makes of them (`credentials`, `metadata`).

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::PathBuf,
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Deserialize;
use tracing::warn;

use super::ConfigError;
use crate::{
    credentials::Named,
    error::quoted,
    limits,
    metadata::{Parameter, Parameters, is_secret_name},
};

/// A named connection: a trigger of the same kind of broker that says `connection: NAME` has its parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Connection {
    /// The kind of broker: any of KEDA's type names for it, as in a trigger's `scalerType`.
    scaler_type: String,
    /// Which namespaces may use it; all if this is left out.
    namespaces: Option<BTreeSet<String>>,
    /// Address, TLS and login, by the names that the trigger's metadata has for them.
    parameters: BTreeMap<String, Value>,
}

/// A value, or where it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Value {
    /// The value itself: not for secrets, since whoever can read the file has it.
    Inline(String),
    /// The content of a file, read again when it changes; white space at both ends is dropped.
    File(FromFile),
    /// A variable of the server's environment.
    Env(FromEnv),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FromFile {
    file: PathBuf,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FromEnv {
    env: String,
}

/// A kind of broker, to a connection.
pub struct Kind {
    /// All type names of it.
    pub scaler_types: &'static [&'static str],
    /// What a connection may say.
    pub keys: Vec<&'static str>,
}

/// The kind of broker that a scaler type stands for; `None` for a type that is not known.
pub type KindOf = dyn Fn(&str) -> Option<Kind> + Send + Sync;

/// The files that values are in, in the order of [`named`].
pub(super) fn files(connections: &BTreeMap<String, Connection>) -> Vec<PathBuf> {
    let values = connections.values().flat_map(|connection| connection.parameters.values());
    let files = values.filter_map(|value| match value {
        Value::File(FromFile { file }) => Some(file.clone()),
        Value::Inline(_) | Value::Env(_) => None,
    });
    files.collect()
}

/// The connections, with `contents` of their [`files`].
pub(super) fn named(
    connections: &BTreeMap<String, Connection>,
    contents: &[Vec<u8>],
    kind_of: &KindOf,
) -> Result<BTreeMap<Arc<str>, Named>, ConfigError> {
    if connections.len() > limits::NAMED_CONNECTIONS {
        let most = limits::NAMED_CONNECTIONS;
        return Err(ConfigError(format!("`connections` has more than {most} entries: take some away")));
    }
    let mut contents = contents.iter();
    let mut made = BTreeMap::new();
    for (name, connection) in connections {
        let at = format!("connections.{}", quoted(name));
        let kind = kind_of(&connection.scaler_type).ok_or_else(|| {
            let shown = quoted(&connection.scaler_type);
            ConfigError(format!("`{at}.scalerType`: `{shown}` is no kind of broker that this server knows"))
        })?;
        let mut parameters = Parameters::default();
        for (key, value) in &connection.parameters {
            if !kind.keys.contains(&key.as_str()) {
                let known = kind.keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                let shown = quoted(key);
                return Err(ConfigError(format!("`{at}.parameters` cannot have `{shown}`: it may have {known}")));
            }
            parameters.set(key, value.parameter(&format!("{at}.parameters.{key}"), &mut contents)?);
        }
        let (parameters, namespaces) = (Arc::new(parameters), connection.namespaces.clone());
        made.insert(Arc::from(name.as_str()), Named { scaler_types: kind.scaler_types, parameters, namespaces });
    }
    Ok(made)
}

/// Says which secrets stand in the file itself.
pub(super) fn warn_of_inline(connections: &BTreeMap<String, Connection>) {
    for (name, connection) in connections {
        let inline = connection.parameters.iter().filter(|(_, value)| matches!(value, Value::Inline(_)));
        for (key, _) in inline.filter(|(key, _)| is_secret_name(key)) {
            let (connection, key) = (quoted(name), quoted(key));
            warn!(
                connection,
                key, "a secret stands in the config file: give it as `{{file: PATH}}` or `{{env: NAME}}`"
            );
        }
    }
}

impl Value {
    fn parameter<'c>(
        &self,
        at: &str,
        contents: &mut impl Iterator<Item = &'c Vec<u8>>,
    ) -> Result<Parameter, ConfigError> {
        Ok(match self {
            Self::Inline(text) => Parameter::new(text.as_str(), format!("the config file, `{at}`")),
            Self::File(FromFile { file }) => {
                let content = contents.next().ok_or_else(|| ConfigError(format!("`{at}`: its file was not read")))?;
                Parameter::new(content.as_slice(), format!("the file `{}`", file.display()))
            }
            Self::Env(FromEnv { env }) => {
                let value = env::var(env).map_err(|_| {
                    let shown = quoted(env);
                    ConfigError(format!(
                        "`{at}`: the server has no environment variable `{shown}`: set it, or correct `env`"
                    ))
                })?;
                Parameter::new(value, format!("the environment variable `{}`", quoted(env)))
            }
        })
    }
}
