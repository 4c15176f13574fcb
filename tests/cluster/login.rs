//! A trigger on a real Redis whose login is in a Secret of a real API server, and both ends of that login.

use std::env;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::json;

use crate::{api::Api, emulator::Keda, process::Process};

/// A list on Redis, and a trigger on it with the login that a Secret has.
pub struct Login {
    pub api: Api,
    pub name: String,
    redis: String,
    admin: MultiplexedConnection,
}

impl Login {
    /// The name is the namespace, the user and the list.
    pub async fn new(api: Api, name: &str) -> Self {
        let redis = env::var("PLIMSOLL_TEST_REDIS")
            .expect("start Redis with `tests/brokers/up redis`, then `. target/brokers/env`");
        let client = redis::Client::open(format!("redis://{redis}")).unwrap();
        let mut admin = client.get_multiplexed_async_connection().await.unwrap();
        let _: () = admin.del(name).await.unwrap();
        let _: () = admin.lpush(name, ["work"; 7].as_slice()).await.unwrap();
        api.namespace(name).await;
        let login = Self { api, name: name.to_owned(), redis, admin };
        let meta = json!({"name": "o", "namespace": name});
        let entry = |key: &str| json!({"parameter": key, "name": "login", "key": key});
        login.authentication(&json!({"secretTargetRef": [entry("username"), entry("password")]})).await;
        let metadata: serde_json::Map<_, _> =
            login.metadata().iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let trigger = json!({"type": "external-push", "metadata": metadata, "authenticationRef": {"name": "o"}});
        let spec = json!({"scaleTargetRef": {"name": "w"}, "triggers": [trigger]});
        login
            .apply(&json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta, "spec": spec}))
            .await;
        login
    }

    pub async fn apply(&self, object: &serde_json::Value) {
        self.api.apply(object).await.ok();
    }

    /// Where the trigger's login comes from.
    pub async fn authentication(&self, spec: &serde_json::Value) {
        let meta = json!({"name": "o", "namespace": self.name});
        self.apply(
            &json!({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": meta, "spec": spec}),
        )
        .await;
    }

    pub fn metadata(&self) -> [(&str, &str); 5] {
        let (redis, list) = (self.redis.as_str(), self.name.as_str());
        [
            ("scalerAddress", "plimsoll:6000"),
            ("scalerType", "redis"),
            ("address", redis),
            ("listName", list),
            ("pollingInterval", "200ms"),
        ]
    }

    /// What the Secret says.
    pub async fn secret(&self, data: serde_json::Value) {
        let meta = json!({"name": "login", "namespace": self.name});
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data})).await;
    }

    /// What the broker wants. Who is in by another password is thrown out.
    pub async fn password(&mut self, password: &str) {
        let _: () = redis::cmd("ACL")
            .arg(&["SETUSER", &self.name, "reset", "on", &format!(">{password}"), "~*", "&*", "+@all"])
            .query_async(&mut self.admin)
            .await
            .unwrap();
        let _: i64 =
            redis::cmd("CLIENT").arg(&["KILL", "USER", &self.name]).query_async(&mut self.admin).await.unwrap();
    }

    /// One more element; how many there are.
    pub async fn longer(&mut self) -> i64 {
        self.admin.lpush(&self.name, "work").await.unwrap()
    }

    pub fn keda(&self, server: &Process) -> Keda {
        Keda::of(server.channel(), (&self.name, "o"), &self.metadata())
    }
}
