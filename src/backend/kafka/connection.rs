//! What makes one connection to a Kafka cluster: where it is, TLS and the login. Plain data.
//!
//! Two triggers with an equal [`Connection`] share one client. Not for: reading it from metadata (`spec.rs`) or
//! using it (`link.rs`, `sasl.rs`).

#[cfg(feature = "gssapi")]
use super::kerberos::Kerberos;
use crate::{
    identity::{aws::Credentials, oauth::OAuth},
    metadata::Secret,
    net::{Reach, Refusal, tls::Tls},
};

/// One Kafka cluster as one login sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Bootstrap servers, each `host:port` and nothing else, so that they can be shown.
    pub servers: Vec<String>,
    /// TLS to every broker; `None` is plaintext.
    pub tls: Option<Tls>,
    /// The login; `None` is an anonymous one.
    pub sasl: Option<Sasl>,
    /// Where brokers may be, bootstrap servers and those that the cluster advertises.
    pub reach: Reach,
}

/// How we log in. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sasl {
    /// PLAIN.
    Plain(Login),
    /// SCRAM-SHA-256.
    Scram256(Login),
    /// SCRAM-SHA-512.
    Scram512(Login),
    /// OAUTHBEARER with a token from an OIDC client credentials grant.
    OauthOidc(Oidc),
    /// OAUTHBEARER with a token signed for Amazon MSK.
    MskIam(MskIam),
    /// GSSAPI: a ticket of Kerberos.
    #[cfg(feature = "gssapi")]
    Gssapi(Box<Kerberos>),
}

/// A name and its password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Where an OAUTHBEARER token comes from: an OAuth 2.0 client credentials grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Oidc {
    /// KEDA's `username` and `password` are the client here.
    pub oauth: OAuth,
    /// SASL extensions, sent to the broker beside the token.
    pub extensions: Vec<(String, String)>,
}

/// A login to Amazon MSK by IAM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MskIam {
    /// The cluster's AWS region.
    pub region: String,
    /// Whose rights we use.
    pub credentials: Credentials,
}

impl Connection {
    /// For people: `kafka://b1:9092,b2:9092`; no user part.
    #[must_use]
    pub fn label(&self) -> String {
        format!("kafka://{}", self.servers.join(","))
    }
}

impl Sasl {
    /// Whether a login at `host` may show what it shows: only one with the server's own identity at a cloud can be
    /// refused.
    pub fn check_identity(&self, reach: &Reach, host: &str, tls: Option<&Tls>) -> Result<(), Refusal> {
        match self {
            Self::MskIam(msk) => msk.credentials.check(reach, host, tls.is_some_and(|tls| !tls.skip_verify)),
            Self::Plain(_) | Self::Scram256(_) | Self::Scram512(_) | Self::OauthOidc(_) => Ok(()),
            #[cfg(feature = "gssapi")]
            Self::Gssapi(_) => Ok(()),
        }
    }

    /// The mechanism's name on the wire.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain(_) => "PLAIN",
            Self::Scram256(_) => "SCRAM-SHA-256",
            Self::Scram512(_) => "SCRAM-SHA-512",
            Self::OauthOidc(_) | Self::MskIam(_) => "OAUTHBEARER",
            #[cfg(feature = "gssapi")]
            Self::Gssapi(_) => "GSSAPI",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_text_of_a_connection_shows_no_secret() {
        let secret = || Secret::new("hunter2");
        let login = || Login { username: "user".into(), password: secret() };
        let oauth = OAuth {
            token_uri: "https://id/token".into(),
            client_id: "id".into(),
            client_secret: secret(),
            scopes: vec![],
            parameters: vec![],
        };
        let keys = Credentials::Static {
            access_key_id: "AKIA".into(),
            secret_access_key: secret(),
            session_token: Some(secret()),
        };
        let logins = [
            Sasl::Plain(login()),
            Sasl::Scram256(login()),
            Sasl::Scram512(login()),
            Sasl::OauthOidc(Oidc { oauth, extensions: vec![] }),
            Sasl::MskIam(MskIam { region: "eu-central-1".into(), credentials: keys }),
        ];
        for sasl in logins {
            let connection =
                Connection { servers: vec!["b1:9092".into()], tls: None, sasl: Some(sasl), reach: Reach::open() };
            assert!(!format!("{connection:?}").contains("hunter2"), "{connection:?}");
        }
    }
}
