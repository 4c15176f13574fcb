//! What of an object's parameters is in external stores: their logins from the cluster, their answers into the draft.
//!
//! Not for: speaking to a store (`stores`).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    auth::Auth,
    draft::Draft,
    identity::role_of_workload,
    resolve::{Case, Pod, secret_key, token},
    visit::Visit,
};
use crate::{
    credentials::stores::{
        Answer, Asked, Reader, Store, StoreLogin, is_passing,
        spec::{AwsCredentials, SecretValue},
    },
    error::ReadError,
    metadata::Secret,
};

/// While a store does not take a new login, the answer to the last one serves, and it is asked again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// The stores that one reference uses.
#[derive(Default)]
pub struct Stored(Vec<Held>);

struct Held {
    store: Store,
    reader: Arc<Reader>,
    answer: Option<(Arc<Answer>, Option<Instant>)>,
}

impl Stored {
    /// A broker refuses what came of it: the next one who asks gets new answers.
    pub fn forget(&mut self) {
        self.0.iter().for_each(|held| held.reader.forget());
    }

    async fn ask(&mut self, asked: Asked, visit: &mut Visit<'_>) -> Result<Arc<Answer>, ReadError> {
        let reader = Reader::of(&asked);
        // Another login for the same: a rotated one.
        let known = self.0.iter().position(|held| held.store == asked.store);
        let last = known.and_then(|at| self.0.swap_remove(at).answer);
        let read = reader.read().await;
        let answer = match (read, last) {
            (Ok(seen), _) => {
                visit.due = visit.due.min(seen.due);
                if let Some(away) = seen.away {
                    visit.away.get_or_insert(away);
                }
                Ok((seen.answer, seen.read))
            }
            (Err(error), Some(last)) if is_passing(&error) => {
                let now = Instant::now();
                visit.due = visit.due.min(now + AGAIN);
                visit.away.get_or_insert((now, error.to_string()));
                Ok(last)
            }
            (Err(error), _) => Err(error),
        };
        self.0.push(Held { store: asked.store, reader, answer: answer.as_ref().ok().cloned() });
        let (answer, read) = answer?;
        visit.was_read(read);
        Ok(answer)
    }
}

/// Puts everything that `auth` wants of stores into `draft`, in KEDA's order.
pub async fn read(
    case: Case<'_>,
    auth: &Auth,
    visit: &mut Visit<'_>,
    draft: &mut Draft,
    stored: &mut Stored,
    pod: &mut Pod,
) -> Result<(), ReadError> {
    let stores = [
        auth.hashi_corp_vault.clone().map(Store::Vault),
        auth.azure_key_vault.clone().map(Store::Azure),
        auth.gcp_secret_manager.clone().map(Store::Google),
        auth.aws_secret_manager.clone().map(Store::Aws),
    ];
    stored.0.retain(|held| stores.iter().flatten().any(|store| *store == held.store));
    for store in stores.into_iter().flatten().filter(|store| !store.parameters().is_empty()) {
        let wanted: Vec<String> = store.parameters().into_iter().map(str::to_owned).collect();
        let field = store.field();
        let earlier_stay = matches!(store, Store::Google(_) | Store::Aws(_));
        let login = match login(case, &store, visit, pod).await? {
            Ok(login) => login,
            Err(why) if earlier_stay => {
                wanted.iter().for_each(|parameter| draft.pass_by(parameter, &why));
                continue;
            }
            Err(why) => return Err(case.invalid(&why)),
        };
        if let Store::Vault(vault) = &store
            && vault.authentication == "token"
            && vault.credential.as_ref().is_some_and(|credential| !credential.token.is_empty())
            && std::env::var_os("VAULT_TOKEN").is_some_and(|token| !token.is_empty())
        {
            draft.warn(
                "`VAULT_TOKEN` of the server is used in place of `hashiCorpVault.credential.token`, as with KEDA",
            );
        }
        let reach = case.reach.clone();
        let answer = stored.ask(Asked { store, login, reach }, visit).await?;
        for (parameter, value) in wanted.iter().zip(&answer.values) {
            match value {
                Ok(value) => draft.set(parameter, value.clone(), format!("`{field}` of {}", case.by())),
                Err(why) if earlier_stay => draft.pass_by(parameter, why),
                Err(why) => draft.lack(parameter, why),
            }
        }
    }
    Ok(())
}

/// What to log in with; in words, what is missing for it.
async fn login(
    case: Case<'_>,
    store: &Store,
    visit: &mut Visit<'_>,
    pod: &mut Pod,
) -> Result<Result<StoreLogin, String>, ReadError> {
    let mut login = StoreLogin::default();
    let mut wanted: Vec<(&'static str, &SecretValue)> = Vec::new();
    match store {
        Store::Vault(vault) => {
            let account = vault.credential.as_ref().map(|credential| credential.service_account_name.as_str());
            if let Some(account) = account.filter(|account| !account.is_empty() && vault.authentication == "kubernetes")
            {
                match token(case, visit, case.own, account).await? {
                    Ok(token) => login.token = Some(Secret::new(String::from_utf8_lossy(&token))),
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        Store::Azure(of) => wanted.extend(of.credentials.iter().map(|of| ("clientSecret", &of.client_secret))),
        Store::Google(of) => wanted.extend(of.credentials.iter().map(|of| ("clientSecret", &of.client_secret))),
        Store::Aws(of) => {
            if let Some(AwsCredentials { access_key, access_secret_key }) = &of.credentials {
                wanted.extend([("accessKey", access_key), ("accessSecretKey", access_secret_key)]);
            }
            if of.pod_identity.as_ref().is_some_and(|identity| identity.is_of_workload()) {
                match role_of_workload(case, visit, pod, case.place()).await? {
                    Ok(role) => login.role_arn = Some(role),
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
    }
    for (field, value) in wanted {
        let at = &value.value_from.secret_key_ref;
        match secret_key(case, visit, &at.name, &at.key).await?.0 {
            Ok(value) => drop(login.secrets.insert(field, Secret::new(String::from_utf8_lossy(&value)))),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(login))
}
