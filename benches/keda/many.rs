//! Many workloads with a ScaledObject each, made side by side and seen by one watch.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{api::Api, events::Events, stage::deployment};

pub const NAMESPACE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Many {
    pub api: Api,
    pub names: Vec<String>,
    events: Events,
    /// The replicas that are wanted, by name.
    pub replicas: BTreeMap<String, u64>,
}

impl Many {
    /// Those of `count` objects as `spec` makes them of a name, ready.
    pub async fn new(api: &Api, names: Vec<String>, spec: impl Fn(&str) -> Value) -> Self {
        api.namespace(NAMESPACE).await;
        stream::iter(&names)
            .for_each_concurrent(8, |name| {
                let spec = spec(name);
                async move { make(api, name, &spec).await }
            })
            .await;
        let begin = Instant::now();
        loop {
            let ready = ready(api).await;
            if ready == names.len() {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{ready} of {} are ready", names.len());
            sleep(Duration::from_secs(2)).await;
        }
        println!("{} objects are ready after {:.0?}", names.len(), begin.elapsed());
        // Only now: whoever watches and does not read is hung up on.
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments?watch=1");
        let events = Events::of(api, &path).await;
        Self { api: api.clone(), names, events, replicas: BTreeMap::new() }
    }

    /// The next change of any workload's replicas: whose, and when it was seen.
    pub async fn change(&mut self, within: Duration) -> Option<(String, u64, Instant)> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = timeout(left, self.events.next()).await.ok()?.expect("the API server goes on");
            let seen = Instant::now();
            let (name, now) = (event["object"]["metadata"]["name"].as_str()?.to_owned(), &event["object"]["spec"]);
            let now = now["replicas"].as_u64()?;
            if self.replicas.insert(name.clone(), now).is_some_and(|before| before != now) {
                return Some((name, now, seen));
            }
        }
    }

    /// Waits until so many workloads have at least these replicas.
    pub async fn until(&mut self, count: usize, replicas: u64) {
        let begin = Instant::now();
        while self.with(replicas) < count {
            assert!(begin.elapsed() < PATIENCE, "{} of {count} have {replicas} replicas", self.with(replicas));
            self.change(Duration::from_secs(5)).await;
        }
    }

    pub fn with(&self, replicas: u64) -> usize {
        self.replicas.values().filter(|now| **now >= replicas).count()
    }
}

async fn make(api: &Api, name: &str, spec: &Value) {
    let meta = json!({"name": name, "namespace": NAMESPACE});
    api.apply(&deployment(NAMESPACE, name)).await.ok();
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta,
        "spec": {"scaleTargetRef": {"name": name}, "minReplicaCount": 0, "maxReplicaCount": 10},
    });
    let ours = object["spec"].as_object_mut().expect("an object");
    ours.extend(spec.as_object().expect("an object").clone());
    api.apply(&object).await.ok();
}

async fn ready(api: &Api) -> usize {
    let all = api.get(&format!("/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects")).await.ok();
    let ready = |object: &&Value| {
        let conditions = object["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    all["items"].as_array().expect("a list").iter().filter(ready).count()
}
