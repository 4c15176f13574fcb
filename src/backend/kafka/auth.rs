//! Who logs in to the cluster, and TLS: KEDA's TriggerAuthentication keys, taken from the metadata.
//!
//! Fields first, then the checks in KEDA's order. Not for: logging in (`client`), reading PEM (`net::tls`).

#[cfg(feature = "gssapi")]
use super::kerberos::Kerberos;
use super::{
    connection::{Login, MskIam, Oidc, Sasl},
    servers::host,
    spec::Dialect,
};
use crate::{
    error::give_login,
    identity::{
        aws::{Credentials, read_region},
        oauth::OAuth,
    },
    metadata::{Reader, Secret},
    net::{Reach, tls::Tls},
};

const SASL: &str = "sasl";
const TLS: &str = "tls";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const ENDPOINT: &str = "oauthTokenEndpointUri";
const EXTENSIONS: &str = "oauthExtensions";
const KEYTAB: &str = "keytab";
const REGION: &str = "awsRegion";
const ACCESS_KEY: &str = "awsAccessKeyID";
const SECRET_KEY: &str = "awsSecretAccessKey";

/// Keys that only some logins need: known, so no warning, and not looked at by the others.
const SHARED_KEYS: [&str; 14] = [
    USERNAME,
    PASSWORD,
    REGION,
    "awsRoleArn",
    ACCESS_KEY,
    "awsAccessKeyId",
    SECRET_KEY,
    "awsSessionToken",
    "identityOwner",
    "ca",
    "cert",
    "key",
    "keyPassword",
    "skipTlsVerify",
];
const KAFKA_KEYS: [&str; 7] =
    ["scopes", ENDPOINT, EXTENSIONS, KEYTAB, "realm", "kerberosConfig", "kerberosServiceName"];

/// What the metadata says about TLS and the login, each field by itself.
#[derive(Debug)]
pub struct Auth {
    dialect: Dialect,
    tls: bool,
    mechanism: Mechanism,
    /// The value of `sasl`, for texts.
    word: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Mechanism {
    None,
    Plain,
    Scram256,
    Scram512,
    Oidc,
    MskIam,
    Gssapi,
}

/// The legal words of `sasl` by dialect. `oauthbearer` is OIDC here, until `saslTokenProvider` says otherwise.
fn mechanisms(dialect: Dialect) -> Vec<(&'static str, (&'static str, Mechanism))> {
    let mut words = vec![
        ("none", Mechanism::None),
        ("plaintext", Mechanism::Plain),
        ("scram_sha256", Mechanism::Scram256),
        ("scram_sha512", Mechanism::Scram512),
        ("gssapi", Mechanism::Gssapi),
    ];
    words.push(match dialect {
        Dialect::Kafka => ("oauthbearer", Mechanism::Oidc),
        Dialect::ApacheKafka => ("aws_msk_iam", Mechanism::MskIam),
    });
    words.into_iter().map(|(word, mechanism)| (word, (word, mechanism))).collect()
}

impl Auth {
    /// Reads the fields that are looked at whatever the login.
    pub fn read(dialect: Dialect, keys: &mut Reader<'_>) -> Self {
        let tls = keys.choice(TLS, &[("enable", true), ("disable", false)], false);
        let (word, mut mechanism) = keys.choice(SASL, &mechanisms(dialect), ("none", Mechanism::None));
        keys.accept(&SHARED_KEYS);
        if dialect == Dialect::Kafka {
            keys.accept(&KAFKA_KEYS);
            keys.boolean("kerberosDisableFAST", false);
            let msk = keys.choice("saslTokenProvider", &[("bearer", false), ("aws_msk_iam", true)], false);
            if let (Mechanism::Oidc, true) = (mechanism, msk) {
                mechanism = Mechanism::MskIam;
            }
        }
        Self { dialect, tls, mechanism, word }
    }

    /// Checks them against each other and reads what this login needs.
    pub fn check(self, keys: &mut Reader<'_>, reach: &Reach) -> (Option<Tls>, Option<Sasl>) {
        let tls = self.tls.then(|| Tls::read(keys));
        let sasl = match self.mechanism {
            Mechanism::None => None,
            Mechanism::Plain => Some(Sasl::Plain(self.login(keys))),
            Mechanism::Scram256 => Some(Sasl::Scram256(self.login(keys))),
            Mechanism::Scram512 => Some(Sasl::Scram512(self.login(keys))),
            Mechanism::Oidc => Some(Sasl::OauthOidc(self.oidc(keys))),
            Mechanism::MskIam => self.msk_iam(keys),
            Mechanism::Gssapi => self.gssapi(keys, reach),
        };
        (tls, sasl)
    }

    fn login(&self, keys: &mut Reader<'_>) -> Login {
        Login { username: self.needed(USERNAME, keys).to_owned(), password: Secret::new(self.needed(PASSWORD, keys)) }
    }

    fn needed<'m>(&self, key: &'static str, keys: &mut Reader<'m>) -> &'m str {
        keys.text(key).unwrap_or_else(|| {
            let word = self.word;
            let login = give_login(&[USERNAME, PASSWORD]);
            let text = format!(
                "`{key}` is missing: with `{SASL}: {word}` both `{USERNAME}` and `{PASSWORD}` are required: {login}"
            );
            keys.problem(key, text);
            ""
        })
    }

    fn oidc(&self, keys: &mut Reader<'_>) -> Oidc {
        let Login { username, password } = self.login(keys);
        let token_endpoint = keys.text(ENDPOINT).unwrap_or_default().to_owned();
        if token_endpoint.is_empty() {
            keys.problem(
                ENDPOINT,
                format!("`{ENDPOINT}` is missing: with `{SASL}: oauthbearer` it says where tokens come from"),
            );
        }
        let scopes = keys.list("scopes").unwrap_or_default();
        let scopes = scopes.into_iter().filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let oauth = OAuth {
            token_uri: token_endpoint,
            client_id: username,
            client_secret: password,
            scopes,
            parameters: Vec::new(),
        };
        Oidc { oauth, extensions: extensions(keys) }
    }

    fn msk_iam(&self, keys: &mut Reader<'_>) -> Option<Sasl> {
        let tls_missing = !self.tls && !keys.has_problem(TLS);
        let need_tls = |keys: &mut Reader<'_>| {
            if tls_missing {
                keys.problem(TLS, format!("`{TLS}: enable` is required: Amazon MSK takes an IAM login over TLS only"));
            }
        };
        if self.dialect == Dialect::Kafka {
            need_tls(keys);
        }
        let region = read_region(keys, REGION).unwrap_or_default();
        if region.is_empty() {
            keys.problem(REGION, format!("`{REGION}` is missing: an IAM login is signed for the cluster's region"));
        }
        if self.dialect == Dialect::ApacheKafka {
            need_tls(keys);
        }
        let login = Sasl::MskIam(MskIam { region, credentials: aws_credentials(keys) });
        if cfg!(feature = "msk") {
            return Some(login);
        }
        keys.problem(SASL, format!("`{SASL}: {}` {}", self.word, without("Amazon MSK's login", "msk")));
        None
    }

    /// KEDA's Apache Kafka scaler takes the word and then cannot log in by it.
    fn gssapi(&self, keys: &mut Reader<'_>, reach: &Reach) -> Option<Sasl> {
        if self.dialect == Dialect::ApacheKafka {
            keys.problem(SASL, format!("`{SASL}: gssapi` is for `scalerType: kafka` only: use that"));
            return None;
        }
        let missing = |key: &str| format!("`{key}` is missing: `{SASL}: gssapi` needs it");
        if keys.text(USERNAME).is_none() {
            keys.problem(USERNAME, missing(USERNAME));
        }
        if keys.secret(PASSWORD).is_some() == keys.secret(KEYTAB).is_some() {
            keys.problem(KEYTAB, format!("`{SASL}: gssapi` needs exactly one of `{PASSWORD}` and `{KEYTAB}`"));
        }
        for key in ["realm", "kerberosConfig"] {
            if keys.text(key).is_none() {
                keys.problem(key, missing(key));
            }
        }
        gssapi(keys, reach)
    }
}

fn without(what: &str, feature: &str) -> String {
    format!(
        "needs {what}, which this build does not have: use one with the cargo feature `{feature}`, or another login"
    )
}

#[cfg(feature = "gssapi")]
fn gssapi(keys: &mut Reader<'_>, reach: &Reach) -> Option<Sasl> {
    Kerberos::read(keys, reach).map(|kerberos| Sasl::Gssapi(Box::new(kerberos)))
}

#[cfg(not(feature = "gssapi"))]
fn gssapi(keys: &mut Reader<'_>, _reach: &Reach) -> Option<Sasl> {
    keys.problem(SASL, format!("`{SASL}: gssapi` {}", without("Kerberos", "gssapi")));
    None
}

/// `k=v,k2=v2`, as strict as KEDA: nothing trimmed, and no `=` in a value.
fn extensions(keys: &mut Reader<'_>) -> Vec<(String, String)> {
    let Some(text) = keys.text(EXTENSIONS) else { return Vec::new() };
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=')?;
        (!value.contains('=')).then(|| (name.to_owned(), value.to_owned()))
    };
    text.split(',').map(pair).collect::<Option<_>>().unwrap_or_else(|| {
        keys.problem(
            EXTENSIONS,
            format!("`{EXTENSIONS}` must be pairs such as `name=value`, with commas between them"),
        );
        Vec::new()
    })
}

/// The server's own identity at a cloud is shown only where the rules allow it: to each of `servers`, in a login that
/// uses it.
pub fn check_identity(
    sasl: Option<&Sasl>,
    tls: Option<&Tls>,
    servers: &[String],
    keys: &mut Reader<'_>,
    reach: &Reach,
) {
    let Some(sasl) = sasl.filter(|_| !keys.has_problem(TLS)) else { return };
    let refused = servers.iter().find_map(|server| sasl.check_identity(reach, host(server)?, tls).err());
    if let Some(refusal) = refused {
        keys.problem(SASL, format!("`{SASL}`: {refusal}"));
    }
}

/// In the order of KEDA's Kafka scalers: a role comes before `identityOwner: operator` here.
fn aws_credentials(keys: &mut Reader<'_>) -> Credentials {
    let owner = keys.text("identityOwner").unwrap_or("pod");
    let role = keys.text("awsRoleArn").filter(|_| matches!(owner, "pod" | "operator"));
    if let Some(role) = role {
        return Credentials::AssumeRole { arn: role.to_owned(), external_id: None };
    }
    if owner != "pod" {
        return Credentials::DefaultChain;
    }
    let access_key_id = keys.first_of(&[ACCESS_KEY, "awsAccessKeyId"]);
    let (secret_access_key, session_token) = (keys.secret(SECRET_KEY), keys.secret("awsSessionToken"));
    let Some(access_key_id) = access_key_id else {
        if secret_access_key.is_some() || session_token.is_some() {
            keys.problem(ACCESS_KEY, format!("`{ACCESS_KEY}` is missing: `{SECRET_KEY}` is of no use without it"));
        }
        // Nothing is said of whose rights to use: the server's own.
        return Credentials::DefaultChain;
    };
    let secret_access_key = secret_access_key.unwrap_or_default();
    if secret_access_key.expose().is_empty() {
        keys.problem(SECRET_KEY, format!("`{SECRET_KEY}` is missing: `{ACCESS_KEY}` needs it"));
    }
    Credentials::Static { access_key_id: access_key_id.to_owned(), secret_access_key, session_token }
}
