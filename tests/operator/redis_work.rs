//! A list on Redis behind a user of its own, and the Secret that says its password.

use std::env;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};

use crate::{api::Api, process::Process};

/// List, user and namespace have one name.
pub struct Work {
    api: Api,
    name: String,
    redis: String,
    admin: MultiplexedConnection,
}

impl Work {
    pub async fn new(api: &Api, name: &str) -> Self {
        let redis = env::var("PLIMSOLL_TEST_REDIS")
            .expect("start Redis with `tests/brokers/up redis`, then `. target/brokers/env`");
        let client = redis::Client::open(format!("redis://{redis}")).unwrap();
        let admin = client.get_multiplexed_async_connection().await.unwrap();
        let mut work = Self { api: api.clone(), name: name.to_owned(), redis, admin };
        work.clear().await;
        work.password("one").await;
        work
    }

    pub async fn put(&mut self, count: usize) {
        let () = self.admin.lpush(&self.name, vec!["work"; count]).await.unwrap();
    }

    pub async fn clear(&mut self) {
        let _: i64 = self.admin.del(&self.name).await.unwrap();
    }

    /// What the broker wants from now on. Who is in by another password is thrown out.
    pub async fn password(&mut self, password: &str) {
        let rights = ["SETUSER", &self.name, "reset", "on", &format!(">{password}"), "~*", "&*", "+@all"];
        let _: () = redis::cmd("ACL").arg(&rights).query_async(&mut self.admin).await.unwrap();
        let kill = ["KILL", "USER", &self.name];
        let _: i64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut self.admin).await.unwrap();
    }

    /// What the Secret says from now on.
    pub async fn tell(&self, password: &str) {
        self.api.apply(&self.secret(password)).await.ok();
    }

    fn secret(&self, password: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": self.name},
            "stringData": {"username": self.name, "password": password},
        })
    }

    /// The Secret, and the TriggerAuthentication that names it.
    pub fn objects(&self) -> [Value; 2] {
        let entry = |key: &str| json!({"parameter": key, "name": "login", "key": key});
        let authentication = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": "redis", "namespace": self.name},
            "spec": {"secretTargetRef": [entry("username"), entry("password")]},
        });
        [self.secret("one"), authentication]
    }

    /// A replica for five entries.
    pub fn trigger(&self, server: &Process) -> Value {
        json!({
            "type": "external-push",
            "metadata": {
                "scalerAddress": server.grpc, "scalerType": "redis", "address": self.redis, "listName": self.name,
                "listLength": "5", "pollingInterval": "1s",
            },
            "authenticationRef": {"name": "redis"},
        })
    }
}

/// The server, which reads this namespace.
pub fn serve(namespace: &str) -> Process {
    let kubeconfig = env::var("KUBECONFIG").expect("target/cluster/env is loaded");
    Process::start_in(&["--kubernetes", "--kubernetes-namespaces", namespace], &[("KUBECONFIG", &kubeconfig)])
}
