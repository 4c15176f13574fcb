//! HashiCorp Vault, and what speaks its protocol: the key-value stores, dynamic secrets, certificates.
//!
//! What belongs together is asked for once: a certificate and its key are of one issue. Not for: writing, or giving a lease
//! back; it ends by itself.

mod link;
mod session;
mod settings;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::{
    link::{Said, Way},
    session::{Jwt, Login, Session, Token},
    settings::Settings,
};
use super::{
    Answer, HOLDS, StoreLogin, Value, invalid,
    json::Json,
    spec::{self, PkiData, VaultSecret},
};
use crate::{
    clock::since_epoch,
    error::{ReadError, quoted},
    limits,
    net::{Reach, http::Method},
};

/// What was made for us is not asked for again earlier than this, whatever a broker says: each one is a user or a certificate.
const MADE_AGAIN: Duration = Duration::from_secs(60);
/// Something made for us whose end nobody states.
const UNSTATED_LIFE: Duration = Duration::from_secs(3600);
/// A lease is renewed no more often than this, whatever it states.
const SHORTEST: Duration = Duration::from_secs(5);

/// All that one object wants of Vault.
pub struct Source {
    session: Arc<Session>,
    groups: Vec<Group>,
    secrets: Vec<VaultSecret>,
    made: Mutex<Vec<Option<Made>>>,
}

/// Secrets that one question answers.
struct Group {
    path: String,
    kind: String,
    pki: PkiData,
    /// Where they are in the spec.
    members: Vec<usize>,
}

/// What Vault has made for us, and not merely kept.
#[derive(Clone)]
struct Made {
    values: Vec<Value>,
    at: Instant,
    due: Instant,
    /// The token that it ends with.
    token: Option<u64>,
}

impl Source {
    pub fn new(of: &spec::Vault, login: &StoreLogin, reach: &Reach) -> Result<Self, ReadError> {
        Self::with(of, login, reach, Settings::of_process())
    }

    fn with(of: &spec::Vault, login: &StoreLogin, reach: &Reach, settings: Settings) -> Result<Self, ReadError> {
        let shown = login_of(of, login, &settings)?;
        let way = Way::new(&of.address, of.namespace.as_deref(), settings, reach)?;
        let mut groups: Vec<Group> = Vec::new();
        for (at, secret) in of.secrets.iter().enumerate() {
            let VaultSecret { path, kind, pki_data: pki, .. } = secret;
            match groups.iter_mut().find(|group| (&group.path, &group.kind, &group.pki) == (path, kind, pki)) {
                Some(group) => group.members.push(at),
                None => {
                    groups.push(Group { path: path.clone(), kind: kind.clone(), pki: pki.clone(), members: vec![at] });
                }
            }
        }
        let made = Mutex::new(vec![None; groups.len()]);
        Ok(Self { session: Session::of(way, shown), groups, secrets: of.secrets.clone(), made })
    }

    /// What is at the group's path. A refusal may be meant for the token, which is got anew then.
    async fn said(&self, group: &Group, token: &mut Token) -> Result<Said, ReadError> {
        let said = self.asked(group, token).await?;
        let of_token = said.as_ref().is_err_and(|refusal| refusal.status.as_u16() == 403);
        if !of_token || self.session.is_good(token).await? {
            return Ok(said);
        }
        *token = self.session.token().await?;
        self.asked(group, token).await
    }

    async fn asked(&self, group: &Group, token: &Token) -> Result<Said, ReadError> {
        let (method, body) = match group.kind.as_str() {
            "pki" => (Method::PUT, Some(Zeroizing::new(issue(&group.pki)))),
            _ => (Method::GET, None),
        };
        let asked = self.session.link().ask(method, &group.path, Some(&token.secret), body).await;
        asked.map_err(|error| {
            let text = format!("path `{}` of `hashiCorpVault` cannot be read, {error}", quoted(&group.path));
            ReadError::new(error.kind, text).of_source()
        })
    }

    /// The values of a group; and, if Vault has made them for us, for how long.
    fn values(&self, group: &Group, said: &Said) -> (Vec<Value>, Option<Duration>) {
        let shown = quoted(&group.path);
        let json = match said {
            Ok(json) => json,
            Err(refusal) => {
                let cure = match refusal.status.as_u16() {
                    403 => "let the token's policy read it",
                    404 => "there is nothing, or it is of the second version and `data/` is missing in the path",
                    _ => "correct the path, its `type` and its `pkiData`",
                };
                let why = |at: &usize| {
                    let key = self.secrets.get(*at).map_or("", |secret| secret.key.as_str());
                    Err(format!(
                        "`hashiCorpVault` has no key `{}` at path `{shown}`, Vault answers {} ({cure})",
                        quoted(key),
                        refusal.said
                    ))
                };
                return (group.members.iter().map(why).collect(), None);
            }
        };
        let data = json.get("data");
        let inner = data.and_then(|data| data.get("data"));
        let (fields, version) = match (group.kind.as_str(), inner) {
            ("", Some(_)) => (
                inner,
                ", taken for the second version since it has a field `data`, set `type: secret` if it is the first",
            ),
            ("secretV2", _) => (inner, ""),
            _ => (data, ""),
        };
        let value = |at: &usize| {
            let key = self.secrets.get(*at).map_or("", |secret| secret.key.as_str());
            let at = format!("key `{}` at path `{shown}`{version}", quoted(key));
            match fields.and_then(|fields| fields.get(key)) {
                Some(Json::Text(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
                Some(Json::List(items)) if group.kind == "pki" && key == "ca_chain" => {
                    let texts: Vec<&str> = items.iter().filter_map(Json::text).collect();
                    Ok(Zeroizing::new(texts.join("\n").into_bytes()))
                }
                Some(other) => Err(format!("`hashiCorpVault` has {} under {at}, where a text must be", other.kind())),
                None => Err(format!("`hashiCorpVault` has no {at}")),
            }
        };
        (group.members.iter().map(value).collect(), life(group, json))
    }
}

/// How the object wants to log in.
fn login_of(of: &spec::Vault, login: &StoreLogin, settings: &Settings) -> Result<Login, ReadError> {
    let credential = of.credential.clone().unwrap_or_default();
    match of.authentication.as_str() {
        "token" => match &settings.token {
            Some(token) => Ok(Login::Token { token: token.clone(), own: true }),
            None if !credential.token.trim().is_empty() => {
                Ok(Login::Token { token: crate::metadata::Secret::new(credential.token.trim()), own: false })
            }
            None => {
                Err(invalid("`hashiCorpVault` has no token: give `credential.token`, or `VAULT_TOKEN` to the server"))
            }
        },
        "kubernetes" => {
            for (name, value) in [("mount", &of.mount), ("role", &of.role)] {
                if value.is_empty() {
                    return Err(invalid(&format!(
                        "`hashiCorpVault.{name}` is missing: `authentication: kubernetes` needs it"
                    )));
                }
            }
            let jwt = match &login.token {
                Some(token) => Jwt::Given(token.clone()),
                None => Jwt::file(&credential.service_account),
            };
            Ok(Login::Kubernetes { mount: of.mount.clone(), role: of.role.clone(), jwt })
        }
        other => Err(invalid(&format!(
            "`hashiCorpVault.authentication: {}` is none that this server has: use `kubernetes` or `token`",
            quoted(other)
        ))),
    }
}

/// What a certificate is asked for with.
fn issue(pki: &PkiData) -> Vec<u8> {
    let PkiData { common_name, alt_names, ip_sans, uri_sans, other_sans, ttl, format } = pki;
    let fields = [
        ("common_name", common_name),
        ("alt_names", alt_names),
        ("ip_sans", ip_sans),
        ("uri_sans", uri_sans),
        ("other_sans", other_sans),
        ("ttl", ttl),
        ("format", format),
    ];
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let body: serde_json::Map<_, _> = given.map(|(name, value)| (name.to_owned(), value.as_str().into())).collect();
    serde_json::Value::Object(body).to_string().into_bytes()
}

/// For how long something holds that was made for us; none for what is merely kept.
fn life(group: &Group, json: &Json) -> Option<Duration> {
    if group.kind == "pki" {
        let ends = json.get("data").and_then(|data| data.get("expiration")?.number())?;
        let now = since_epoch(SystemTime::now());
        return Some(Duration::from_secs(ends).saturating_sub(now));
    }
    let leased = json.get("lease_id").and_then(Json::text).is_some_and(|id| !id.is_empty());
    let life = json.get("lease_duration").and_then(Json::number).map(Duration::from_secs);
    leased.then(|| life.filter(|life| *life > Duration::ZERO).unwrap_or(UNSTATED_LIFE))
}

#[async_trait]
impl super::Source for Source {
    async fn read(&self, refused: bool) -> Result<Answer, ReadError> {
        let mut token = self.session.token().await?;
        let mut values: Vec<Value> = self.secrets.iter().map(|_| Err(String::new())).collect();
        let mut due = Instant::now() + limits::LONGEST_LIFE;
        for (at, group) in self.groups.iter().enumerate() {
            let now = Instant::now();
            let made = self.made.lock().get(at).cloned().flatten();
            let made = made.filter(|made| {
                let serves = now < made.due && made.token.is_none_or(|number| number == token.number);
                serves && !(refused && now >= made.at + MADE_AGAIN)
            });
            let found = match made {
                Some(made) => {
                    due = due.min(made.due);
                    made.values
                }
                None => {
                    let said = self.said(group, &mut token).await?;
                    let (found, life) = self.values(group, &said);
                    let pki = group.kind == "pki";
                    if let Some(life) = life.or((pki && said.is_ok()).then_some(UNSTATED_LIFE)) {
                        let made = Made {
                            values: found.clone(),
                            at: now,
                            due: now + (life * 2 / 3).max(if pki { MADE_AGAIN } else { SHORTEST }),
                            token: (!pki).then_some(token.number),
                        };
                        due = due.min(made.due);
                        if let Some(slot) = self.made.lock().get_mut(at) {
                            *slot = Some(made);
                        }
                    } else {
                        due = due.min(now + HOLDS);
                    }
                    found
                }
            };
            for (member, value) in group.members.iter().zip(found) {
                if let Some(slot) = values.get_mut(*member) {
                    *slot = value;
                }
            }
        }
        // A token that nobody renews ends, and what is leased to it: whoever reads then has it renewed.
        due = due.min(token.due);
        Ok(Answer { values, holds: due.saturating_duration_since(Instant::now()).max(Duration::from_secs(1)) })
    }
}
