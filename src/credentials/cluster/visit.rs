//! One visit to the objects that a reference leads to: what each says, or in words why it says nothing, and until when all of
//! it holds.
//!
//! "It is not there" and "the API server is away" are never the same here: the first is an answer, the second an error. Not
//! for: which objects (`resolve.rs`, `env.rs`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    api::{Api, ApiError},
    items::{ConfigMap, Named, Secret, ServiceAccount, Token, Workload},
    kept::{Item, Kept, Look, Seen},
    path,
};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    task,
};

/// Everything that is read by name.
pub struct Reads {
    pub secrets: Kept<Secret>,
    pub config_maps: Kept<ConfigMap>,
    pub accounts: Kept<ServiceAccount>,
    pub tokens: Kept<Token>,
    pub workloads: Kept<Workload>,
    pub named: Kept<Named>,
}

/// A value, or why there is none: a sentence about the object, to which who names it is added.
pub type Value = Result<Zeroizing<Vec<u8>>, String>;

/// What one resolution looks at.
pub struct Visit<'r> {
    reads: &'r Reads,
    /// Until when all that was seen need not be asked for again.
    pub due: Instant,
    /// What would be read again if a broker refused the login.
    pub secrets: BTreeSet<Used>,
    /// When that was read that was read the longest ago.
    pub read: Option<Instant>,
    /// Since when some of it could not be read again, and why.
    pub away: Option<(Instant, String)>,
}

/// Something secret that was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    /// A Secret, by its path.
    Secret(String),
    /// A token, by the path it is asked for at.
    Token(String),
}

impl Reads {
    pub fn new(api: &Arc<Api>) -> Self {
        Self {
            secrets: Kept::new(api),
            config_maps: Kept::new(api),
            accounts: Kept::new(api),
            tokens: Kept::new(api),
            workloads: Kept::new(api),
            named: Kept::new(api),
        }
    }

    /// Reads these again at once, all together.
    pub async fn again(&self, used: &BTreeSet<Used>) {
        let each = used.iter().map(|used| async move {
            match used {
                Used::Secret(path) => self.secrets.again(path).await,
                Used::Token(path) => self.tokens.again(path).await,
            }
        });
        futures::future::join_all(each).await;
    }

    /// Forgets what nobody has used for a while.
    pub fn sweep(&self) {
        self.secrets.sweep();
        self.config_maps.sweep();
        self.accounts.sweep();
        self.tokens.sweep();
        self.workloads.sweep();
        self.named.sweep();
    }
}

impl<'r> Visit<'r> {
    /// `longest`: how long what comes of it may hold at most.
    pub fn new(reads: &'r Reads, longest: Duration) -> Self {
        Self { reads, due: Instant::now() + longest, secrets: BTreeSet::new(), read: None, away: None }
    }

    pub async fn secret(&mut self, namespace: &str, name: &str) -> Result<Result<Arc<Secret>, String>, ReadError> {
        let path = path::core("secrets", namespace, name);
        self.secrets.extend(path.clone().map(Used::Secret));
        self.look(&self.reads.secrets, path, "Secret", namespace, name).await
    }

    pub async fn config_map(
        &mut self,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<ConfigMap>, String>, ReadError> {
        let path = path::core("configmaps", namespace, name);
        self.look(&self.reads.config_maps, path, "ConfigMap", namespace, name).await
    }

    pub async fn account(
        &mut self,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<ServiceAccount>, String>, ReadError> {
        let path = path::core("serviceaccounts", namespace, name);
        self.look(&self.reads.accounts, path, "ServiceAccount", namespace, name).await
    }

    pub async fn token(&mut self, namespace: &str, name: &str) -> Result<Result<Arc<Token>, String>, ReadError> {
        let path = path::core("serviceaccounts", namespace, name).map(|path| format!("{path}/token"));
        self.secrets.extend(path.clone().map(Used::Token));
        self.look(&self.reads.tokens, path, "a token of ServiceAccount", namespace, name).await
    }

    pub async fn workload(
        &mut self,
        path: Option<String>,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<Workload>, String>, ReadError> {
        self.look(&self.reads.workloads, path, "the scaled workload", namespace, name).await
    }

    pub async fn named(
        &mut self,
        kind: path::Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<Named>, String>, ReadError> {
        self.look(&self.reads.named, kind.one(namespace, name), kind.as_str(), namespace, name).await
    }

    /// The value of one key of a Secret.
    pub async fn secret_key(&mut self, namespace: &str, name: &str, key: &str) -> Result<Value, ReadError> {
        Ok(self.secret(namespace, name).await?.and_then(|secret| {
            let value = secret.data.get(key).map(|bytes| bytes.0.clone());
            value.ok_or_else(|| format!("Secret `{namespace}/{}` has no key `{}`", quoted(name), quoted(key)))
        }))
    }

    /// The value of one key of a ConfigMap.
    pub async fn config_map_key(&mut self, namespace: &str, name: &str, key: &str) -> Result<Value, ReadError> {
        Ok(self.config_map(namespace, name).await?.and_then(|map| {
            let value = map.data.get(key).map(|text| Zeroizing::new(text.as_bytes().to_vec()));
            value.ok_or_else(|| {
                format!("ConfigMap `{namespace}/{}` has no key `{}` in `data`", quoted(name), quoted(key))
            })
        }))
    }

    /// Notes when some of it was read.
    pub fn was_read(&mut self, at: Option<Instant>) {
        self.read = self.read.into_iter().chain(at).min();
    }

    async fn look<T: Item>(
        &mut self,
        kept: &Kept<T>,
        path: Option<String>,
        what: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Result<Arc<T>, String>, ReadError> {
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let object = format!("{what} `{place}{}`", quoted(name));
        let Some(path) = path else { return Ok(Err(format!("{object} does not exist"))) };
        let Look { seen, due, read, away } = kept.get(&path).await.map_err(|error| {
            let text = format!("{object} could not be read: {error}: check it, and what is between it and this server");
            ReadError::new(ReadErrorKind::Unreachable, text).of_source()
        })?;
        self.due = self.due.min(due);
        self.was_read(read);
        if let Some((since, why)) = away.filter(|(since, _)| self.away.as_ref().is_none_or(|(known, _)| since < known))
        {
            self.away = Some((since, why));
        }
        Ok(match seen {
            Seen::Here(item) => Ok(item),
            Seen::Missing => Err(format!("{object} does not exist")),
            Seen::Refused(ApiError::Forbidden) => {
                let right = if what.contains("token") { "`create` of its `token`" } else { "`get` of it" };
                Err(format!("this server may not read {object}, grant its ServiceAccount {right}"))
            }
            Seen::Refused(error) => Err(format!("{object} cannot be had, {error}")),
        })
    }
}

/// Sweeps for as long as the handle is held.
pub fn sweeping(reads: &Arc<Reads>, also: impl FnMut() + Send + Clone + 'static) -> task::Task {
    let reads = Arc::downgrade(reads);
    task::supervise("kubernetes sweep", move || {
        let (reads, mut also) = (reads.clone(), also.clone());
        async move {
            loop {
                tokio::time::sleep(Duration::from_secs(60)).await;
                let Some(reads) = reads.upgrade() else { return };
                reads.sweep();
                also();
            }
        }
    })
}
