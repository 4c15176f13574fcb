//! The identity of a cloud: what KEDA takes from `podIdentity` of a TriggerAuthentication, and the keys around it.
//!
//! KEDA does not send `podIdentity` to an external scaler, so it is a key of its own here. Not for: fetching or
//! signing anything (`client`).

use super::connection::Authorization;
use crate::{
    backend::aws::{self, Credentials},
    metadata::Reader,
};

const POD_IDENTITY: &str = "podIdentity";
const AWS_REGION: &str = "awsRegion";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pod {
    None,
    Aws,
    Azure,
    Google,
}

/// Reads whether a cloud's identity asks. `login`: the trigger has `authModes`, beside which none may be.
pub fn read(keys: &mut Reader<'_>, login: bool) -> Authorization {
    let words = [
        ("none", Pod::None),
        ("aws", Pod::Aws),
        ("aws-eks", Pod::Aws),
        ("azure-workload", Pod::Azure),
        ("gcp", Pod::Google),
    ];
    let pod = keys.choice(POD_IDENTITY, &words, Pod::None);
    if login && pod != Pod::None {
        keys.problem(POD_IDENTITY, format!("`{POD_IDENTITY}` and `authModes` exclude each other: drop one"));
    }
    refuse_google(keys, pod);
    refuse_azure(keys, pod);
    aws(keys, pod, login)
}

/// KEDA signs whenever it finds credentials. A region alone is a sign, too: the identity that came with it in a
/// TriggerAuthentication does not reach us.
fn aws(keys: &mut Reader<'_>, pod: Pod, login: bool) -> Authorization {
    let region = keys.text(AWS_REGION).map(str::to_owned);
    let named = aws::CREDENTIAL_KEYS.iter().any(|key| keys.text(key).is_some());
    if login || (pod != Pod::Aws && !named && region.is_none()) {
        return Authorization::None;
    }
    let credentials = Credentials::read(keys);
    let region = region.unwrap_or_else(|| {
        keys.problem(AWS_REGION, format!("`{AWS_REGION}` is required to sign for AWS: name the workspace's region"));
        String::new()
    });
    Authorization::Aws { credentials, region }
}

fn refuse_google(keys: &mut Reader<'_>, pod: Pod) {
    let given = ["GoogleApplicationCredentials", "credentials", "credentialsFromEnvFile"];
    let key = given.into_iter().find(|key| keys.text(key).is_some());
    if let Some(key) = key.or((pod == Pod::Google).then_some(POD_IDENTITY)) {
        keys.problem(key, format!("`{key}`: this build does not log in at Google, put a proxy that does before it"));
    }
}

fn refuse_azure(keys: &mut Reader<'_>, pod: Pod) {
    let given = ["cloud", "azureManagedPrometheusResourceURL"];
    let key = given.into_iter().find(|key| keys.text(key).is_some());
    if let Some(key) = key.or((pod == Pod::Azure).then_some(POD_IDENTITY)) {
        keys.problem(
            key,
            format!("`{key}`: this build does not know Azure's workload identity, use `authModes: oauth`"),
        );
    }
}
