//! `plimsoll compare` on a real API server and a real Redis: built-in triggers read with the logins that KEDA would give them,
//! beside KEDA's series as its operator writes them. And what the commands say of a cluster that has no server.

use std::env;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    api::Api,
    login::Login,
    stand_in::{Reply, StandIn},
};

/// KEDA's series for the triggers of `shop/o` of this namespace.
fn series(namespace: &str, values: &[(usize, &str, i64)]) -> String {
    let line = |(index, metric, value): &(usize, &str, i64)| {
        format!(
            "keda_scaler_metrics_value{{metric=\"s{index}-{metric}\",namespace=\"{namespace}\",scaledObject=\"o\",\
             scaler=\"redisScaler\",triggerIndex=\"{index}\",type=\"scaledobject\"}} {value}\n"
        )
    };
    format!("# TYPE keda_scaler_metrics_value gauge\n{}", values.iter().map(line).collect::<String>())
}

async fn plimsoll(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let output = command.args(arguments).kill_on_drop(true).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Four triggers of KEDA's own scaler: by a Secret, by another metric's name, by a reference to nothing, by a variable.
async fn triggers(login: &mut Login) {
    login.password("one").await;
    login.secret(json!({"username": login.name, "password": "one"})).await;
    let name = login.name.clone();
    let meta = json!({"name": "o", "namespace": name});
    let [_, _, (_, address), ..] = login.metadata();
    let metadata = json!({"address": address, "listName": name, "listLength": "5"});
    let with = |more: Value| {
        let mut trigger = json!({"type": "redis", "metadata": metadata});
        for (key, value) in more.as_object().unwrap() {
            trigger[key] = value.clone();
        }
        trigger
    };
    let mut by_variable = metadata.clone();
    by_variable["usernameFromEnv"] = json!("USER_NAME");
    by_variable["passwordFromEnv"] = json!("PASSWORD");
    // Nothing of ours is read of a built-in trigger.
    by_variable["pollingInterval"] = json!("nonsense");
    let labels = json!({"app": "w"});
    let secret = |key: &str| json!({"secretKeyRef": {"name": "login", "key": key}});
    let env = json!([
        {"name": "USER_NAME", "valueFrom": secret("username")}, {"name": "PASSWORD", "valueFrom": secret("password")},
    ]);
    login
        .apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w", "namespace": name},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "image", "env": env}]},
            }},
        }))
        .await;
    let spec = json!({"scaleTargetRef": {"name": "w"}, "pollingInterval": 1, "triggers": [
        with(json!({"authenticationRef": {"name": "o"}})),
        with(json!({"authenticationRef": {"name": "o"}, "name": "second"})),
        with(json!({"authenticationRef": {"name": "nothing"}})),
        with(json!({"metadata": by_variable})),
        {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 0 * * *", "end": "1 0 * * *", "desiredReplicas": "1"}},
    ]});
    login
        .apply(&json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta, "spec": spec}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kedas_values_are_laid_beside_ours_from_the_same_source() {
    let mut login = Login::new(Api::shared(), "compare-live").await;
    triggers(&mut login).await;
    let name = login.name.clone();
    let metric = format!("redis-{name}");
    let shown = series(&name, &[(0, &metric, 7), (1, &metric, 5), (2, &metric, 7), (3, &metric, 7)]);
    let keda = StandIn::new(move |call| match call.target.as_str() {
        "/metrics" => Reply::of_type(200, "text/plain; version=0.0.4", shown.clone()),
        _ => Reply::new(404, ""),
    })
    .await;
    let url = keda.url();
    let asked = [
        "compare",
        "--keda-metrics",
        &url,
        "--kubernetes",
        "--kubernetes-namespaces",
        &name,
        "--for",
        "8s",
        "--every",
        "1s",
    ];
    let (code, out, err) = plimsoll(&[&asked[..], &["--output", "json"]].concat()).await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("comparing 4 triggers"), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["agree"], &told["differ"], &told["failed"], &told["result"]),
        (&json!(2), &json!(1), &json!(1), &json!("differ"))
    );
    let line = |index: u64| {
        told["triggers"].as_array().unwrap().iter().find(|line| line["triggerIndex"] == index).unwrap().clone()
    };
    for index in [0, 3] {
        let line = line(index);
        assert_eq!(
            (&line["verdict"], &line["keda"], &line["ours"]),
            (&json!("agree"), &json!(7.0), &json!(7.0)),
            "{line}"
        );
    }
    let differs = line(1);
    assert_eq!(
        (&differs["verdict"], &differs["triggerName"], &differs["apart"]),
        (&json!("differ"), &json!("second"), &json!(2.0))
    );
    assert!(differs["why"].as_str().unwrap().contains("both stand still"), "{differs}");
    let failed = line(2);
    assert!(
        failed["why"].as_str().unwrap().contains("we: denied: ") && failed["why"].as_str().unwrap().contains("nothing"),
        "{failed}"
    );
    assert!(!format!("{out}{err}").contains("\"one\""), "no password is told");

    let (code, out, _) = plimsoll(&asked).await;
    assert_eq!(code, Some(1));
    for words in [
        "agree    ScaledObject compare-live/o, trigger 0 (redis): KEDA 7, ours 7; same in ",
        "differ   ScaledObject compare-live/o, trigger 1 `second` (redis): KEDA 5, ours 7; same in 0 of ",
        "4 built-in triggers: 2 agree, 1 differs, 1 fails on one side\n",
    ] {
        assert!(out.contains(words), "{words} in\n{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_said() {
    let mut login = Login::new(Api::shared(), "compare-none").await;
    let name = login.name.clone();
    let of = ["compare", "--kubernetes", "--kubernetes-namespaces", &name, "--for", "0s", "--every", "1s"];
    // Its one trigger is ours already.
    let (code, _, err) = plimsoll(&of).await;
    assert!(code == Some(2) && err.contains("there is no built-in trigger"), "{err}");
    triggers(&mut login).await;
    // Nobody answers for external metrics here.
    let (code, out, _) = plimsoll(&of).await;
    assert!(code == Some(1) && out.contains("KEDA: the cluster does not serve this external metric"), "{out}");
    let stranger = StandIn::new(|_| Reply::new(200, "go_goroutines 12\n")).await;
    let (code, _, err) = plimsoll(&[&of[..], &["--keda-metrics", &stranger.url()]].concat()).await;
    assert!(code == Some(2) && err.contains("has no series of KEDA's"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_has_no_server_of_ours_is_said_to_have_none() {
    let api = Api::shared();
    api.namespace("explain-nobody").await;
    let asked = ["explain", "orders", "--server-namespace", "explain-nobody"];
    let kubectl = env::split_paths(&env::var_os("PATH").unwrap()).any(|folder| folder.join("kubectl").is_file());
    let (code, _, err) = plimsoll(&asked).await;
    let words =
        if kubectl { "namespace `explain-nobody` has no pod with the label" } else { "`kubectl` is not installed" };
    assert!(code == Some(2) && err.contains(words), "{err}");
    let labels = json!({"app.kubernetes.io/name": "plimsoll"});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "explain-nobody", "labels": labels},
        "spec": {"automountServiceAccountToken": false, "containers": [{"name": "c", "image": "image"}]},
    });
    api.apply(&pod).await.ok();
    if kubectl {
        let (code, _, err) = plimsoll(&asked).await;
        assert!(code == Some(2) && err.contains("none of 1 pod"), "{err}");
        api.merge_status(&pod, &json!({"status": {"phase": "Running"}})).await.ok();
        // A pod without a node: nobody can forward to it.
        let (code, _, err) = plimsoll(&asked).await;
        assert!(code == Some(2) && err.contains("`kubectl port-forward` to pod `p`: "), "{err}");
    }
    api.delete(&pod).await.ok();
}
