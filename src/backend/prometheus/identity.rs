//! The identity of a cloud: what KEDA takes from `podIdentity` of a TriggerAuthentication, and the keys around it.
//!
//! KEDA does not send `podIdentity` to an external scaler, so it is a key of its own here. Not for: fetching or
//! signing anything (`client/credentials.rs`, `identity`).

use serde_json::Value;

use super::connection::Authorization;
use crate::{
    identity::{
        aws::{self, Credentials},
        azure::Azure,
        google::Google,
    },
    metadata::Reader,
    net::{Cloud, Reach, http::Url, tls::Tls},
};

const POD_IDENTITY: &str = "podIdentity";
const AWS_REGION: &str = "awsRegion";
const GOOGLE_JSON: &str = "GoogleApplicationCredentials";
const CLOUD: &str = "cloud";
const RESOURCE: &str = "azureManagedPrometheusResourceURL";

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
    // As in KEDA, a later one replaces an earlier one.
    let found = [azure(keys, pod), google(keys, pod), aws(keys, pod, login)];
    if login {
        return Authorization::None;
    }
    found.into_iter().rev().find(|found| *found != Authorization::None).unwrap_or_default()
}

/// KEDA signs whenever it finds credentials. A region alone is a sign, too: the identity that came with it in a
/// TriggerAuthentication does not reach us.
fn aws(keys: &mut Reader<'_>, pod: Pod, login: bool) -> Authorization {
    let region = aws::read_region(keys, AWS_REGION);
    keys.accept(&aws::CREDENTIAL_KEYS);
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

fn google(keys: &mut Reader<'_>, pod: Pod) -> Authorization {
    let given = [GOOGLE_JSON, "credentials"].into_iter().find_map(|key| Some((key, keys.secret(key)?)));
    if keys.text("credentialsFromEnvFile").is_some() {
        let text = "`credentialsFromEnvFile` names a file of KEDA's own: mount it here, point \
                    `GOOGLE_APPLICATION_CREDENTIALS` to it and set `podIdentity: gcp`, or use `credentialsFromEnv`";
        keys.problem("credentialsFromEnvFile", text);
    }
    match given {
        Some((key, json)) => {
            let is_key = serde_json::from_str::<Value>(json.expose()).is_ok_and(|json| {
                ["client_email", "private_key"].iter().all(|key| json.get(key).is_some_and(Value::is_string))
            });
            if !is_key {
                keys.problem(key, format!("`{key}` must be the JSON key of a Google service account"));
            }
            Authorization::Google(Google::ServiceAccount(json))
        }
        None if pod == Pod::Google => Authorization::Google(Google::Own),
        None => Authorization::None,
    }
}

/// `cloud` and its companion have no other use, so they are a sign, too.
fn azure(keys: &mut Reader<'_>, pod: Pod) -> Authorization {
    let cloud = keys.text(CLOUD).map(str::to_ascii_lowercase);
    let resource = keys.text(RESOURCE).map(str::to_owned);
    let client_id = keys.text("identityId").map(str::to_owned);
    let tenant_id = keys.text("identityTenantId").map(str::to_owned);
    if pod != Pod::Azure && cloud.is_none() && resource.is_none() {
        return Authorization::None;
    }
    let scope = match cloud.as_deref() {
        None | Some("azurepubliccloud") => "https://prometheus.monitor.azure.com/.default".to_owned(),
        Some("azureusgovernmentcloud") => "https://prometheus.monitor.azure.us/.default".to_owned(),
        Some("azurechinacloud") => "https://prometheus.monitor.azure.cn/.default".to_owned(),
        Some("private") => {
            let resource = resource.unwrap_or_default();
            if !is_prometheus_scope(&resource) {
                let text = format!(
                    "`{RESOURCE}` must be `https://prometheus.monitor.` with the domain of the cloud and `/.default`: \
                     this server shows its identity to no other service"
                );
                keys.problem(RESOURCE, text);
            }
            resource
        }
        Some(_) => {
            let text = format!(
                "`{CLOUD}` must be `AzurePublicCloud`, `AzureUSGovernmentCloud`, `AzureChinaCloud` or `Private`"
            );
            keys.problem(CLOUD, text);
            String::new()
        }
    };
    Authorization::Azure(Azure { scope, client_id, tenant_id })
}

/// Whether a token for `scope` is good for managed Prometheus alone, whatever the cloud's domain.
fn is_prometheus_scope(scope: &str) -> bool {
    let domain = scope.strip_prefix("https://prometheus.monitor.").and_then(|rest| rest.strip_suffix("/.default"));
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    domain.is_some_and(|domain| domain.contains('.') && domain.split('.').all(label))
}

/// The server's own identity goes over verified TLS, or to whom the operator has named.
pub fn check(keys: &mut Reader<'_>, key: &str, authorization: &Authorization, server: &Url, tls: &Tls, reach: &Reach) {
    let (host, verified) = (server.host_str().unwrap_or_default(), server.scheme() == "https" && !tls.skip_verify);
    let checked = match authorization {
        Authorization::Aws { credentials, .. } => credentials.check(reach, host, verified),
        Authorization::Google(Google::Own) => reach.check_identity(Cloud::Google, host, verified),
        Authorization::Azure(_) => reach.check_identity(Cloud::Azure, host, verified),
        _ => Ok(()),
    };
    if let Err(refusal) = checked {
        keys.problem(key, format!("`{key}`: {refusal}"));
    }
}
