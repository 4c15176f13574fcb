//! A Kerberos login as the metadata describes it.
//!
//! Not for: the exchange of tokens with a broker (`client/dial/kerberos.rs`), or Kerberos itself (`helper.rs`).

mod config;
pub mod helper;

pub use self::config::Config;
use crate::{
    metadata::{Reader, Secret},
    net::Reach,
};

/// Who logs in, where its realm is, and as what the brokers are known there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kerberos {
    /// `user@REALM`.
    pub principal: String,
    /// What proves it.
    pub proof: Proof,
    /// The first part of the brokers' own principals: `kafka` of `kafka/b1.example.com@REALM`.
    pub service: String,
    /// Where the realms' servers are.
    pub config: Config,
}

/// What a principal proves itself by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Its password.
    Password(Secret),
    /// The bytes of its keytab.
    Keytab(Keytab),
}

/// A keytab's bytes; `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Keytab(pub Vec<u8>);

impl std::fmt::Debug for Keytab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•••")
    }
}

impl Kerberos {
    /// Reads it; what is wrong is a problem of its key. `None` with a problem, or where something is missing.
    pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Option<Self> {
        let (username, realm, config) = (keys.text("username"), keys.text("realm"), keys.text("kerberosConfig"));
        let service = keys.text("kerberosServiceName").unwrap_or("kafka").to_owned();
        let legal = |part: &str| {
            part.len() <= 253 && !part.contains(['@', '/', '\\', '\0']) && !part.contains(char::is_whitespace)
        };
        for (key, part) in [("realm", realm.unwrap_or_default()), ("kerberosServiceName", &service)] {
            if !legal(part) {
                keys.problem(key, format!("`{key}` must be one name, without `@`, `/` and blanks"));
            }
        }
        let proof = proof(keys);
        let (username, realm) = (username?, realm?);
        let principal = format!("{}@{realm}", username.strip_suffix(&format!("@{realm}")).unwrap_or(username));
        let config = match Config::parse(config?, realm, reach) {
            Ok(config) => config,
            Err(why) => {
                keys.problem("kerberosConfig", format!("`kerberosConfig` {why}"));
                return None;
            }
        };
        Some(Self { principal, proof: proof?, service, config })
    }
}

fn proof(keys: &mut Reader<'_>) -> Option<Proof> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match (keys.secret("password"), keys.secret("keytab")) {
        (Some(password), None) => Some(Proof::Password(password)),
        (None, Some(keytab)) => {
            let text: String = keytab.expose().split_whitespace().collect();
            let bytes = STANDARD.decode(text).ok();
            // The first byte of every keytab, and the versions there are.
            let keytab = bytes.filter(|bytes| matches!(bytes.get(..2), Some([5, 1 | 2])));
            if keytab.is_none() {
                keys.problem("keytab", "`keytab` must be the keytab's bytes in base64: `base64 -w0 FILE`");
            }
            keytab.map(|bytes| Proof::Keytab(Keytab(bytes)))
        }
        _ => None,
    }
}
