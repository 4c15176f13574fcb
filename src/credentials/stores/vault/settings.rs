//! What the server's environment says of Vault, by the names that Vault's own clients have for it.
//!
//! Not for: what a TriggerAuthentication says (`spec`), which comes first but for the token, as with KEDA.

use std::{fs::File, io::Read, path::PathBuf};

use crate::{
    credentials::stores::invalid,
    error::{ReadError, quoted},
    limits,
    metadata::Secret,
    net::tls::Tls,
};

/// `VAULT_…`, as it was when a reader was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// `VAULT_AGENT_ADDR`, else `VAULT_ADDR`.
    pub address: Option<String>,
    pub namespace: Option<String>,
    pub token: Option<Secret>,
    pub skip_verify: bool,
    server_name: Option<String>,
    ca_bytes: Option<String>,
    ca_file: Option<PathBuf>,
    ca_folder: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Settings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// Those that `variable` has; an empty one counts for none.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let path = |name: &str| text(name).map(PathBuf::from);
        Self {
            address: text("VAULT_AGENT_ADDR").or_else(|| text("VAULT_ADDR")),
            namespace: text("VAULT_NAMESPACE"),
            token: text("VAULT_TOKEN").map(Secret::new),
            // As Go reads a boolean.
            skip_verify: text("VAULT_SKIP_VERIFY")
                .is_some_and(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")),
            server_name: text("VAULT_TLS_SERVER_NAME"),
            ca_bytes: text("VAULT_CACERT_BYTES"),
            ca_file: path("VAULT_CACERT"),
            ca_folder: path("VAULT_CAPATH"),
            cert_file: path("VAULT_CLIENT_CERT"),
            key_file: path("VAULT_CLIENT_KEY"),
        }
    }

    /// How a Vault is spoken to, by what the files hold now.
    pub fn tls(&self) -> Result<Tls, ReadError> {
        if self.server_name.is_some() {
            return Err(invalid(
                "`VAULT_TLS_SERVER_NAME` of the server is not followed: address Vault by a name that its certificate has",
            ));
        }
        let secret =
            |name, path: &Option<PathBuf>| path.as_ref().map(|path| read(name, path).map(Secret::new)).transpose();
        // One after the other, as Vault's own clients look.
        let ca = match (&self.ca_bytes, &self.ca_file, &self.ca_folder) {
            (Some(text), _, _) => Some(Secret::new(text.clone())),
            (None, Some(_), _) => secret("VAULT_CACERT", &self.ca_file)?,
            (None, None, Some(folder)) => Some(Secret::new(all_of(folder)?)),
            (None, None, None) => None,
        };
        Ok(Tls {
            ca,
            cert: secret("VAULT_CLIENT_CERT", &self.cert_file)?,
            key: secret("VAULT_CLIENT_KEY", &self.key_file)?,
            key_password: None,
            skip_verify: self.skip_verify,
        })
    }
}

fn read(name: &str, path: &PathBuf) -> Result<String, ReadError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(limits::STORE_FILE).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| {
        let shown = quoted(&path.display().to_string());
        invalid(&format!("`{name}` of the server: `{shown}` cannot be read ({}): mount it", error.kind()))
    })
}

/// Every certificate of a folder.
fn all_of(folder: &PathBuf) -> Result<String, ReadError> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        let shown = quoted(&folder.display().to_string());
        invalid(&format!("`VAULT_CAPATH` of the server: `{shown}` cannot be read ({}): mount it", error.kind()))
    })?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| read("VAULT_CAPATH", path)).collect()
}
