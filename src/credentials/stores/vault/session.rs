//! A login at Vault: its token, looked up, renewed at two thirds of its life, and got anew where that is not possible.
//!
//! Not for: what the token is used for (`mod.rs`).

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::link::{Link, Way};
use crate::{
    credentials::stores::{denied, invalid, json::Json},
    error::{ReadError, ReadErrorKind, quoted},
    identity::{
        cache::Cache,
        kept::{Issuer, Kept},
    },
    limits,
    metadata::Secret,
    net::http::Method,
};

/// How one logs in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// With a token that somebody has made; `own` is the server's.
    Token { token: Secret, own: bool },
    /// As a ServiceAccount.
    Kubernetes { mount: String, role: String, jwt: Jwt },
}

/// A ServiceAccount's token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Jwt {
    /// This one.
    Given(Secret),
    /// What this file of the server's holds at login.
    File(PathBuf),
}

/// Everybody with the same login at the same Vault has the same token.
pub struct Session(Kept<Source>);

/// A token that Vault takes.
#[derive(Clone)]
pub struct Token {
    pub secret: Secret,
    /// Another one with each login, the same after a renewal: what was leased to it ends with it.
    pub number: u64,
    /// When it is to be renewed.
    pub due: Instant,
}

struct Source {
    link: Link,
    login: Login,
    held: Mutex<Option<Held>>,
    logins: AtomicU64,
}

#[derive(Clone)]
struct Held {
    secret: Secret,
    number: u64,
    renewable: bool,
    /// At login.
    life: Duration,
    ends: Instant,
}

static SESSIONS: LazyLock<Cache<(Way, Login), Session>> = LazyLock::new(Cache::default);
const DEFAULT_JWT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

impl Session {
    /// The session of this login, for as long as somebody holds it. Asks nobody yet.
    pub fn of(way: Way, login: Login) -> Arc<Self> {
        SESSIONS.get((way, login), |(way, login)| {
            let source = Source {
                link: Link::new(way.clone()),
                login: login.clone(),
                held: Mutex::new(None),
                logins: AtomicU64::new(0),
            };
            Self(Kept::new(source))
        })
    }

    /// A token that is good for a while yet.
    pub async fn token(&self) -> Result<Token, ReadError> {
        self.0.get().await
    }

    /// The way to its Vault.
    pub fn link(&self) -> &Link {
        &self.0.link
    }

    /// Whether Vault still takes `token`; if not, the next one who asks gets another.
    pub async fn is_good(&self, token: &Token) -> Result<bool, ReadError> {
        let good = self.0.link.ask(Method::GET, LOOKUP, Some(&token.secret), None).await?.is_ok();
        if !good {
            drop(self.0.held.lock().take_if(|held| held.number == token.number));
            self.0.forget();
        }
        Ok(good)
    }
}

const LOOKUP: &str = "auth/token/lookup-self";
const RENEW: &str = "auth/token/renew-self";

impl Source {
    /// The token at hand with a new end, if it can have one.
    async fn renewed(&self) -> Result<Option<Held>, ReadError> {
        let held = self.held.lock().clone();
        let Some(held) = held.filter(|held| held.renewable && Instant::now() < held.ends) else { return Ok(None) };
        let body = Some(Zeroizing::new(b"{}".to_vec()));
        let Ok(said) = self.link.ask(Method::PUT, RENEW, Some(&held.secret), body).await? else { return Ok(None) };
        let auth = said.get("auth");
        let life = auth.and_then(|auth| auth.get("lease_duration")?.number()).map(Duration::from_secs);
        // Towards the longest life that it may have, a renewal gives less and less: it is time for another one.
        Ok(life
            .filter(|life| *life > Duration::ZERO && *life >= held.life / 2)
            .map(|life| Held { ends: Instant::now() + life, ..held }))
    }

    async fn logged_in(&self) -> Result<Held, ReadError> {
        let secret = match &self.login {
            Login::Token { token, own } => {
                if *own {
                    self.link.way.may_see_our_own("`VAULT_TOKEN` of the server")?;
                }
                token.clone()
            }
            Login::Kubernetes { mount, role, jwt } => self.by_jwt(mount, role, jwt).await?,
        };
        let place = self.link.way.place();
        let said = self.link.ask(Method::GET, LOOKUP, Some(&secret), None).await?.map_err(|refusal| {
            denied(&format!(
                "{place} refuses the token at `{LOOKUP}` with {}: give one that has not ended and may ask for itself",
                refusal.said
            ))
        })?;
        let data = said.get("data");
        let ttl = data.and_then(|data| data.get("ttl")?.number()).unwrap_or(0);
        // One without an end is looked up again all the same.
        let life = if ttl == 0 { limits::LONGEST_LIFE } else { Duration::from_secs(ttl) };
        let renewable = ttl > 0 && data.is_some_and(|data| matches!(data.get("renewable"), Some(Json::True)));
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        Ok(Held { secret, number, renewable, life, ends: Instant::now() + life })
    }

    async fn by_jwt(&self, mount: &str, role: &str, jwt: &Jwt) -> Result<Secret, ReadError> {
        let jwt = match jwt {
            Jwt::Given(token) => token.clone(),
            Jwt::File(path) => {
                self.link.way.may_see_our_own("a ServiceAccount's token of the server's own pod")?;
                of_file(path)?
            }
        };
        let place = self.link.way.place();
        let body = Zeroizing::new(serde_json::json!({"jwt": jwt.expose(), "role": role}).to_string().into_bytes());
        let path = format!("auth/{}/login", mount.trim_matches('/'));
        let said = self.link.ask(Method::PUT, &path, None, Some(body)).await?.map_err(|refusal| {
            denied(&format!(
                "{place} refuses the login at `{}` as role `{}` with {}: check `mount`, `role`, and the ServiceAccounts and \
                 namespaces that the role is bound to",
                quoted(&path),
                quoted(role),
                refusal.said
            ))
        })?;
        let token = said.get("auth").and_then(|auth| auth.get("client_token")?.text());
        token.map(Secret::new).ok_or_else(|| {
            let text = format!("{place} gives no token at `{}`: correct `hashiCorpVault.mount`", quoted(&path));
            ReadError::new(ReadErrorKind::BadReply, text).of_source()
        })
    }
}

#[async_trait]
impl Issuer for Source {
    type Value = Token;

    async fn issue(&self) -> Result<(Token, Duration), ReadError> {
        let held = match self.renewed().await {
            Ok(Some(held)) => held,
            Ok(None) => self.logged_in().await?,
            Err(error) => return Err(error),
        };
        let life = held.ends.saturating_duration_since(Instant::now());
        let token = Token { secret: held.secret.clone(), number: held.number, due: Instant::now() + life * 2 / 3 };
        *self.held.lock() = Some(held);
        Ok((token, life))
    }

    fn renewed_after(&self, life: Duration) -> Duration {
        life * 2 / 3
    }

    fn late(&self, patience: Duration) -> ReadError {
        let text = format!("{} gives no token within {patience:?}: check its load", self.link.way.place());
        ReadError::new(ReadErrorKind::Timeout, text).of_source()
    }
}

impl Jwt {
    /// The file that the object names, or that of the server's own pod.
    pub fn file(named: &str) -> Self {
        Self::File(PathBuf::from(if named.is_empty() { DEFAULT_JWT } else { named }))
    }
}

/// The token in a file of the server's, if it is a ServiceAccount's: no other file can be sent away by naming it.
fn of_file(path: &Path) -> Result<Secret, ReadError> {
    let shown = quoted(&path.display().to_string());
    let unusable = |why: &str| invalid(&format!("`hashiCorpVault.credential.serviceAccount`: `{shown}` {why}"));
    let regular = std::fs::metadata(path).map_err(|error| {
        unusable(&format!(
            "cannot be read ({}): mount a ServiceAccount's token, or use `serviceAccountName`",
            error.kind()
        ))
    })?;
    let mut text = Zeroizing::new(String::new());
    let read = regular.is_file()
        && File::open(path).and_then(|file| file.take(limits::STORE_FILE + 1).read_to_string(&mut text)).is_ok()
        && text.len() as u64 <= limits::STORE_FILE;
    let token = text.trim();
    if !read || !is_of_account(token) {
        return Err(unusable("is no token of a ServiceAccount: name the file that Kubernetes mounts"));
    }
    Ok(Secret::new(token))
}

fn is_of_account(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok();
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    claims.is_some_and(|claims| claims.sub.starts_with("system:serviceaccount:"))
}
