//! What is read by name: Secrets, ConfigMaps, ServiceAccounts and their tokens, workloads.
//!
//! Not for: keeping them (`kept.rs`), or what is made of a container's variables (`env.rs`).

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    api::{Api, ApiError},
    auth::Auth,
    kept::Item,
    wire::{Annotations, Headed},
};

/// A Secret is read again after so long: what KEDA's users are promised for a rotation, less the time it takes.
pub const LIFE: Duration = Duration::from_secs(28);
/// A token is renewed after this part of its life.
const RENEW: f64 = 0.8;

/// The `data` of a Secret, wiped when dropped.
#[derive(PartialEq, Deserialize)]
pub struct Secret {
    #[serde(default)]
    pub data: BTreeMap<String, Bytes>,
}

/// Bytes that are written in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Borrowed, so that no copy is left behind.
        let text = <&str>::deserialize(from)?;
        BASE64_STANDARD
            .decode(text)
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .map_err(|_| D::Error::custom("not base64"))
    }
}

/// The `data` of a ConfigMap; `binaryData` is read by nobody.
#[derive(PartialEq, Deserialize)]
pub struct ConfigMap {
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

/// What a ServiceAccount says of a role at AWS.
#[derive(PartialEq)]
pub struct ServiceAccount {
    pub role_arn: Option<String>,
}

/// A token of a ServiceAccount.
#[derive(PartialEq)]
pub struct Token(pub Zeroizing<String>);

/// The template of a workload's pods, if it has one.
#[derive(PartialEq, Deserialize)]
pub struct Workload {
    #[serde(default, deserialize_with = "if_known")]
    spec: WorkloadSpec,
}

/// What is scaled may be anything: a template of another shape is none.
fn if_known<'de, D: Deserializer<'de>>(from: D) -> Result<WorkloadSpec, D::Error> {
    serde_json::Value::deserialize(from).map(|spec| serde_json::from_value(spec).unwrap_or_default())
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec {
    template: Option<Template>,
    job_target_ref: Option<JobTarget>,
}

#[derive(PartialEq, Deserialize)]
struct JobTarget {
    template: Option<Template>,
}

#[derive(PartialEq, Deserialize)]
struct Template {
    spec: Option<PodSpec>,
}

/// What of a pod's spec matters to us.
#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    #[serde(default)]
    pub containers: Vec<Container>,
    pub service_account_name: Option<String>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub env: Vec<Variable>,
    #[serde(default)]
    pub env_from: Vec<EnvFrom>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    #[serde(default)]
    pub prefix: String,
    pub config_map_ref: Option<Ref>,
    pub secret_ref: Option<Ref>,
}

/// A whole object, or with `key` a part of it.
#[derive(PartialEq, Deserialize)]
pub struct Ref {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    pub optional: bool,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub value: String,
    pub value_from: Option<VariableFrom>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariableFrom {
    pub secret_key_ref: Option<Ref>,
    pub config_map_key_ref: Option<Ref>,
}

impl Workload {
    pub fn pod(&self) -> Option<&PodSpec> {
        let of_job = self.spec.job_target_ref.as_ref().and_then(|job| job.template.as_ref());
        self.spec.template.as_ref().or(of_job)?.spec.as_ref().filter(|pod| !pod.containers.is_empty())
    }
}

/// What a TriggerAuthentication says, where it may be read and not watched.
#[derive(PartialEq, Deserialize)]
pub struct Named {
    #[serde(default)]
    pub spec: Auth,
}

macro_rules! by_get {
    ($($kind:ty),+) => {$(
        impl Item for $kind {
            async fn read(api: &Api, path: &str) -> Result<(Self, Duration), ApiError> {
                Ok((api.get(path).await?, LIFE))
            }
        }
    )+};
}
by_get!(Secret, ConfigMap, Workload, Named);

impl Item for ServiceAccount {
    async fn read(api: &Api, path: &str) -> Result<(Self, Duration), ApiError> {
        let Headed { metadata } = api.get(path).await?;
        Ok((Self { role_arn: metadata.annotations.and_then(|Annotations { role_arn, .. }| role_arn) }, LIFE))
    }
}

impl Item for Token {
    async fn read(api: &Api, path: &str) -> Result<(Self, Duration), ApiError> {
        #[derive(Deserialize)]
        struct Granted<'a> {
            #[serde(borrow)]
            status: Status<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status<'a> {
            token: &'a str,
            expiration_timestamp: String,
        }
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": api.token_life.as_secs() },
        });
        let answer = api.create(path, &request).await?;
        let unknown = || ApiError::Away("its token is not of the form we know".to_owned());
        let Granted { status } = serde_json::from_slice(&answer).map_err(|_| unknown())?;
        // The API server may give less than was asked for.
        let ends: Timestamp = status.expiration_timestamp.parse().map_err(|_| unknown())?;
        let left = Duration::try_from(ends.duration_since(Timestamp::now())).unwrap_or_default();
        Ok((Self(Zeroizing::new(status.token.to_owned())), left.mul_f64(RENEW)))
    }
}
