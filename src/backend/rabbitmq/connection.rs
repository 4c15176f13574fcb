//! What makes one connection to RabbitMQ: where it is, the vhost, the login and TLS. Plain data.
//!
//! Two triggers with an equal [`Connection`] share one client. Not for: reading it from metadata (`spec.rs`).

use std::time::Duration;

use crate::{
    backend::ConnectionId,
    identity::{azure::Azure, oauth::OAuth},
    metadata::Secret,
    net::{Reach, http::escape, tls::Tls},
};

/// One vhost of one RabbitMQ as one login sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Connection {
    /// By AMQP 0-9-1.
    Amqp(Amqp),
    /// By the management plugin's HTTP API.
    Management(Management),
}

/// Over AMQP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amqp {
    /// A name or an address, without brackets.
    pub host: String,
    /// 5672, or 5671 with TLS, unless given.
    pub port: u16,
    /// `amqps`; `None` is plain text.
    pub tls: Option<Tls>,
    /// What the certificate must be for, where that is not the host.
    pub server_name: Option<String>,
    /// Decoded.
    pub vhost: String,
    /// Who we are.
    pub login: Login,
    /// `heartbeat` of the URL.
    pub heartbeat: Option<u16>,
    /// `connection_timeout` of the URL: for the TCP connection and TLS.
    pub connect_timeout: Option<Duration>,
    /// Where connections may go.
    pub reach: Reach,
}

/// Over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Management {
    /// `scheme://host:port`, no user part.
    pub origin: String,
    /// Where the API is below that: empty, or encoded segments with a leading slash.
    pub sub_path: String,
    /// Decoded.
    pub vhost: String,
    /// Who we are.
    pub login: Login,
    /// For `https`; also towards the token endpoint.
    pub tls: Tls,
    /// Where connections may go.
    pub reach: Reach,
}

/// How we log in. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// Not at all: HTTP without an `Authorization` header.
    Anonymous,
    /// PLAIN, or HTTP Basic.
    Password {
        /// The user.
        username: String,
        /// May be empty.
        password: Secret,
    },
    /// The same over AMQP's older mechanism AMQPLAIN.
    AmqPlain {
        /// The user.
        username: String,
        /// May be empty.
        password: Secret,
    },
    /// EXTERNAL: the client certificate is the login.
    External,
    /// A bearer token from an OAuth 2.0 client credentials grant.
    OAuth(OAuth),
    /// A bearer token of the server's own workload identity.
    Azure(Azure),
}

impl Connection {
    /// The id that the sampler backs off by.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        let tls = match self {
            Self::Amqp(amqp) => amqp.tls.as_ref(),
            Self::Management(api) => Some(&api.tls).filter(|_| api.origin.starts_with("https:")),
        };
        ConnectionId::new(self, &self.label(), Tls::encryption(tls))
    }

    /// For people: scheme, address and vhost.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Amqp(amqp) => format!("{}/{}", amqp.origin(), escape(&amqp.vhost)),
            Self::Management(api) => format!("{}{}/{}", api.origin, api.sub_path, escape(&api.vhost)),
        }
    }

    /// Decoded.
    #[must_use]
    pub fn vhost(&self) -> &str {
        match self {
            Self::Amqp(amqp) => &amqp.vhost,
            Self::Management(api) => &api.vhost,
        }
    }
}

impl Amqp {
    /// `scheme://host:port`, for people.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        if self.host.contains(':') {
            return format!("{scheme}://[{}]:{}", self.host, self.port);
        }
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}
