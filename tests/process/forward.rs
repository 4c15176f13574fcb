//! A server that is found through `kubectl`: the pods that run, a way to each, and what `kubectl` says when there is none.
//!
//! `kubectl` is a script here, which says what the real one says, so that these run anywhere. The real one is asked by the tests of
//! the API server (`tests/cluster/forward.rs`).

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use tokio::time::timeout;

use crate::shop::{PATIENCE, Shop, Told, of, plimsoll};

/// A folder with a `kubectl` of this text.
fn kubectl(name: &str, script: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plimsoll-kubectl-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("kubectl");
    fs::write(&file, format!("#!/bin/sh\necho \"$@\" >>{0}/calls\n{script}", folder.display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn explained(folder: &str, arguments: &[&str]) -> Told {
    let mut command = plimsoll(&[&["explain", "orders"], arguments].concat());
    command.env("PATH", format!("{folder}:/usr/bin:/bin"));
    of(timeout(PATIENCE, command.output()).await.expect("it ends").unwrap())
}

fn pods(pods: &[(&str, &str)]) -> String {
    let pods = pods.iter().map(|(name, phase)| {
        serde_json::json!({"metadata": {"name": name, "namespace": "keda"}, "status": {"phase": phase},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}})
    });
    serde_json::json!({"items": pods.collect::<Vec<_>>()}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_replicas_in_a_cluster_the_one_that_keda_asks_tells() {
    let (shop, other) = (Shop::open(&[]).await, Shop::open(&[]).await);
    shop.keda(("shop", "orders"), "a").poll().await.unwrap();
    let script = format!(
        "case \"$*\" in *get*pods*) echo '{}';;
         *port-forward*pod/a*) echo 'Forwarding from {} -> 8080'; echo $$ >>\"$(dirname \"$0\")\"/pids; exec sleep 1000;;
         *port-forward*pod/b*) echo 'Forwarding from {} -> 8080'; echo $$ >>\"$(dirname \"$0\")\"/pids; exec sleep 1000;;
         *) echo 'error: what is this' >&2; exit 1;; esac",
        pods(&[("a", "Running"), ("b", "Running"), ("c", "Pending")]),
        other.server.admin,
        shop.server.admin
    );
    let folder = kubectl("two", &script);
    let told = explained(folder.to_str().unwrap(), &["--context", "prod"]).await;
    told.is(0, &["as pod keda/b (plimsoll ", "value        42"]);
    let calls = fs::read_to_string(folder.join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    assert_eq!(
        calls,
        [
            "--context=prod get pods --selector app.kubernetes.io/name=plimsoll --output json --all-namespaces",
            "--context=prod port-forward --address=127.0.0.1 --namespace=keda pod/a :8080",
            "--context=prod port-forward --address=127.0.0.1 --namespace=keda pod/b :8080",
        ]
    );
    // Nothing of it stays.
    let pids = fs::read_to_string(folder.join("pids")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    let runs = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("sleep"));
    let gone = async {
        while pids.lines().any(runs) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("`kubectl` ends with us");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_way_to_a_server_kubectls_own_words_say_why() {
    let refused =
        kubectl("refused", "echo 'E1126 try' >&2; echo 'error: You must be logged in to the server' >&2; exit 1");
    let told = explained(refused.to_str().unwrap(), &[]).await;
    told.is(2, &["You must be logged in to the server", "--server"]);
    let none = kubectl("none", &format!("echo '{}'", pods(&[])));
    explained(none.to_str().unwrap(), &["--server-namespace", "x"])
        .await
        .is(2, &["namespace `x` has no pod with the label"]);
    let waits = kubectl("waits", &format!("echo '{}'", pods(&[("a", "Pending")])));
    explained(waits.to_str().unwrap(), &[])
        .await
        .is(2, &["none of 1 pod with the label `app.kubernetes.io/name=plimsoll` runs"]);
    let script = format!(
        "case \"$*\" in *get*pods*) echo '{}';; *) echo 'error: unable to forward port' >&2; exit 1;; esac",
        pods(&[("a", "Running")])
    );
    let closed = kubectl("closed", &script);
    explained(closed.to_str().unwrap(), &[])
        .await
        .is(2, &["`kubectl port-forward` to pod `a`: error: unable to forward port"]);
    let mut command = plimsoll(&["explain", "orders"]);
    command.env("PATH", "/nowhere");
    let told = of(timeout(PATIENCE, command.output()).await.expect("it ends").unwrap());
    told.is(2, &["`kubectl` is not installed", "--server http://127.0.0.1:8080"]);
}
