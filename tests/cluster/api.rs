//! The API server as a test uses it: objects in, objects out, by plain requests.
//!
//! Not for: what plimsoll asks of it, which goes through its own client.

use std::{collections::HashMap, env, fs, sync::Arc};

use parking_lot::Mutex;
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

/// An API server, seen with the rights of one token.
#[derive(Clone)]
pub struct Api {
    pub url: String,
    pub token: String,
    http: Client,
    /// By `apiVersion/kind`: the plural, and whether the kind lives in namespaces.
    kinds: Arc<Mutex<HashMap<String, (String, bool)>>>,
}

/// What the API server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        self.body
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: start the API server with `tests/cluster/up`, then `. target/cluster/env`")
    })
}

impl Api {
    /// The one that all tests share, as its administrator.
    pub fn shared() -> Self {
        let [url, token, authority] =
            ["", "_TOKEN", "_CA"].map(|name| variable(&format!("PLIMSOLL_TEST_CLUSTER{name}")));
        Self::new(url, token, authority)
    }

    pub fn new(url: String, token: String, authority: String) -> Self {
        let pem = fs::read(&authority).unwrap_or_else(|error| panic!("{authority}: {error}"));
        let http = Client::builder().tls_certs_only(Certificate::from_pem_bundle(&pem).unwrap()).build().unwrap();
        Self { url, token, http, kinds: Arc::default() }
    }

    /// The same API server with the rights of another.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let response = request.send().await.unwrap_or_else(|error| {
            panic!("the API server does not answer: {error:?}: start it with `tests/cluster/up`, then `. target/cluster/env`")
        });
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// The answer to a GET as it comes.
    #[allow(dead_code, reason = "not every test target watches")]
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await.unwrap()
    }

    /// Server-side, and unknown fields are refused.
    pub async fn apply(&self, object: &Value) -> Answer {
        self.applied(object, "").await
    }

    /// Whether the object could be applied. Nothing stays.
    #[allow(dead_code, reason = "not every test target asks")]
    pub async fn would_apply(&self, object: &Value) -> Answer {
        self.applied(object, "&dryRun=All").await
    }

    async fn applied(&self, object: &Value, how: &str) -> Answer {
        let path = format!("{}?fieldManager=tests&force=true&fieldValidation=Strict{how}", self.path(object).await);
        // JSON is YAML.
        self.call(Method::PATCH, &path, Some(("application/apply-patch+yaml", object))).await
    }

    /// Whether the object could be made, as `validation` says: `Strict` or `Ignore`. Nothing stays.
    pub async fn would_create(&self, object: &Value, validation: &str) -> Answer {
        let path = self.path(object).await;
        let (folder, _) = path.rsplit_once('/').unwrap();
        let path = format!("{folder}?dryRun=All&fieldValidation={validation}");
        self.call(Method::POST, &path, Some(("application/json", object))).await
    }

    /// What only controllers write.
    pub async fn merge_status(&self, object: &Value, fields: &Value) -> Answer {
        let path = format!("{}/status", self.path(object).await);
        self.call(Method::PATCH, &path, Some(("application/merge-patch+json", fields))).await
    }

    /// At once: of a pod nobody says that it has come to its end.
    pub async fn delete(&self, object: &Value) -> Answer {
        let path = format!("{}?gracePeriodSeconds=0", self.path(object).await);
        self.call(Method::DELETE, &path, None).await
    }

    pub async fn namespace(&self, name: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await.ok();
    }

    /// A service account that may do what `rules` say in that namespace, or everywhere; its token.
    pub async fn account(&self, namespace: &str, name: &str, rights: &[Rights<'_>]) -> String {
        let meta = json!({"name": name, "namespace": namespace});
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})).await.ok();
        for (n, rights) in rights.iter().enumerate() {
            let (role, binding, meta) = match rights.namespace {
                Some(place) => ("Role", "RoleBinding", json!({"name": format!("{name}-{n}"), "namespace": place})),
                None => ("ClusterRole", "ClusterRoleBinding", json!({"name": format!("{namespace}-{name}-{n}")})),
            };
            let group = "rbac.authorization.k8s.io";
            let version = format!("{group}/v1");
            let rules = &rights.rules;
            self.apply(&json!({"apiVersion": version, "kind": role, "metadata": meta, "rules": rules})).await.ok();
            let given = json!({
                "apiVersion": version, "kind": binding, "metadata": meta,
                "roleRef": {"apiGroup": group, "kind": role, "name": meta["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            });
            self.apply(&given).await.ok();
        }
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer = self.call(Method::POST, &path, Some(("application/json", &request))).await.ok();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Where the object lives.
    pub async fn path(&self, object: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not an object: {object}")).to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let (plural, namespaced) = self.kind(&version, &kind).await;
        let place = if namespaced {
            format!("namespaces/{}/", object["metadata"]["namespace"].as_str().unwrap_or("default"))
        } else {
            String::new()
        };
        format!("{}/{place}{plural}/{}", group_path(&version), text(&object["metadata"]["name"]))
    }

    async fn kind(&self, version: &str, kind: &str) -> (String, bool) {
        let key = format!("{version}/{kind}");
        if let Some(known) = self.kinds.lock().get(&key) {
            return known.clone();
        }
        let list = self.get(&group_path(version)).await.ok();
        let found = list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|resource| resource["kind"] == kind && !resource["name"].as_str().unwrap().contains('/'));
        let found = found.unwrap_or_else(|| panic!("the API server knows no {key}"));
        let found = (found["name"].as_str().unwrap().to_owned(), found["namespaced"] == true);
        self.kinds.lock().insert(key, found.clone());
        found
    }
}

fn group_path(version: &str) -> String {
    let root = if version.contains('/') { "apis" } else { "api" };
    format!("/{root}/{version}")
}

/// Rules of RBAC, in one namespace or in all.
pub struct Rights<'a> {
    pub namespace: Option<&'a str>,
    pub rules: Value,
}

/// The documents of a YAML file, in their order.
pub fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}:\n{yaml}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}
