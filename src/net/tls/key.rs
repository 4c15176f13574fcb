//! Encrypted private keys: what deriving the key from its password may cost, and where that work is done.
//!
//! The costs stand in the key itself, so whoever writes a trigger chooses them. They are read first and bounded; the
//! work runs beside the worker threads, one piece at a time, and its result is remembered, a failure too.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
};

use futures::{FutureExt, future::Shared};
use parking_lot::Mutex;
use pkcs8::{
    EncryptedPrivateKeyInfo, SecretDocument,
    pkcs5::{EncryptionScheme, pbes2::Kdf},
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use super::pem;
use crate::{
    limits::{self, Limit},
    metadata::Secret,
    task,
};

const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// The key in PKCS#8, or what is wrong with it.
type Derived = Result<Arc<SecretDocument>, &'static str>;
type Pending = Shared<oneshot::Receiver<Derived>>;

/// The results of late, oldest first.
static REMEMBERED: LazyLock<Mutex<VecDeque<(Id, Pending)>>> = LazyLock::new(Mutex::default);
/// One derivation at a time; those that a sane key asks for do not wait behind dear ones.
static CHEAP: Semaphore = Semaphore::const_new(1);
static DEAR: Semaphore = Semaphore::const_new(1);

#[derive(Clone, PartialEq, Eq)]
struct Id {
    key: Secret,
    password: Secret,
}

/// Decrypts `key`. The work goes on when the asker has gone; the next one finds its result.
pub(super) async fn decrypt(key: &Secret, password: &Secret) -> Result<PrivateKeyDer<'static>, &'static str> {
    let pending = start(&Id { key: key.clone(), password: password.clone() })?;
    match timeout(limits::KEY_DERIVATION, pending).await {
        Ok(Ok(derived)) => derived.map(|key| PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()),
        Ok(Err(_)) => Err("it could not be decrypted: see the server's log"),
        Err(_) => {
            Err("its key derivation takes long and goes on: write it anew with fewer rounds, `openssl pkcs8 -topk8`")
        }
    }
}

fn start(id: &Id) -> Result<Pending, &'static str> {
    let mut remembered = REMEMBERED.lock();
    if let Some((_, pending)) = remembered.iter().find(|(known, _)| known == id) {
        return Ok(pending.clone());
    }
    let (document, cost) = read(id.key.expose())?;
    if remembered.len() == limits::KEYS_REMEMBERED {
        remembered.pop_front();
    }
    let (reply, derived) = oneshot::channel();
    let pending = derived.shared();
    remembered.push_back((id.clone(), pending.clone()));
    let password = id.password.clone();
    task::detach(async move {
        let turns = if cost <= limits::KEY_CHEAP { &CHEAP } else { &DEAR };
        let Ok(_turn) = turns.acquire().await else { return };
        if let Some(derived) = task::blocking(move || derive(&document, &password)).await {
            reply.send(derived).ok();
        }
    });
    Ok(pending)
}

/// The encrypted key in `text`, and what deriving from its password costs, in rounds of PBKDF2.
fn read(text: &str) -> Result<(SecretDocument, u64), &'static str> {
    let text = pem::with_line_breaks(text)?;
    let damaged = "what is between its `BEGIN` and `END` lines is damaged: copy the file again";
    let (label, document) = SecretDocument::from_pem(&text).map_err(|_| damaged)?;
    if label != LABEL {
        return Err(
            "`keyPassword` is for encrypted PKCS#8, convert the key with `openssl pkcs8 -topk8` or drop the password",
        );
    }
    let info = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(
        |_| "it is encrypted in a way that we cannot read: convert it with `openssl pkcs8 -topk8 -v2 aes256`",
    )?;
    let cost = cost(&info.encryption_algorithm).inspect_err(|_| Limit::Key.crossed())?;
    Ok((document, cost))
}

fn cost(scheme: &EncryptionScheme<'_>) -> Result<u64, &'static str> {
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        return Err("it is encrypted in an old way: convert it with `openssl pkcs8 -topk8 -v2 aes256`");
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) if u64::from(pbkdf2.iteration_count) <= limits::PBKDF2_ROUNDS => {
            Ok(pbkdf2.iteration_count.into())
        }
        Kdf::Pbkdf2(_) => {
            Err("its key derivation asks for more than 10 million rounds of PBKDF2: write it anew with fewer")
        }
        Kdf::Scrypt(scrypt) => {
            // RFC 7914 §2: 128·N·r bytes, all of them gone through p times.
            let memory = scrypt.cost_parameter.saturating_mul(128).saturating_mul(scrypt.block_size.into());
            let work = memory.saturating_mul(scrypt.parallelization.into());
            if memory > limits::SCRYPT_MEMORY || work > limits::SCRYPT_WORK {
                return Err("its key derivation asks scrypt for more than 64 MiB: write it anew with a smaller N");
            }
            Ok(work / limits::SCRYPT_BYTES_PER_ROUND)
        }
        _ => Err("its key derivation is unknown: convert it with `openssl pkcs8 -topk8 -v2 aes256`"),
    }
}

fn derive(document: &SecretDocument, password: &Secret) -> Derived {
    let decrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
        .and_then(|info| info.decrypt(password.expose()))
        .map_err(|_| "`keyPassword` does not decrypt it")?;
    Ok(Arc::new(decrypted))
}
