//! What makes a connection: triggers with equal ones share a client, its credentials and its back-off.

use crate::{
    backend::ConnectionId,
    identity::aws::Credentials,
    net::{Reach, tls::Encryption},
};

/// Where SQS is, and with whose rights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Requests are signed for it, and without an endpoint go there.
    pub region: String,
    /// In place of AWS's own: `http://elasticmq:9324`.
    pub endpoint: Option<String>,
    /// Whose rights we use.
    pub credentials: Credentials,
    /// How far it may go.
    pub reach: Reach,
}

impl Connection {
    /// The id that the sampler backs off by.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        let place = self.endpoint_host().unwrap_or(&self.region);
        let label = match &self.credentials {
            Credentials::DefaultChain => format!("sqs://{place}"),
            other => format!("sqs://{place} as {}", other.describe()),
        };
        // AWS's own endpoints, and what the environment names in their place, are HTTPS unless somebody says otherwise.
        let plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http:"));
        ConnectionId::new(self, &label, if plain { Encryption::None } else { Encryption::Verified })
    }

    /// For people: ``SQS in `eu-west-1` ``.
    #[must_use]
    pub fn place(&self) -> String {
        match self.endpoint_host() {
            Some(host) => format!("SQS at `{host}`"),
            None => format!("SQS in `{}`", self.region),
        }
    }

    /// Without a user part.
    fn endpoint_host(&self) -> Option<&str> {
        let rest = self.endpoint.as_deref()?.split_once("://")?.1;
        let authority = rest.split('/').next()?;
        Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
    }
}
