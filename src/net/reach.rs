//! Who may be reached on whose behalf: the rules that hold for one namespace, and what they say of a host.
//!
//! Every connection is asked about twice: by its host before a name is resolved, and by its address after, so that a
//! name cannot lead somewhere else than it did when it was looked at. Not for: reading the rules from a file (`config`).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use ipnet::IpNet;

/// What a namespace may reach. Cheap to clone; two are equal when their rules are, so it is part of what makes a
/// connection: a namespace never uses a connection that its own rules would not have allowed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reach(Arc<Rules>);

/// The rules of one [`Reach`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Where alone connections may go; `None` is anywhere that is not refused.
    pub allow: Option<Vec<Place>>,
    /// Where they may not, whatever `allow` says.
    pub deny: Vec<Place>,
    /// Whether the server's own loopback may be reached.
    pub loopback: bool,
    /// Whether link-local addresses and metadata services may be reached: for the server's own errands only.
    pub metadata: bool,
    /// Where alone the server's own identity at a cloud may be shown; `None` is any host over verified TLS.
    pub identities: Identities,
}

/// For each cloud: the hosts that may see the server's own identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Identities {
    /// AWS: signatures and session tokens.
    pub aws: Option<Vec<Place>>,
    /// Google: access tokens.
    pub google: Option<Vec<Place>>,
    /// Azure: access tokens.
    pub azure: Option<Vec<Place>>,
}

/// A cloud at which the server has an identity of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Google,
    /// Microsoft Azure.
    Azure,
}

/// A host or a range of addresses, as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// This host, in lower case and without a dot at the end.
    Host(String),
    /// Every host below this domain: `*.example.com`.
    Below(String),
    /// Every address in this range; one address is a range of its own.
    Range(IpNet),
}

/// Why a host is refused; the text names the rule and who can change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(Arc<str>);

/// Addresses at which clouds hand out credentials and that are not link-local.
const METADATA_SERVICES: [IpAddr; 4] = [
    // AWS over IPv6, Alibaba, Azure's wire server, Oracle.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Reach {
    /// What these rules allow.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(rules))
    }

    /// Everywhere but link-local and metadata addresses: for a server outside a cluster that has no policy.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Rules { loopback: true, ..Rules::default() })
    }

    /// Everywhere: for what the server's operator has named, such as the endpoints of its own identity. Never for a host
    /// that a trigger or a broker names.
    #[must_use]
    pub fn of_operator() -> Self {
        Self::new(Rules { loopback: true, metadata: true, ..Rules::default() })
    }

    /// Whether `host`, a name or an address, may be asked for at all. Pure, so that a trigger can be refused before
    /// anything is sent; what a name resolves to is for [`check_address`](Self::check_address).
    pub fn check_host(&self, host: &str) -> Result<(), Refusal> {
        let host = bare(host);
        if let Ok(address) = IpAddr::from_str(&host) {
            return self.check_address(&host, address);
        }
        if !self.0.loopback && (host == "localhost" || host.ends_with(".localhost")) {
            return Err(Refusal::loopback(&host));
        }
        if let Some(rule) = self.0.deny.iter().find(|rule| rule.has_name(&host)) {
            return Err(Refusal::denied(&host, rule));
        }
        let Some(allow) = &self.0.allow else { return Ok(()) };
        // A range may still allow it, once its address is known.
        let possible = allow.iter().any(|rule| matches!(rule, Place::Range(_)) || rule.has_name(&host));
        if possible { Ok(()) } else { Err(Refusal::not_allowed(&host)) }
    }

    /// Whether `address`, which `host` has resolved to, may be connected to.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        let (host, address) = (bare(host), seen_through(address));
        if !self.0.metadata && (is_link_local(address) || METADATA_SERVICES.contains(&address)) {
            return Err(Refusal::metadata(&host));
        }
        if !self.0.loopback && (address.is_loopback() || address.is_unspecified()) {
            return Err(Refusal::loopback(&host));
        }
        if let Some(rule) = self.0.deny.iter().find(|rule| rule.has_name(&host) || rule.has_address(address)) {
            return Err(Refusal::denied(&host, rule));
        }
        let allowed = |rule: &Place| rule.has_name(&host) || rule.has_address(address);
        match &self.0.allow {
            Some(allow) if !allow.iter().any(allowed) => Err(Refusal::not_allowed(&host)),
            _ => Ok(()),
        }
    }

    /// Whether the server's own identity at `cloud` may be shown to `host`; `verified` is TLS with a verified certificate.
    pub fn check_identity(&self, cloud: Cloud, host: &str, verified: bool) -> Result<(), Refusal> {
        let host = bare(host);
        match self.0.identities.of(cloud) {
            Some(hosts) => {
                let address = IpAddr::from_str(&host).ok();
                let named = |place: &Place| place.has_name(&host) || address.is_some_and(|ip| place.has_address(ip));
                if hosts.iter().any(named) { Ok(()) } else { Err(Refusal::identity_elsewhere(cloud, &host)) }
            }
            None if verified => Ok(()),
            None => Err(Refusal::identity_in_the_open(cloud, &host)),
        }
    }
}

impl Reach {
    /// The rules in words, for people.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let listed = |places: &[Place]| match places {
            [] => "nowhere".to_owned(),
            places => places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", "),
        };
        let mut words = vec![match &self.0.allow {
            None => "anywhere but link-local and metadata addresses".to_owned(),
            Some(allow) => format!("only to {}", listed(allow)),
        }];
        if !self.0.deny.is_empty() {
            words.push(format!("never to {}", listed(&self.0.deny)));
        }
        if !self.0.loopback {
            words.push("never to the server's own loopback".to_owned());
        }
        let Identities { aws, google, azure } = &self.0.identities;
        for (cloud, places) in [("AWS", aws), ("Google", google), ("Azure", azure)] {
            if let Some(places) = places {
                words.push(format!("the server's identity at {cloud} is shown to {}", listed(places)));
            }
        }
        words
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Identities {
    fn of(&self, cloud: Cloud) -> Option<&Vec<Place>> {
        match cloud {
            Cloud::Aws => self.aws.as_ref(),
            Cloud::Google => self.google.as_ref(),
            Cloud::Azure => self.azure.as_ref(),
        }
    }
}

impl Cloud {
    /// The key of a policy's `identities`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Google => "google",
            Self::Azure => "azure",
        }
    }
}

impl Place {
    fn has_name(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Below(domain) => host.strip_suffix(domain.as_str()).is_some_and(|head| head.ends_with('.')),
            Self::Range(_) => false,
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Range(range) if range.contains(&address))
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = bare(text.trim());
        if let Ok(range) = IpNet::from_str(&text) {
            return Ok(Self::Range(range.trunc()));
        }
        if let Ok(address) = IpAddr::from_str(&text) {
            return Ok(Self::Range(address.into()));
        }
        let domain = text.strip_prefix("*.");
        let name = domain.unwrap_or(&text);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 253 || !name.chars().all(legal) {
            return Err(
                "must be a host (`kafka.shop.svc`), a domain (`*.shop.svc`), an address or a range (`10.0.0.0/8`)",
            );
        }
        Ok(if domain.is_some() { Self::Below(name.to_owned()) } else { Self::Host(text) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Range(range) => range.fmt(f),
        }
    }
}

impl Refusal {
    fn denied(host: &str, rule: &Place) -> Self {
        Self::of(format!("`{host}` may not be reached: the policy's `deny` has `{rule}`"))
    }

    fn not_allowed(host: &str) -> Self {
        Self::of(format!("`{host}` may not be reached: nothing in the policy's `allow` for this namespace has it"))
    }

    fn loopback(host: &str) -> Self {
        Self::of(format!("`{host}` may not be reached: it is the server itself, see `--allow-loopback`"))
    }

    fn metadata(host: &str) -> Self {
        Self::of(format!("`{host}` may not be reached: its address is link-local or a cloud's metadata service"))
    }

    fn identity_elsewhere(cloud: Cloud, host: &str) -> Self {
        let key = cloud.key();
        Self::of(format!(
            "the server's own identity is not shown to `{host}`: the policy's `identities.{key}` does not name it"
        ))
    }

    fn identity_in_the_open(cloud: Cloud, host: &str) -> Self {
        let key = cloud.key();
        Self::of(format!(
            "the server's own identity is not shown to `{host}` without verified TLS: use `https` with a certificate that \
             can be verified, or name the host in the policy's `identities.{key}`"
        ))
    }

    fn of(text: String) -> Self {
        Self(text.into())
    }
}

/// Lower case, without the brackets of an IPv6 address and the dot at the end of a full name.
fn bare(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The IPv4 address that an IPv6 one stands for: mapped (RFC 4291), compatible, or by NAT64 (RFC 6052).
fn seen_through(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    let embedded = match [a, b, c, d, e, f] {
        [0x64, 0xff9b, 0, 0, 0, 0] | [0, 0, 0, 0, 0, 0xffff] => true,
        [0, 0, 0, 0, 0, 0] => high != 0,
        _ => false,
    };
    if !embedded {
        return address;
    }
    let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(w, x, y, z).into()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
