//! The real binary between a real API server and a real broker: passwords that change, are missing, cannot be read.

use std::{env, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    api::{Api, Rights},
    emulator::Keda,
    own::Own,
    process::Process,
};

/// A changed Secret is in use within so long, whatever else happens.
const LIFE: Duration = Duration::from_secs(30);

/// A list on Redis, and a trigger on it with the login that a Secret has.
struct Login {
    api: Api,
    name: String,
    redis: String,
    admin: MultiplexedConnection,
}

impl Login {
    /// The name is the namespace, the user and the list.
    async fn new(api: Api, name: &str) -> Self {
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
        let spec = json!({"secretTargetRef": [entry("username"), entry("password")]});
        login.apply(&json!({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": meta, "spec": spec})).await;
        let metadata: serde_json::Map<_, _> =
            login.metadata().iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let trigger = json!({"type": "external-push", "metadata": metadata, "authenticationRef": {"name": "o"}});
        let spec = json!({"scaleTargetRef": {"name": "w"}, "triggers": [trigger]});
        login
            .apply(&json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta, "spec": spec}))
            .await;
        login
    }

    async fn apply(&self, object: &serde_json::Value) {
        self.api.apply(object).await.ok();
    }

    fn metadata(&self) -> [(&str, &str); 5] {
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
    async fn secret(&self, data: serde_json::Value) {
        let meta = json!({"name": "login", "namespace": self.name});
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data})).await;
    }

    /// What the broker wants. Who is in by another password is thrown out.
    async fn password(&mut self, password: &str) {
        let _: () = redis::cmd("ACL")
            .arg(&["SETUSER", &self.name, "reset", "on", &format!(">{password}"), "~*", "&*", "+@all"])
            .query_async(&mut self.admin)
            .await
            .unwrap();
        let _: i64 =
            redis::cmd("CLIENT").arg(&["KILL", "USER", &self.name]).query_async(&mut self.admin).await.unwrap();
    }

    fn keda(&self, server: &Process) -> Keda {
        Keda::of(server.channel(), (&self.name, "o"), &self.metadata())
    }
}

/// A file that leads to the shared API server with the rights of this token.
fn kubeconfig_of(name: &str, token: &str) -> String {
    let text = std::fs::read_to_string(shared_kubeconfig()).unwrap();
    let (head, tail) = text.split_once("token: ").unwrap();
    let (_, rest) = tail.split_once('}').unwrap();
    let file = env::temp_dir().join(format!("{name}-{}.kubeconfig", std::process::id()));
    std::fs::write(&file, format!("{head}token: {token:?}}}{rest}")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn start(kubeconfig: &str, namespace: &str) -> Process {
    Process::start_in(&["--kubernetes", "--kubernetes-namespaces", namespace], &[("KUBECONFIG", kubeconfig)])
}

fn shared_kubeconfig() -> String {
    env::var("KUBECONFIG").expect("target/cluster/env is loaded")
}

/// Waits until a poll of KEDA's finds this, and says how long that took.
async fn seen(keda: &mut Keda, value: i64) -> Duration {
    let begin = Instant::now();
    loop {
        let poll = keda.poll().await;
        if poll.as_ref().is_ok_and(|poll| poll.value.metric_value == value) {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < 2 * LIFE, "still {poll:?} and not {value}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a poll of KEDA's fails with all these words.
async fn refused(keda: &mut Keda, words: &[&str]) {
    let begin = Instant::now();
    loop {
        let poll = keda.poll().await;
        if poll.as_ref().is_err_and(|status| words.iter().all(|word| status.message().contains(word))) {
            return;
        }
        assert!(begin.elapsed() < 2 * LIFE, "{poll:?} says nothing of {words:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_changes_at_the_broker_and_in_its_secret_is_in_use_at_once() {
    let mut login = Login::new(Api::shared(), "live-rotated").await;
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    let server = start(&shared_kubeconfig(), &login.name);
    let mut keda = login.keda(&server);
    seen(&mut keda, 7).await;

    // The broker first, as it is done by hand; the Secret follows.
    login.password("two").await;
    refused(&mut keda, &[]).await;
    login.secret(json!({"username": login.name, "password": "two"})).await;
    let took = seen(&mut keda, 7).await;
    println!("in use {took:?} after the Secret was patched");
    assert!(took < LIFE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_is_named_and_its_coming_noticed() {
    let mut login = Login::new(Api::shared(), "live-missing").await;
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    login
        .api
        .delete(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": login.name},
        }))
        .await
        .ok();
    let server = start(&shared_kubeconfig(), &login.name);
    let mut keda = login.keda(&server);
    keda.spec().await.expect("a spec needs no login");
    refused(&mut keda, &["live-missing/login", "TriggerAuthentication"]).await;
    login.secret(json!({"username": login.name})).await;
    refused(&mut keda, &["live-missing/login", "password"]).await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    seen(&mut keda, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_away_logins_stay_and_specs_are_answered_from_the_first_moment() {
    let mut own = Own::start().await;
    let mut login = Login::new(own.api(), "live-outage").await;
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    let server = start(&own.kubeconfig(), &login.name);
    let mut keda = login.keda(&server);
    seen(&mut keda, 7).await;

    own.stop();
    // Longer than a Secret is held without a look at it, and with a connection that must be opened again.
    let begin = Instant::now();
    while begin.elapsed() < LIFE + Duration::from_secs(5) {
        let _: () = login.admin.lpush(&login.name, "more").await.unwrap();
        sleep(Duration::from_secs(5)).await;
        keda.poll().await.expect("the login that was good before");
    }
    login.password("one").await;
    let length: i64 = login.admin.llen(&login.name).await.unwrap();
    seen(&mut keda, length).await;
    let late = start(&own.kubeconfig(), &login.name);
    let asked = Instant::now();
    login.keda(&late).spec().await.expect("a spec needs no API server");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    own.go_on().await;
    seen(&mut login.keda(&late), length).await;
    login.password("two").await;
    login.secret(json!({"username": login.name, "password": "two"})).await;
    seen(&mut keda, length).await;
}

/// What the chart gives in its namespaced mode, and then one right less.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_and_its_coming_noticed() {
    let mut login = Login::new(Api::shared(), "live-rights").await;
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    let watched = json!({
        "apiGroups": ["keda.sh"], "resources": ["scaledobjects", "scaledjobs", "triggerauthentications"],
        "verbs": ["get", "list", "watch"],
    });
    let secrets = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    let rights = |rules| [Rights { namespace: Some("live-rights"), rules }];
    let token = login.api.account(&login.name, "plimsoll", &rights(json!([watched]))).await;
    let server = start(&kubeconfig_of(&login.name, &token), &login.name);
    let mut keda = login.keda(&server);
    keda.spec().await.expect("a spec needs no right");
    refused(&mut keda, &["Secret `live-rights/login`", "grant"]).await;
    login.api.account(&login.name, "plimsoll", &rights(json!([watched, secrets]))).await;
    seen(&mut keda, 7).await;
}
