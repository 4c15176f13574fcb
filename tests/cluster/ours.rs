//! Every case, asked of plimsoll's own resolver on the same objects.

use std::{collections::BTreeMap, path::Path, time::Duration};

use plimsoll::{
    credentials::cluster::{Cluster, OnMissing, Options, Reference, Restricted, Rules},
    metadata::Metadata,
    object::ObjectRef,
};
use tokio::time::{Instant, sleep};

use crate::{
    cases::{Case, KEDA, OWN},
    differential::subject_of,
};

/// Far longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How this build refuses a source that it was built without.
const BUILT_WITHOUT: &str = "is not supported by this build";

/// What KEDA alone can be asked here: stores whose address is fixed (ours are tested against stand-ins of their own), and what a store
/// makes anew for each who asks.
const KEDA_ALONE: [&str; 3] = ["awsSecretManager", "gcpSecretManager", "\"pki\""];

/// What is wrong with what plimsoll makes of the case, if anything.
pub async fn complaint(case: &Case, files: &Path) -> Option<String> {
    if let Some(what) = KEDA_ALONE.iter().find(|what| case.mentions(what)) {
        println!("not compared: {}: {what}", case.case);
        return None;
    }
    // As KEDA does, what is missing is empty; then as we do, where it is refused.
    let expected = &case.expect;
    match (&expected.error, resolved(case, files, OnMissing::Empty).await) {
        (_, Err(error)) if error.contains(BUILT_WITHOUT) => {
            println!("not compared: {}: {error}", case.case);
            return None;
        }
        (Some(words), Ok(_)) => return Some(format!("ours: no error with {words:?}")),
        (Some(words), Err(error)) => return (!error.contains(words.as_str())).then(|| format!("ours: {error}")),
        (None, Err(error)) => return Some(format!("ours: {error}")),
        (None, Ok(mut found)) => {
            let identity = found.remove("podIdentity").unwrap_or_else(|| b"none".to_vec());
            for (name, subject) in &expected.token {
                let token = found.remove(name).unwrap_or_default();
                if subject_of(&token).as_deref() != Some(subject) {
                    return Some(format!("ours: {name} is no token of {subject}"));
                }
            }
            if found != expected.params() || identity != expected.identity.as_bytes() {
                return Some(format!("ours: {found:?}"));
            }
        }
    }
    let strict = resolved(case, files, OnMissing::Refuse).await;
    match (expected.warns.as_slice(), strict) {
        ([], Ok(_)) => None,
        ([], Err(error)) => Some(format!("ours, strictly: {error}")),
        (warns, Ok(_)) => Some(format!("ours, strictly: nothing about {warns:?}")),
        (warns, Err(error)) => {
            let missing = warns.iter().flat_map(|warn| warn.split(' ')).find(|word| !error.contains(word));
            missing.map(|word| format!("ours, strictly: nothing about {word:?}: {error}"))
        }
    }
}

/// What the trigger gets, with KEDA's settings as the case has them.
async fn resolved(case: &Case, files: &Path, on_missing: OnMissing) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let restricted = match case.settings.get("KEDA_RESTRICT_SECRET_ACCESS") {
        Some(value) if value.eq_ignore_ascii_case("true") => Restricted::ToCluster,
        _ => Restricted::No,
    };
    let rules = Rules {
        keda_namespace: KEDA.to_owned(),
        restricted,
        tokens: true,
        file_root: Some(files.to_owned()),
        on_missing,
    };
    let namespaces = vec![OWN.to_owned(), KEDA.to_owned()];
    let options = Options { namespaces, rules, ..Options::default() };
    let cluster = Cluster::connect(options).await.map_err(|error| error.to_string())?;
    match reference(&cluster).await? {
        None => Ok(BTreeMap::new()),
        Some(reference) => {
            let found = reference.parameters().await.map_err(|error| error.to_string())?;
            Ok(found.iter().map(|(name, value)| (name.to_owned(), value.bytes().to_vec())).collect())
        }
    }
}

/// As a question of KEDA finds it, once the objects are heard of.
async fn reference(cluster: &Cluster) -> Result<Option<Reference>, String> {
    let object = ObjectRef { namespace: OWN, name: "o" };
    let metadata: Metadata = [("scalerAddress", "plimsoll:6000")].into_iter().collect();
    let deadline = Instant::now() + PATIENCE;
    while !cluster.state().1 {
        if Instant::now() > deadline {
            return Err("not all that is watched was heard of".to_owned());
        }
        sleep(Duration::from_millis(5)).await;
    }
    loop {
        match cluster.find(object, &metadata) {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error.to_string()),
            Err(_) => cluster.look_again(object).await,
        }
        sleep(Duration::from_millis(5)).await;
    }
}
