//! The cases of `cases/*.yaml`: objects in the cluster, and what a trigger must get from them.
//!
//! A case is short: this makes the objects that it takes for granted, a workload `w` and a ScaledObject or ScaledJob `o` in
//! the namespace `a`. KEDA's own namespace is `keda`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{api::Api, stand_in::StandIn, store};

/// Where the trigger is.
pub const OWN: &str = "a";
/// What KEDA calls its cluster object namespace.
pub const KEDA: &str = "keda";

type Texts = BTreeMap<String, String>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// What it shows, as a sentence.
    pub case: String,
    #[serde(default = "scaled_object")]
    pub kind: String,
    /// The trigger's `authenticationRef`; by default the object that the case writes.
    #[serde(default = "by_default")]
    reference: Value,
    /// The spec of a TriggerAuthentication `t`.
    authentication: Option<Value>,
    /// The spec of a ClusterTriggerAuthentication `t`.
    cluster: Option<Value>,
    /// Texts by `namespace/name`.
    #[serde(default)]
    secrets: BTreeMap<String, Texts>,
    /// The same in base64.
    #[serde(default)]
    binary: BTreeMap<String, Texts>,
    #[serde(default)]
    config_maps: BTreeMap<String, Texts>,
    /// Annotations of service accounts.
    #[serde(default)]
    accounts: BTreeMap<String, Texts>,
    #[serde(default)]
    objects: Vec<Value>,
    #[serde(default)]
    containers: Vec<Value>,
    #[serde(default)]
    init_containers: Vec<Value>,
    service_account: Option<String>,
    env_source: Option<String>,
    target: Option<Value>,
    /// What a store outside the cluster answers, by method and path: a status, or a body.
    #[serde(default)]
    pub store: BTreeMap<String, Value>,
    /// Below the folder that KEDA calls `--filepath-auth-root-path`.
    #[serde(default)]
    files: Texts,
    /// Variables of KEDA's operator.
    #[serde(default)]
    pub settings: Texts,
    pub expect: Expected,
    /// What KEDA gives, where we differ on purpose.
    pub keda: Option<Expected>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    #[serde(default)]
    params: Texts,
    /// In base64.
    #[serde(default)]
    bytes: Texts,
    /// Tokens of service accounts, by their subject.
    #[serde(default)]
    pub token: Texts,
    #[serde(default = "none")]
    pub identity: String,
    /// One entry per warning: words that it must hold. KEDA warns in its log at most.
    #[serde(default)]
    pub warns: Vec<String>,
    /// What the refusal must say.
    pub error: Option<String>,
}

impl Expected {
    pub fn params(&self) -> BTreeMap<String, Vec<u8>> {
        let texts = self.params.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes()));
        let bytes = self.bytes.iter().map(|(name, text)| (name.clone(), STANDARD.decode(text).unwrap()));
        texts.chain(bytes).collect()
    }
}

fn scaled_object() -> String {
    "ScaledObject".to_owned()
}

fn by_default() -> Value {
    json!("by default")
}

fn none() -> String {
    "none".to_owned()
}

/// All of them, in the order of their files.
pub fn all() -> Vec<Case> {
    let mut files: Vec<PathBuf> =
        fs::read_dir("tests/cluster/cases").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let more: Vec<Case> =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        cases.extend(more);
    }
    cases
}

fn object(version: &str, kind: &str, key: &str, rest: &Value) -> Value {
    let (namespace, name) = key.split_once('/').unwrap();
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for (field, value) in rest.as_object().unwrap() {
        match field.as_str() {
            "annotations" => object["metadata"]["annotations"] = value.clone(),
            _ => object[field] = value.clone(),
        }
    }
    object
}

fn keda(kind: &str, key: &str, spec: &Value) -> Value {
    object("keda.sh/v1alpha1", kind, key, &json!({"spec": spec}))
}

impl Case {
    /// Whether what the case's authentication says has `text` in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.authentication.as_ref().is_some_and(|spec| spec.to_string().contains(text))
    }

    /// Everything that must be in the cluster, in any order.
    pub fn all_objects(&self, store: &str) -> Vec<Value> {
        let own = |name| format!("{OWN}/{name}");
        let mut objects = self.objects.clone();
        objects
            .extend(self.secrets.iter().map(|(key, data)| object("v1", "Secret", key, &json!({"stringData": data}))));
        objects.extend(self.binary.iter().map(|(key, data)| object("v1", "Secret", key, &json!({"data": data}))));
        objects
            .extend(self.config_maps.iter().map(|(key, data)| object("v1", "ConfigMap", key, &json!({"data": data}))));
        objects.extend(
            self.accounts
                .iter()
                .map(|(key, notes)| object("v1", "ServiceAccount", key, &json!({"annotations": notes}))),
        );
        if let Some(spec) = &self.authentication {
            objects.push(keda("TriggerAuthentication", &own("t"), &at(spec, store)));
        }
        if let Some(spec) = &self.cluster {
            objects.push(keda("ClusterTriggerAuthentication", "/t", &at(spec, store)));
        }
        objects.extend(self.scaled());
        objects
    }

    /// The object with the trigger, and what it scales.
    fn scaled(&self) -> Vec<Value> {
        let (labels, key) = (json!({"app": "w"}), format!("{OWN}/o"));
        let mut template = json!({"metadata": {"labels": labels}, "spec": self.pod()});
        if self.kind == "ScaledJob" {
            template["spec"]["restartPolicy"] = json!("Never");
            let spec = json!({"jobTargetRef": {"template": template}, "triggers": [self.trigger()]});
            return vec![keda("ScaledJob", &key, &spec)];
        }
        let workload = json!({"spec": {"selector": {"matchLabels": labels}, "template": template}});
        let mut target = self.target.clone().unwrap_or_else(|| json!({"name": "w"}));
        if let Some(container) = &self.env_source {
            target["envSourceContainerName"] = json!(container);
        }
        let spec = json!({"scaleTargetRef": target, "triggers": [self.trigger()]});
        vec![object("apps/v1", "Deployment", &format!("{OWN}/w"), &workload), keda("ScaledObject", &key, &spec)]
    }

    /// What KEDA's operator writes into the status, once it has looked the target's kind up.
    fn kind_of_target(&self) -> Value {
        match &self.target {
            None => json!({"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}),
            Some(target) => {
                let plural = format!("{}s", target["kind"].as_str().unwrap().to_lowercase());
                json!({"group": "", "version": target["apiVersion"], "kind": target["kind"], "resource": plural})
            }
        }
    }

    fn pod(&self) -> Value {
        let with_image = |containers: &[Value]| -> Vec<Value> {
            let mut containers = containers.to_vec();
            containers.iter_mut().for_each(|container| container["image"] = json!("image"));
            containers
        };
        let mut pod =
            json!({"containers": with_image(&self.containers), "initContainers": with_image(&self.init_containers)});
        if self.containers.is_empty() {
            pod["containers"] = json!([{"name": "c", "image": "image"}]);
        }
        if let Some(account) = &self.service_account {
            pod["serviceAccountName"] = json!(account);
        }
        pod
    }

    /// The trigger of the object.
    pub fn trigger(&self) -> Value {
        let mut trigger = json!({"type": "external", "metadata": {"scalerAddress": "plimsoll:6000"}});
        let reference = match &self.reference {
            reference if *reference != by_default() => reference.clone(),
            _ if self.cluster.is_some() => json!({"name": "t", "kind": "ClusterTriggerAuthentication"}),
            _ => json!({"name": "t"}),
        };
        if !reference.is_null() {
            trigger["authenticationRef"] = reference;
        }
        trigger
    }

    /// Writes its files, and says where.
    pub fn files(&self, folder: &Path) {
        for (name, text) in &self.files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Puts its objects into the cluster, and a store beside it.
    pub async fn set_up(&self, api: &Api) -> Given {
        let store = store::answering(&self.store).await;
        let objects = self.all_objects(&store.url());
        for object in &objects {
            api.apply(object).await.ok();
            if object["kind"] == "ScaledObject" {
                api.merge_status(object, &json!({"status": {"scaleTargetGVKR": self.kind_of_target()}})).await.ok();
            }
        }
        Given { objects, store }
    }
}

/// What of the cluster is this case's.
pub struct Given {
    objects: Vec<Value>,
    pub store: StandIn,
}

impl Given {
    /// The next case finds nothing of it.
    pub async fn clear(&self, api: &Api) {
        for object in &self.objects {
            api.delete(object).await.ok();
        }
    }
}

/// With the store's address in its place.
fn at(spec: &Value, store: &str) -> Value {
    serde_json::from_str(&spec.to_string().replace("{store}", store)).unwrap()
}
