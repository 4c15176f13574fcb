//! A real Vault, and logins that are kept in it: by a token and by a ServiceAccount, in both versions of KV, changed, refused.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    api::Api,
    emulator::Keda,
    live::{refused, seen, shared_kubeconfig},
    login::Login,
    process::Process,
};

/// So long a token lives that is not renewed.
const TTL: Duration = Duration::from_secs(6);

/// Ends when dropped.
struct Vault {
    url: String,
    root: String,
    http: reqwest::Client,
    process: Child,
}

impl Vault {
    /// With the second version of KV at `secret`, the first at `old`.
    async fn start() -> Self {
        let program = env::var("PLIMSOLL_TEST_CLUSTER_VAULT").expect("target/cluster/env is loaded");
        let mut process =
            Command::new(program).arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (url, root) = line.trim().split_once(' ').expect("its address and its token");
        let vault = Self { url: url.to_owned(), root: root.to_owned(), http: reqwest::Client::new(), process };
        for (path, version) in [("secret", "2"), ("old", "1")] {
            vault.put(&format!("sys/mounts/{path}"), json!({"type": "kv", "options": {"version": version}})).await;
        }
        vault
    }

    /// Writes it as the root.
    async fn put(&self, path: &str, body: Value) -> Value {
        // A fresh mount of the second version says that it is being made ready.
        let begin = Instant::now();
        loop {
            let url = format!("{}/v1/{path}", self.url);
            let answer = self.http.post(url).header("X-Vault-Token", &self.root).json(&body).send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            if status.is_success() {
                return serde_json::from_str(&text).unwrap_or_default();
            }
            let passes = text.contains("Upgrading from non-versioned to versioned data");
            assert!(passes && begin.elapsed() < TTL, "{path}: {status} {text}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What whoever has the policy `plimsoll` may read.
    async fn allow(&self, paths: &[&str]) {
        let rules: serde_json::Map<_, _> =
            paths.iter().map(|path| ((*path).to_owned(), json!({"capabilities": ["read"]}))).collect();
        self.put("sys/policies/acl/plimsoll", json!({"policy": json!({"path": rules}).to_string()})).await;
    }

    async fn token(&self) -> String {
        let wanted = json!({"policies": ["plimsoll"], "ttl": format!("{}s", TTL.as_secs()), "renewable": true});
        let made = self.put("auth/token/create", wanted).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A list of seven, and a Vault that holds what opens it at `path`.
async fn stored(name: &str, path: &str) -> (Login, Vault) {
    let (mut login, vault) = (Login::new(Api::shared(), name).await, Vault::start().await);
    login.password("one").await;
    keep(&vault, &login, path, "one").await;
    (login, vault)
}

async fn keep(vault: &Vault, login: &Login, path: &str, password: &str) {
    let held = json!({"username": login.name, "password": password});
    let held = if path.starts_with("secret/data/") { json!({"data": held}) } else { held };
    vault.put(path, held).await;
}

/// The TriggerAuthentication looks there from now on.
async fn leads_to(login: &Login, vault: &Vault, path: &str, mut how: Value) {
    let secret = |key: &str| json!({"parameter": key, "key": key, "path": path});
    how["address"] = vault.url.clone().into();
    how["secrets"] = json!([secret("username"), secret("password")]);
    login.authentication(&json!({"hashiCorpVault": how})).await;
}

fn start(login: &Login) -> (Process, Keda) {
    let arguments = ["--kubernetes", "--kubernetes-namespaces", login.name.as_str(), "--kubernetes-tokens"];
    let server = Process::start_in(&arguments, &[("KUBECONFIG", &shared_kubeconfig())]);
    let keda = login.keda(&server);
    (server, keda)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_vault_is_read_again_when_the_broker_refuses_it_by_a_token_that_is_renewed() {
    let (mut login, vault) = stored("vault-token", "secret/data/db").await;
    vault.allow(&["secret/data/db"]).await;
    let token = vault.token().await;
    leads_to(&login, &vault, "secret/data/db", json!({"authentication": "token", "credential": {"token": token}}))
        .await;
    let (_server, mut keda) = start(&login);
    seen(&mut keda, 7).await;

    let begin = Instant::now();
    while begin.elapsed() < 3 * TTL {
        keda.poll().await.expect("the login is good");
        sleep(Duration::from_secs(1)).await;
    }
    keep(&vault, &login, "secret/data/db", "two").await;
    login.password("two").await;
    let length = login.longer().await;
    seen(&mut keda, length).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_knows_a_service_account_by_the_api_server() {
    let (mut login, vault) = stored("vault-account", "old/db").await;
    vault.allow(&["old/db"]).await;
    login.api.account(&login.name, "worker", &[]).await;
    vault.put("sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
    let authority = env::var("PLIMSOLL_TEST_CLUSTER_CA").expect("target/cluster/env is loaded");
    let reviewer = json!({
        "kubernetes_host": login.api.url, "kubernetes_ca_cert": std::fs::read_to_string(authority).unwrap(),
        "token_reviewer_jwt": login.api.account(&login.name, "reviewer", &[crate::api::Rights {
            namespace: None,
            rules: json!([{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]),
        }]).await,
    });
    vault.put("auth/kubernetes/config", reviewer).await;
    let role = |account: &str| {
        json!({
            "bound_service_account_names": [account], "bound_service_account_namespaces": [login.name],
            "token_policies": ["plimsoll"], "token_ttl": format!("{}s", TTL.as_secs()),
        })
    };
    vault.put("auth/kubernetes/role/reader", role("somebody-else")).await;
    let how = json!({
        "authentication": "kubernetes", "mount": "kubernetes", "role": "reader",
        "credential": {"serviceAccountName": "worker"},
    });
    leads_to(&login, &vault, "old/db", how).await;
    let (_server, mut keda) = start(&login);
    refused(&mut keda, &["refuses the login", "403", "service account name not authorized"]).await;

    vault.put("auth/kubernetes/role/reader", role("worker")).await;
    seen(&mut keda, 7).await;
    keep(&vault, &login, "old/db", "two").await;
    login.password("two").await;
    let length = login.longer().await;
    seen(&mut keda, length).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vault_refuses_or_has_not_is_named_and_its_coming_noticed() {
    let (login, vault) = stored("vault-refused", "secret/data/db").await;
    vault.allow(&["secret/data/other"]).await;
    let token = vault.token().await;
    let how = json!({"authentication": "token", "credential": {"token": token}});
    leads_to(&login, &vault, "secret/data/db", how).await;
    let (server, mut keda) = start(&login);
    refused(&mut keda, &["secret/data/db", "403"]).await;
    vault.allow(&["secret/data/db"]).await;
    seen(&mut keda, 7).await;

    let how = json!({"authentication": "token", "credential": {"token": "hvs.nobody-has-made-it"}});
    leads_to(&login, &vault, "secret/data/db", how).await;
    refused(&mut keda, &["refuses the token", "403"]).await;
    let told = server.log();
    assert!(!told.contains("hvs."), "{told}");
}
