//! An API server in memory: GET, LIST and WATCH of whatever objects it is given, tokens and reviews, as the real one answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io,
    sync::Arc,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};

type Answered = UnsyncBoxBody<Bytes, Infallible>;

/// A cluster. Clones are the same one.
#[derive(Clone, Default)]
pub struct Standin(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    version: u64,
    watches: Vec<(String, mpsc::UnboundedSender<Bytes>)>,
    down: bool,
    /// What begins so is not for us.
    forbidden: BTreeSet<String>,
    asked: Vec<String>,
    tokens: u32,
}

impl Standin {
    pub fn client(&self) -> kube::Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { this.answer(request).await }
        });
        kube::Client::new(service, "plimsoll")
    }

    /// Creates or replaces each of the objects that `yaml` has.
    pub fn apply(&self, yaml: &str) {
        for document in yaml.split("\n---") {
            let object: Value = serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
            self.put(object);
        }
    }

    pub fn put(&self, mut object: Value) {
        let mut state = self.0.lock();
        state.version += 1;
        let (version, collection) = (state.version, collection(&object));
        let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
        let path = format!("{collection}/{name}");
        let before = state.objects.get(&path).cloned();
        let generation = before.as_ref().map_or(1, |before| {
            before["metadata"]["generation"].as_i64().unwrap_or(0) + i64::from(before["spec"] != object["spec"])
        });
        if let Some(texts) = object["stringData"].as_object().cloned() {
            let written = texts.into_iter().map(|(key, text)| {
                let text = text.as_str().expect("a text").to_owned();
                (key, json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text)))
            });
            object["data"] = Value::Object(written.collect());
        }
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = json!(version.to_string());
        meta["uid"] =
            before.as_ref().map_or_else(|| json!(format!("uid-{version}")), |old| old["metadata"]["uid"].clone());
        meta["generation"] = json!(generation);
        meta["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:triggers": {}}}}]);
        state.tell(&collection, if before.is_some() { "MODIFIED" } else { "ADDED" }, &object);
        state.objects.insert(path, object);
    }

    pub fn delete(&self, path: &str) {
        let mut state = self.0.lock();
        let object = state.objects.remove(path).expect("it is there");
        let collection = path.rsplit_once('/').expect("a path").0.to_owned();
        state.version += 1;
        state.tell(&collection, "DELETED", &object);
    }

    /// From now on it is away, or back.
    pub fn set_down(&self, down: bool) {
        let mut state = self.0.lock();
        state.down = down;
        if down {
            state.watches.clear();
        }
    }

    pub fn forbid(&self, prefix: &str) {
        self.0.lock().forbidden.insert(prefix.to_owned());
    }

    pub fn allow_all(&self) {
        self.0.lock().forbidden.clear();
    }

    /// Sends every watch of `collection` this line.
    pub fn say(&self, collection: &str, line: &Value) {
        self.0.lock().watches.iter().filter(|(of, _)| of == collection).for_each(|(_, to)| {
            to.send(Bytes::from(format!("{line}\n"))).ok();
        });
    }

    /// How often something was asked whose path begins so.
    pub fn asked(&self, prefix: &str) -> usize {
        self.0.lock().asked.iter().filter(|path| path.starts_with(prefix)).count()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Answered>, io::Error> {
        // An answer takes a moment, so that questions can meet.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let mut state = self.0.lock();
        state.asked.push(if query.is_empty() { path.clone() } else { format!("{path}?{query}") });
        if state.down {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        }
        if head.method == Method::POST {
            return Ok(state.created(&path, &serde_json::from_slice(&body).expect("JSON")));
        }
        if state.forbidden.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(failed(StatusCode::FORBIDDEN));
        }
        if let Some(object) = state.objects.get(&path) {
            return Ok(said(object));
        }
        // A collection has an odd number of parts below its version, and a whole cluster's is above those of namespaces.
        if !query.is_empty() {
            return Ok(if query.contains("watch=true") {
                state.watched(&path, &query)
            } else {
                state.listed(&path, &query)
            });
        }
        Ok(failed(StatusCode::NOT_FOUND))
    }
}

impl State {
    fn tell(&mut self, collection: &str, kind: &str, object: &Value) {
        let line = Bytes::from(format!("{}\n", json!({ "type": kind, "object": object })));
        self.watches.retain(|(of, to)| !covers(of, collection) || to.send(line.clone()).is_ok());
    }

    fn listed(&self, path: &str, query: &str) -> Response<Answered> {
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let limit: usize = value("limit=").map_or(1000, |limit| limit.parse().expect("a number"));
        let from: usize = value("continue=").map_or(0, |from| from.parse().expect("a number"));
        let all: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(of, _)| covers(path, of.rsplit_once('/').expect("a path").0))
            .map(|(_, object)| object)
            .collect();
        let next = (all.len() > from + limit).then(|| (from + limit).to_string());
        let items: Vec<_> = all.into_iter().skip(from).take(limit).collect();
        let version = self.version.to_string();
        said(&json!({ "metadata": { "resourceVersion": version, "continue": next }, "items": items }))
    }

    fn watched(&mut self, path: &str, query: &str) -> Response<Answered> {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).expect("a version");
        let from: u64 = from.parse().expect("a number");
        let (to, lines) = mpsc::unbounded_channel();
        // What happened in between, deletions apart: those that matter to a test are told while it watches.
        for (of, object) in &self.objects {
            let version: u64 = object["metadata"]["resourceVersion"].as_str().expect("one").parse().expect("a number");
            if version > from && covers(path, of.rsplit_once('/').expect("a path").0) {
                to.send(Bytes::from(format!("{}\n", json!({ "type": "MODIFIED", "object": object })))).ok();
            }
        }
        self.watches.push((path.to_owned(), to));
        let frames = UnboundedReceiverStream::new(lines).map(|line| Ok(Frame::data(line)));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn created(&mut self, path: &str, body: &Value) -> Response<Answered> {
        if path.ends_with("/selfsubjectaccessreviews") {
            let at = &body["spec"]["resourceAttributes"];
            let text = |field: &str| at[field].as_str().unwrap_or_default().to_owned();
            let path = format!("/api/v1/namespaces/{}/{}/{}", text("namespace"), text("resource"), text("name"));
            let allowed = !self.forbidden.iter().any(|prefix| path.starts_with(prefix));
            return said(&json!({ "status": { "allowed": allowed } }));
        }
        let account = path.strip_suffix("/token").expect("a token is asked for");
        if self.forbidden.iter().any(|prefix| path.starts_with(prefix)) {
            return failed(StatusCode::FORBIDDEN);
        }
        if !self.objects.contains_key(account) {
            return failed(StatusCode::NOT_FOUND);
        }
        self.tokens += 1;
        let seconds = body["spec"]["expirationSeconds"].as_i64().expect("a life");
        let ends = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_secs(seconds);
        said(
            &json!({ "status": { "token": format!("token-{}", self.tokens), "expirationTimestamp": ends.to_string() } }),
        )
    }
}

/// The path of the collection that `object` is in.
fn collection(object: &Value) -> String {
    let kind = object["kind"].as_str().expect("a kind").to_lowercase();
    let version = object["apiVersion"].as_str().expect("a version");
    let root = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{kind}s"),
        None => format!("{root}/{kind}s"),
    }
}

/// Whether the collection `of` is `all`, or a namespace's part of it.
fn covers(all: &str, of: &str) -> bool {
    let (root, plural) = all.rsplit_once('/').expect("a path");
    of == all
        || (!all.contains("/namespaces/")
            && of.starts_with(&format!("{root}/namespaces/"))
            && of.ends_with(&format!("/{plural}")))
}

fn said(value: &Value) -> Response<Answered> {
    Response::new(Full::from(value.to_string()).boxed_unsync())
}

fn failed(status: StatusCode) -> Response<Answered> {
    let body = json!({ "kind": "Status", "code": status.as_u16(), "message": "as the API server says it" });
    Response::builder().status(status).body(Full::from(body.to_string()).boxed_unsync()).expect("a response")
}
