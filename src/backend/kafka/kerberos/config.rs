//! `krb5.conf` as a trigger gives it: only what leads to a realm's servers is taken.
//!
//! A krb5.conf can load libraries, include files and name any host. So it is never handed on: the realms, their servers
//! and a few harmless settings are read, and what Kerberos gets is written anew, with addresses that the rules allow.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use tokio::time::Instant;

use crate::{
    limits,
    net::{DialError, Reach, resolve},
};

/// Realms and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    default_realm: String,
    /// Servers by realm: host and port.
    realms: BTreeMap<String, Vec<(String, u16)>>,
    /// Which realm the hosts of a domain belong to.
    domains: BTreeMap<String, String>,
    /// Encryption types, where the config chooses them.
    settings: BTreeMap<&'static str, String>,
}

const PORT: u16 = 88;
const SETTINGS: [&str; 4] = ["permitted_enctypes", "default_tkt_enctypes", "default_tgs_enctypes", "allow_weak_crypto"];

impl Config {
    /// Reads `text`; `realm` must have a server in it, and every server must be one that may be reached.
    pub fn parse(text: &str, realm: &str, reach: &Reach) -> Result<Self, String> {
        let (realms, domains, settings) = Default::default();
        let mut config = Self { default_realm: realm.to_owned(), realms, domains, settings };
        let (mut section, mut inner) = (String::new(), None::<String>);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
                (section, inner) = (name.trim().to_ascii_lowercase(), None);
            } else if line.starts_with('}') {
                inner = None;
            } else if let Some((name, value)) = line.split_once('=') {
                let (name, value) = (name.trim(), value.trim());
                if value.starts_with('{') {
                    inner = Some(name.to_owned());
                } else {
                    config.take(&section, inner.as_deref(), name, value)?;
                }
            }
        }
        if config.realms.get(realm).is_none_or(Vec::is_empty) {
            return Err(format!("names no server of realm `{realm}`: give its `[realms]` section a `kdc` for it"));
        }
        for (host, _) in config.realms.values().flatten() {
            reach.check_host(host).map_err(|refusal| format!("names a server out of reach: {refusal}"))?;
        }
        Ok(config)
    }

    fn take(&mut self, section: &str, inner: Option<&str>, name: &str, value: &str) -> Result<(), String> {
        match (section, inner, name) {
            ("realms", Some(realm), "kdc") if is_name(realm) => {
                let server = server(value).ok_or("has a `kdc` that is no host: write `host` or `host:port`")?;
                let servers = self.realms.entry(realm.to_owned()).or_default();
                if servers.len() < limits::KERBEROS_SERVERS {
                    servers.push(server);
                }
            }
            ("domain_realm", None, domain) if is_name(domain) && is_name(value) => {
                self.domains.insert(domain.to_owned(), value.to_owned());
            }
            ("libdefaults", None, name) => {
                let words = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | ',' | '+');
                if let Some(setting) = SETTINGS.iter().find(|setting| **setting == name)
                    && value.chars().all(words)
                {
                    self.settings.insert(setting, value.to_owned());
                }
            }
            _ => {}
        }
        if self.realms.len() + self.domains.len() > limits::KERBEROS_REALMS {
            return Err("names too many realms and domains: leave those that are needed".to_owned());
        }
        Ok(())
    }

    /// A krb5.conf with addresses in place of names, so that Kerberos itself asks no resolver.
    pub async fn resolved(&self, reach: &Reach, until: Instant) -> Result<String, DialError> {
        let mut text =
            String::from("[libdefaults]\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n");
        text.push_str(" dns_canonicalize_hostname = false\n udp_preference_limit = 1\n");
        // Writing to a `String` cannot fail.
        writeln!(text, " default_realm = {}", self.default_realm).ok();
        for (name, value) in &self.settings {
            writeln!(text, " {name} = {value}").ok();
        }
        text.push_str("[domain_realm]\n");
        for (domain, realm) in &self.domains {
            writeln!(text, " {domain} = {realm}").ok();
        }
        text.push_str("[realms]\n");
        let mut failure = None;
        for (realm, servers) in &self.realms {
            writeln!(text, " {realm} = {{").ok();
            let mut found = 0;
            for (host, port) in servers {
                match resolve(reach, host, until).await {
                    Ok(addresses) => {
                        found += addresses.len();
                        for address in addresses {
                            writeln!(text, "  kdc = {}", written(address, *port)).ok();
                        }
                    }
                    Err(error) => failure = Some(error),
                }
            }
            text.push_str(" }\n");
            if found == 0 && *realm == self.default_realm {
                return Err(failure.unwrap_or(DialError::NoAddress));
            }
        }
        Ok(text)
    }
}

fn written(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(legal)
}

/// `host`, `host:port`, with or without `tcp/`; no HTTPS proxy.
fn server(value: &str) -> Option<(String, u16)> {
    let value = value.strip_prefix("tcp/").or_else(|| value.strip_prefix("udp/")).unwrap_or(value);
    if let Ok(address) = value.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some((address.to_string(), PORT));
    }
    if let Ok(address) = value.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), address.port()));
    }
    let (host, port) =
        value.split_once(':').map_or(Some((value, PORT)), |(host, port)| Some((host, port.parse().ok()?)))?;
    is_name(host).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::Rules;

    const TEXT: &str = "
# how people write it
[libdefaults]
  default_realm = OTHER
  permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts
  default_keytab_name = FILE:/var/run/secrets/token
[plugins]
  clpreauth = {
    module = evil:/tmp/evil.so
  }
include /etc/shadow
[realms]
  EXAMPLE.COM = {
    kdc = 127.0.0.1:1088
    kdc = tcp/localhost
    admin_server = elsewhere.example.com
  }
[domain_realm]
  .example.com = EXAMPLE.COM
";

    #[tokio::test]
    async fn only_realms_their_servers_and_encryption_types_are_handed_on() {
        let config = Config::parse(TEXT, "EXAMPLE.COM", &Reach::open()).expect("legal");
        let until = Instant::now() + Duration::from_secs(2);
        let text = config.resolved(&Reach::open(), until).await.expect("resolves");
        for kept in [
            "default_realm = EXAMPLE.COM",
            "kdc = 127.0.0.1:1088",
            "kdc = 127.0.0.1:88",
            ".example.com = EXAMPLE.COM",
            "permitted_enctypes = aes256",
        ] {
            assert!(text.contains(kept), "`{kept}` is not in: {text}");
        }
        for dropped in ["evil", "shadow", "secrets", "elsewhere", "OTHER"] {
            assert!(!text.contains(dropped), "`{dropped}` is in: {text}");
        }
    }

    #[test]
    fn a_server_out_of_reach_or_a_missing_one_is_named() {
        let closed = Reach::new(Rules::default());
        let refused = Config::parse(TEXT, "EXAMPLE.COM", &closed).expect_err("loopback");
        assert!(refused.contains("out of reach"), "{refused}");
        let missing = Config::parse(TEXT, "ELSEWHERE", &Reach::open()).expect_err("no server");
        assert!(missing.contains("no server of realm `ELSEWHERE`"), "{missing}");
        let proxy = Config::parse("[realms]\nA = {\n kdc = https://proxy/KdcProxy\n}", "A", &Reach::open());
        assert!(proxy.expect_err("no host").contains("no host"));
    }
}
