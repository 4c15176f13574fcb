//! Who logs in, and with which TLS: user and password, a client certificate, or OAuth 2.0.
//!
//! What KEDA takes from a TriggerAuthentication is taken from the metadata, since KEDA forwards nothing else.

use super::{
    address::{Address, HOST, Protocol, pairs},
    connection::Login,
};
use crate::{
    identity::{azure::Azure, oauth::OAuth},
    limits,
    metadata::{Reader, Secret},
    net::{Cloud, Reach, tls::Tls},
};

const TOKEN_URI: &str = "oauthTokenURI";
const RESOURCE: &str = "workloadIdentityResource";

/// Everything the metadata says of logins.
#[derive(Debug)]
pub(super) struct Credentials {
    /// `tls: enable`.
    pub tls_enabled: bool,
    tls: Tls,
    /// Both or none.
    user: Option<(String, Secret)>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scopes: Vec<String>,
    parameters: Vec<(String, Secret)>,
    workload_identity: Option<Azure>,
}

impl Credentials {
    pub fn read(keys: &mut Reader<'_>) -> Self {
        let tls_enabled = keys.choice("tls", &[("enable", true), ("disable", false)], false);
        let tls = Tls::read(keys);
        let user = match (keys.text("username"), keys.secret("password")) {
            (Some(username), Some(password)) => Some((username.to_owned(), password)),
            (None, None) => None,
            _ => {
                keys.problem("username", "`username` and `password` go together: give both, or neither");
                None
            }
        };
        let token_uri = keys.text(TOKEN_URI).map(str::to_owned);
        let client_id = keys.text("clientID").map(str::to_owned);
        let client_secret = keys.secret("clientSecret");
        let scopes = keys.first_of(&["scopes", "scope"]).unwrap_or_default();
        let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let parameters = keys.text("endpointParams").map(pairs);
        if matches!(parameters, Some(None)) {
            keys.problem("endpointParams", "`endpointParams` must be form-encoded, as `audience=a%20b&x=y`");
        }
        let parameters = parameters.flatten().unwrap_or_default();
        let parameters = parameters.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        let workload_identity = azure(keys);
        Self { tls_enabled, tls, user, token_uri, client_id, client_secret, scopes, parameters, workload_identity }
    }

    /// What excludes what.
    pub fn check_oauth(&self, keys: &mut Reader<'_>, protocol: Option<Protocol>) {
        if self.workload_identity.is_some() && protocol == Some(Protocol::Amqp) {
            let text = format!("`{RESOURCE}` needs the management API: give its `https://` URL as `{HOST}`");
            keys.problem(RESOURCE, text);
        }
        let given = [
            (TOKEN_URI, self.token_uri.is_some()),
            ("clientID", self.client_id.is_some()),
            ("clientSecret", self.client_secret.is_some()),
        ];
        if !given.iter().any(|(_, given)| *given) {
            return;
        }
        for (key, _) in given.iter().filter(|(_, given)| !given) {
            keys.problem(key, format!("`{TOKEN_URI}`, `clientID` and `clientSecret` go together: `{key}` is missing"));
        }
        if protocol == Some(Protocol::Amqp) {
            keys.problem(
                TOKEN_URI,
                format!("`{TOKEN_URI}` needs the management API: give its `http://` URL as `{HOST}`"),
            );
        }
        if self.user.is_some() || self.workload_identity.is_some() {
            keys.problem(TOKEN_URI, format!("`{TOKEN_URI}` excludes `username` and `{RESOURCE}`: keep one login"));
        }
        let legal = self.token_uri.as_deref().is_none_or(|uri| {
            Address::parse(uri).is_ok_and(|at| matches!(at.scheme.as_str(), "http" | "https") && !at.host.is_empty())
        });
        if !legal {
            keys.problem(TOKEN_URI, format!("`{TOKEN_URI}` must be an `https://` URL"));
        }
        if !self.scopes.is_empty() && self.parameters.iter().any(|(name, _)| name == "scope") {
            keys.problem("endpointParams", "`endpointParams` must not hold `scope` beside `scopes`: keep one");
        }
    }

    /// The TLS material; without `tls: enable` only the system's roots, as in KEDA.
    pub fn tls(&self) -> Tls {
        if self.tls_enabled {
            return self.tls.clone();
        }
        Tls { skip_verify: self.tls.skip_verify, ..Tls::default() }
    }

    /// The keys come before the URL's user part, that before `guest`. `None` after a problem.
    pub fn amqp_login(&self, keys: &mut Reader<'_>, address: &Address) -> Option<Login> {
        let has_certificate = self.tls_enabled && self.tls.cert.is_some();
        if has_certificate && self.user.is_none() && address.password.is_none() {
            return Some(Login::External);
        }
        let (username, password) = self.user.clone().unwrap_or_else(|| {
            let guest = "guest";
            let username = address.username.as_deref().filter(|name| !name.is_empty()).unwrap_or(guest);
            (username.to_owned(), address.password.clone().unwrap_or_else(|| Secret::new(guest)))
        });
        if username.len() > limits::AMQP_NAME {
            let key = if self.user.is_some() { "username" } else { HOST };
            let most = limits::AMQP_NAME;
            keys.problem(
                key,
                format!("`{key}` has a user name of more than {most} bytes: RabbitMQ takes none over AMQP"),
            );
        }
        match address.parameter("auth_mechanism").map(str::to_ascii_lowercase).as_deref() {
            None | Some("plain") => Some(Login::Password { username, password }),
            Some("amqplain") => Some(Login::AmqPlain { username, password }),
            Some("external") => Some(Login::External),
            Some(_) => {
                let text = format!("`{HOST}` has an `auth_mechanism` that is none of `plain`, `amqplain`, `external`");
                keys.problem(HOST, text);
                None
            }
        }
    }

    /// A token beats the keys, those beat the URL's user part; without any there is no login.
    pub fn http_login(&self, keys: &mut Reader<'_>, address: &Address, reach: &Reach) -> Login {
        if let Some(azure) = &self.workload_identity {
            let verified = address.scheme == "https" && !self.tls.skip_verify;
            if let Err(refusal) = reach.check_identity(Cloud::Azure, &address.host, verified) {
                keys.problem(RESOURCE, format!("`{RESOURCE}`: {refusal}"));
            }
            return Login::Azure(azure.clone());
        }
        if let (Some(token_uri), Some(client_id), Some(client_secret)) =
            (&self.token_uri, &self.client_id, &self.client_secret)
        {
            let refusal = Address::parse(token_uri).ok().and_then(|at| reach.check_host(&at.host).err());
            if let Some(refusal) = refusal {
                keys.problem(TOKEN_URI, format!("`{TOKEN_URI}`: {refusal}"));
            }
            return Login::OAuth(OAuth {
                token_uri: token_uri.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                scopes: self.scopes.clone(),
                parameters: self.parameters.clone(),
            });
        }
        let (username, password) = match &self.user {
            Some((username, password)) => (Some(username.clone()), Some(password.clone())),
            None => (address.username.clone(), address.password.clone()),
        };
        match (username, password) {
            (Some(username), password) => Login::Password { username, password: password.unwrap_or_default() },
            (None, _) => Login::Anonymous,
        }
    }
}

/// The server's own workload identity, for an application that stands for RabbitMQ. Only those: a token for one of
/// Microsoft's own services would be worth something elsewhere.
fn azure(keys: &mut Reader<'_>) -> Option<Azure> {
    let client_id = keys.text("identityId").map(str::to_owned);
    let tenant_id = keys.text("identityTenantId").map(str::to_owned);
    let resource = keys.text(RESOURCE)?.to_owned();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
    let application = resource.strip_prefix("api://").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(legal));
    if !application {
        let text = format!(
            "`{RESOURCE}` must be the `api://` URI of an application that stands for RabbitMQ in Microsoft Entra"
        );
        keys.problem(RESOURCE, text);
    }
    let resource = resource.trim_end_matches('/');
    let scope = if resource.ends_with(".default") { resource.to_owned() } else { format!("{resource}/.default") };
    Some(Azure { scope, client_id, tenant_id })
}
