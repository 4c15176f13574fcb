//! A workload that KEDA scales by triggers of ours, and its replicas as they change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::Api,
    events::Events,
    stage::{deployment, eventually},
};

/// A Deployment and the ScaledObject over it, of one name.
pub struct Scaled {
    api: Api,
    namespace: String,
    pub name: String,
}

impl Scaled {
    /// `spec` is laid over what all these ScaledObjects have; `triggers` must be in it.
    pub async fn new(api: &Api, namespace: &str, name: &str, spec: &Value) -> Self {
        api.namespace(namespace).await;
        let meta = json!({"name": name, "namespace": namespace});
        api.apply(&deployment(namespace, name)).await.ok();
        // Down as soon as there is nothing to do, so that a test need not wait for minutes.
        let down = json!({"stabilizationWindowSeconds": 0});
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta,
            "spec": {
                "scaleTargetRef": {"name": name}, "minReplicaCount": 0, "maxReplicaCount": 10,
                "pollingInterval": 2, "cooldownPeriod": 1,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": down}}},
            },
        });
        for (key, value) in spec.as_object().unwrap() {
            match (&mut object["spec"][key], value) {
                (Value::Object(ours), Value::Object(more)) => ours.extend(more.clone()),
                (ours, value) => *ours = value.clone(),
            }
        }
        api.apply(&object).await.ok();
        let scaled = Self { api: api.clone(), namespace: namespace.to_owned(), name: name.to_owned() };
        eventually(&format!("{namespace}/{name} is ready"), || async { scaled.condition("Ready").await == "True" })
            .await;
        scaled
    }

    /// The status of a condition of the ScaledObject; empty when it has none.
    pub async fn condition(&self, kind: &str) -> String {
        condition(&self.object().await, kind)
    }

    /// The same of the autoscaler that KEDA has made for it.
    pub async fn autoscaler(&self, kind: &str) -> String {
        let path = format!(
            "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/keda-hpa-{}",
            self.namespace, self.name
        );
        condition(&self.api.get(&path).await.ok(), kind)
    }

    fn path(&self) -> String {
        format!("/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects/{}", self.namespace, self.name)
    }

    async fn object(&self) -> Value {
        self.api.get(&self.path()).await.ok()
    }

    fn workloads(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace)
    }

    pub async fn replicas(&self) -> u64 {
        self.api.get(&format!("{}/{}", self.workloads(), self.name)).await.ok()["spec"]["replicas"].as_u64().unwrap()
    }

    pub async fn reaches(&self, replicas: u64) {
        let what = format!("{}/{} has {replicas} replicas", self.namespace, self.name);
        eventually(&what, || async { self.replicas().await == replicas }).await;
    }

    /// Takes the replicas away by hand.
    pub async fn stop(&self) {
        let path = format!("{}/{}/scale", self.workloads(), self.name);
        let none = json!({"spec": {"replicas": 0}});
        self.api.call(Method::PATCH, &path, Some(("application/merge-patch+json", &none))).await.ok();
    }

    /// Every number of replicas from now on, as soon as the API server knows it.
    pub async fn changes(&self) -> Changes {
        let path = format!("{}?watch=1&fieldSelector=metadata.name%3D{}", self.workloads(), self.name);
        Changes { events: Events::of(&self.api, &path).await, before: None }
    }

    /// Ends it, and waits until KEDA has let go of it.
    pub async fn end(self) {
        self.api.delete(&self.object().await).await.ok();
        eventually("KEDA has let go", || async { self.api.get(&self.path()).await.status == 404 }).await;
    }
}

fn condition(object: &Value, kind: &str) -> String {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == kind);
    found.and_then(|one| one["status"].as_str()).unwrap_or_default().to_owned()
}

/// Numbers of replicas, each once until it changes.
pub struct Changes {
    events: Events,
    before: Option<u64>,
}

impl Changes {
    pub async fn next(&mut self) -> u64 {
        loop {
            let event = self.events.next().await.expect("the API server goes on");
            let now = event["object"]["spec"]["replicas"].as_u64();
            if now != self.before {
                self.before = now;
                return now.unwrap();
            }
        }
    }

    /// Waits for this number.
    pub async fn until(&mut self, replicas: u64) {
        while self.next().await != replicas {}
    }
}
