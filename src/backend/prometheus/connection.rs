//! What makes a connection: the server, who asks and by which headers, and TLS.

use std::fmt;

use crate::{
    backend::ConnectionId,
    identity::{aws, azure::Azure, google::Google, oauth::OAuth},
    metadata::Secret,
    net::{
        Reach,
        http::{self, Url},
        tls::Tls,
    },
};

/// Where to ask, and as whom. `Debug` shows scheme, host and port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// `http` or `https`, without query and fragment; may hold a user part and a path.
    pub server: Url,
    /// What goes with each request. Headers tell tenants apart (`X-Scope-OrgID`), so they are part of the connection:
    /// one tenant that is throttled holds off no other.
    pub headers: Vec<(String, Secret)>,
    /// Who asks.
    pub auth: Auth,
    /// For `https`.
    pub tls: Tls,
    /// How far it may go.
    pub reach: Reach,
}

/// How a request shows who sends it. All that are set are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Auth {
    /// What `Authorization` holds.
    pub authorization: Authorization,
    /// A header of the server's own.
    pub custom: Option<(String, Secret)>,
    /// A key in a header or a query parameter.
    pub api_key: Option<ApiKey>,
}

/// The ways to fill the header `Authorization`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Authorization {
    /// Not at all, unless the server's address has a user part.
    #[default]
    None,
    /// User and password.
    Basic {
        /// Not a secret.
        username: String,
        /// May be empty.
        password: Secret,
    },
    /// A token that the trigger gives.
    Bearer(Secret),
    /// A token from an OAuth 2.0 server.
    OAuth(OAuth),
    /// A signature with AWS credentials (Amazon Managed Service for Prometheus).
    Aws {
        /// Whose.
        credentials: aws::Credentials,
        /// Where the workspace is.
        region: String,
    },
    /// A token from Google (Managed Service for Prometheus).
    Google(Google),
    /// A token from Microsoft's Entra (Azure Monitor) for the server's own workload identity.
    Azure(Azure),
}

/// `authModes: apiKey`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiKey {
    /// Of the header or parameter.
    pub name: String,
    /// The key itself.
    pub key: Secret,
    /// A query parameter instead of a header.
    pub in_query: bool,
}

impl Connection {
    /// Equal connections back off together.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        let tls = Some(&self.tls).filter(|_| self.server.scheme() == "https");
        ConnectionId::new(self, &self.server.origin().ascii_serialization(), Tls::encryption(tls))
    }

    /// Whether a request shows nobody who sends it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.auth == Auth::default() && self.headers.is_empty() && self.server.username().is_empty()
    }

    /// The server in backticks, for people.
    #[must_use]
    pub fn place(&self) -> String {
        http::place(&self.server)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}
