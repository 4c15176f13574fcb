//! What makes a connection: triggers with equal ones share it.

use crate::{
    backend::ConnectionId,
    metadata::Secret,
    net::{Reach, tls::Tls},
};

/// Where Redis is, as whom and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// How the addresses are meant.
    pub topology: Topology,
    /// As the trigger gives them; for one node the first counts, else blank ones are passed over.
    pub addresses: Vec<String>,
    /// Who we are at the data nodes; nobody without a password, as in KEDA.
    pub login: Option<Login>,
    /// Its number; 0 in a cluster, which has no others.
    pub database: i64,
    /// Towards data nodes and sentinels alike; `None` is plain text.
    pub tls: Option<Tls>,
    /// Where it may go, whoever names the place.
    pub reach: Reach,
}

/// The three ways to run Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topology {
    /// One node.
    Single,
    /// Redis Cluster; the addresses are seeds.
    Cluster,
    /// A master found by Sentinel; the addresses are sentinels.
    Sentinel {
        /// The name that the sentinels watch it under; without one nothing can be read.
        master: Option<String>,
        /// Who we are at the sentinels.
        login: Option<Login>,
    },
}

/// A login. Without a user name it is `default`'s.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The ACL user.
    pub username: Option<String>,
    /// Never empty.
    pub password: Secret,
}

impl Connection {
    /// The id that the sampler backs off by.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let label = match &self.topology {
            Topology::Single => {
                format!("{scheme}://{}/{}", self.addresses.first().map_or("", String::as_str), self.database)
            }
            Topology::Cluster => format!("{scheme}+cluster://{}", self.addresses.join(",")),
            Topology::Sentinel { master, .. } => {
                let master = master.as_deref().unwrap_or_default();
                format!("{scheme}+sentinel://{}/{master}/{}", self.addresses.join(","), self.database)
            }
        };
        ConnectionId::new(self, &label, Tls::encryption(self.tls.as_ref()))
    }
}
