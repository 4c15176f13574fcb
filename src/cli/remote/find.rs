//! The server's pods in a cluster, and a way to each: `kubectl port-forward`, as its user would type it.
//!
//! `kubectl` and no client of ours: it knows the user's contexts, log-ins and proxies, and where one asks a cluster by hand it
//! is there. Not for: the objects of KEDA (`credentials`).

use std::{io, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    cli::exit::Unusable,
    error::{counted, quoted},
};

/// What the chart calls its pods.
const LABEL: &str = "app.kubernetes.io/name=plimsoll";
/// How long `kubectl` may take to say something: a log-in by a browser is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many replicas are asked at most.
const MOST: usize = 8;
/// The option that says where people's pages are, where that is not where probes look.
const PAGES: &str = "--pages-listen=";
/// In whose name probes look, and where by default.
const PORT_NAME: &str = "http";
const PORT: u16 = 8080;
/// How much of what `kubectl` says is read.
const LONGEST: u64 = 8 << 20;

/// A `kubectl port-forward`, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Forward {
    _kubectl: Child,
}

#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default)]
    name: String,
    container_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

impl Pod {
    fn runs(&self) -> bool {
        self.status.phase == "Running" && self.metadata.deletion_timestamp.is_none()
    }

    fn port(&self) -> u16 {
        let mut ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        let mut options = self.spec.containers.iter().flat_map(|container| &container.args);
        let pages = options.find_map(|option| option.strip_prefix(PAGES)?.rsplit_once(':')?.1.parse().ok());
        let named = || ports.find(|port| port.name == PORT_NAME).map(|port| port.container_port);
        pages.or_else(named).unwrap_or(PORT)
    }
}

/// For each pod that runs: its name, the URL that leads to it, and what keeps that so.
pub(super) async fn forwards(
    context: Option<&str>,
    namespace: Option<&str>,
) -> Result<Vec<(String, String, Forward)>, Unusable> {
    let mut forwards = Vec::new();
    let pods = pods(context, namespace).await?;
    for pod in pods.iter().take(MOST) {
        let (url, forward) = forward(context, pod).await?;
        forwards.push((
            format!("pod {}/{}", quoted(&pod.metadata.namespace), quoted(&pod.metadata.name)),
            url,
            forward,
        ));
    }
    Ok(forwards)
}

fn kubectl(context: Option<&str>) -> Command {
    let mut kubectl = Command::new("kubectl");
    kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if let Some(context) = context {
        kubectl.arg(format!("--context={context}"));
    }
    kubectl
}

fn unusable(what: &str) -> Unusable {
    Unusable(format!("there is no `--server`, and of the cluster nothing can be asked: {what}"))
}

fn not_started(error: &io::Error) -> Unusable {
    match error.kind() {
        io::ErrorKind::NotFound => unusable(
            "`kubectl` is not installed: install it, or give the admin port by `--server http://127.0.0.1:8080`",
        ),
        _ => unusable(&format!("`kubectl` cannot be started: {error}")),
    }
}

async fn pods(context: Option<&str>, namespace: Option<&str>) -> Result<Vec<Pod>, Unusable> {
    let mut kubectl = kubectl(context);
    kubectl.args(["get", "pods", "--selector", LABEL, "--output", "json"]);
    match namespace {
        Some(namespace) => kubectl.arg(format!("--namespace={namespace}")),
        None => kubectl.arg("--all-namespaces"),
    };
    let output = timeout(PATIENCE, kubectl.output()).await;
    let output = output.map_err(|_| unusable(&format!("`kubectl get pods` says nothing within {PATIENCE:?}")))?;
    let output = output.map_err(|error| not_started(&error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // The last line is its error; those before it are of its tries.
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word");
        return Err(unusable(&format!(
            "`kubectl get pods`: {}: give `--server URL`, or another `--context`",
            quoted(said)
        )));
    }
    let pods: Pods = serde_json::from_slice(&output.stdout).map_err(|_| unusable("`kubectl get pods` says no JSON"))?;
    let found = pods.items.len();
    let pods: Vec<Pod> = pods.items.into_iter().filter(Pod::runs).collect();
    if pods.is_empty() {
        let place = match namespace {
            None => "no namespace has a pod".to_owned(),
            Some(name) => format!("namespace `{}` has no pod", quoted(name)),
        };
        return Err(unusable(&match found {
            0 => format!("{place} with the label `{LABEL}`: give `--server URL`, or another `--context`"),
            _ => format!(
                "none of {} with the label `{LABEL}` runs: see `kubectl get pods -A -l {LABEL}`",
                counted(found, "pod")
            ),
        }));
    }
    Ok(pods)
}

async fn forward(context: Option<&str>, pod: &Pod) -> Result<(String, Forward), Unusable> {
    let mut kubectl = kubectl(context);
    kubectl
        .arg("port-forward")
        .arg("--address=127.0.0.1")
        .arg(format!("--namespace={}", pod.metadata.namespace))
        .arg(format!("pod/{}", pod.metadata.name))
        // A free port of this machine, which it says.
        .arg(format!(":{}", pod.port()));
    let mut child = kubectl.spawn().map_err(|error| not_started(&error))?;
    let said = child.stdout.take().map(|out| BufReader::new(out.take(LONGEST)));
    let mut line = String::new();
    if let Some(mut said) = said {
        timeout(PATIENCE, said.read_line(&mut line)).await.ok();
        taken(said.into_inner().into_inner());
    }
    if let Some(address) = listening(&line) {
        if let Some(errors) = child.stderr.take() {
            taken(errors);
        }
        return Ok((format!("http://{address}"), Forward { _kubectl: child }));
    }
    child.start_kill().ok();
    let mut said = String::new();
    if let Some(error) = child.stderr.take() {
        timeout(PATIENCE, error.take(LONGEST).read_to_string(&mut said)).await.ok();
    }
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word").to_owned();
    Err(unusable(&format!("`kubectl port-forward` to pod `{}`: {}", quoted(&pod.metadata.name), quoted(&said))))
}

/// Takes what it says from now on: a line for each connection, and it would stop if nobody did.
fn taken(mut said: impl AsyncRead + Send + Unpin + 'static) {
    crate::task::detach(async move {
        tokio::io::copy(&mut said, &mut tokio::io::sink()).await.ok();
    });
}

/// Where it listens: `Forwarding from 127.0.0.1:40123 -> 8080`.
fn listening(line: &str) -> Option<&str> {
    line.strip_prefix("Forwarding from ")?.split(" -> ").next().filter(|address| address.starts_with("127.0.0.1:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_run_are_asked_at_the_port_for_people() {
        let pods: Pods = serde_json::from_value(serde_json::json!({"items": [
            {"metadata": {"name": "a", "namespace": "keda"}, "status": {"phase": "Running"},
             "spec": {"containers": [{}, {"ports": [{"name": "grpc", "containerPort": 6000}, {"name": "http", "containerPort": 8081}]}]}},
            {"metadata": {"name": "b", "namespace": "keda", "deletionTimestamp": "now"}, "status": {"phase": "Running"}},
            {"metadata": {"name": "c"}, "status": {"phase": "Pending"}},
            {"metadata": {"name": "d"}, "status": {"phase": "Running"}},
            {"metadata": {"name": "e"}, "status": {"phase": "Running"},
             "spec": {"containers": [{"args": ["--listen=0.0.0.0:6000", "--pages-listen=127.0.0.1:9090"]}]}},
        ]}))
        .unwrap();
        let ports: Vec<(bool, u16)> = pods.items.iter().map(|pod| (pod.runs(), pod.port())).collect();
        assert_eq!(ports, [(true, 8081), (false, 8080), (false, 8080), (true, 8080), (true, 9090)]);
        assert_eq!(listening("Forwarding from 127.0.0.1:40123 -> 8080\n"), Some("127.0.0.1:40123"));
        assert_eq!(listening("error: no"), None);
    }
}
