//! How the objects are followed: pages, changes, a watch that breaks or has fallen behind, and what may not be read.

use std::time::Duration;

use serde_json::json;
use tokio::time::{advance, sleep};

use super::*;
use crate::credentials::cluster::{api::Api, rights};

const OBJECTS: &str = "/apis/keda.sh/v1alpha1/scaledobjects";

fn named(namespace: &str, name: &str, topic: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  scaleTargetRef: {{name: app}}\n  triggers: [{{type: external, metadata: {{topic: {topic}}}}}]"
    )
}

fn knows(cluster: &Cluster, namespace: &str, name: &str, topic: &str) -> bool {
    cluster.find(object(namespace, name), &metadata(&[("topic", topic)])).is_ok()
}

#[tokio::test(start_paused = true)]
async fn everything_is_listed_page_by_page_and_then_followed() {
    let standin = Standin::default();
    for number in 0..600 {
        standin.apply(&named("a", &format!("o{number}"), "x"));
    }
    let cluster = cluster(&standin, Options::default().rules).await;
    assert_eq!(cluster.state(), (600, true));
    assert_eq!(standin.asked(&format!("{OBJECTS}?limit")), 3);
    standin.apply(&named("b", "new", "z"));
    until(|| knows(&cluster, "b", "new", "z")).await;
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/b/scaledobjects/new");
    until(|| !knows(&cluster, "b", "new", "z")).await;
    assert_eq!(standin.asked(&format!("{OBJECTS}?limit")), 3, "nothing was listed again");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_fallen_behind_lists_again_and_lets_go_of_what_is_gone() {
    let standin = Standin::default();
    standin.apply(&named("a", "stays", "x"));
    standin.apply(&named("a", "goes", "x"));
    let cluster = cluster(&standin, Options::default().rules).await;
    standin.set_down(true);
    sleep(Duration::from_secs(1)).await;
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/goes");
    standin.set_down(false);
    until(|| cluster.state().1).await;
    sleep(Duration::from_secs(60)).await;
    // The stand-in tells of no deletion that it was not watched for, as the real one does not once it has forgotten.
    let expired = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}});
    standin.say(OBJECTS, &expired);
    until(|| !knows(&cluster, "a", "goes", "x")).await;
    assert!(knows(&cluster, "a", "stays", "x"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_begun_anew_and_nothing_is_listed_for_it() {
    let standin = Standin::default();
    standin.apply(&named("a", "o", "x"));
    let _cluster = cluster(&standin, Options::default().rules).await;
    sleep(Duration::from_secs(1)).await;
    let watches = standin.asked(&format!("{OBJECTS}?watch"));
    sleep(Duration::from_secs(155)).await;
    assert_eq!(standin.asked(&format!("{OBJECTS}?watch")), watches + 1);
    assert_eq!(standin.asked(&format!("{OBJECTS}?limit")), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_we_cannot_read_harms_no_other() {
    let standin = Standin::default();
    standin.apply(&named("a", "good", "x"));
    standin.put(json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "odd", "namespace": "a"}, "spec": {"triggers": "none"}}));
    let huge = "v".repeat(crate::limits::REQUEST);
    standin.put(
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "huge", "namespace": "a"},
        "spec": {"triggers": [{"type": "external", "metadata": {"topic": huge}}]}}),
    );
    let cluster = cluster(&standin, Options::default().rules).await;
    assert!(knows(&cluster, "a", "good", "x"));
    assert_eq!(cluster.state().0, 1);
    standin.say(OBJECTS, &json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}));
    standin.apply(&named("a", "good", "z"));
    until(|| knows(&cluster, "a", "good", "z")).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_has_not_told_of_is_looked_at_once_for_all_who_ask() {
    let standin = Standin::default();
    let options = Options { namespaces: vec!["a".to_owned()], ..Options::default() };
    standin.forbid("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects?");
    let cluster = Cluster::with_client(standin.client(), options);
    until(|| cluster.state().1).await;
    standin.set_down(true);
    sleep(Duration::from_millis(50)).await;
    standin.apply(&named("a", "o", "x"));
    standin.set_down(false);
    let one = "/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/o";
    let looks = (0..50).map(|_| cluster.look_again(object("a", "o")));
    futures::future::join_all(looks).await;
    assert!(knows(&cluster, "a", "o", "x"));
    assert_eq!(standin.asked(one), 1);
    // Elsewhere nothing is asked, nor for what is no name.
    for (namespace, name) in [("b", "o"), ("a", "../o"), ("", "o"), ("a", "O")] {
        cluster.look_again(object(namespace, name)).await;
    }
    assert_eq!(standin.asked("/apis/keda.sh/v1alpha1/namespaces/b"), 0);
    assert!(
        cluster
            .find(object("b", "o"), &metadata(&[]))
            .expect_err("not watched")
            .to_string()
            .contains("--kubernetes-namespaces")
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_what_does_not_exist_cannot_have_the_api_server_asked_without_end() {
    let standin = Standin::default();
    let cluster = cluster(&standin, Options::default().rules).await;
    let names: Vec<String> = (0..2000).map(|number| format!("forged-{number}")).collect();
    futures::future::join_all(names.iter().map(|name| cluster.look_again(object("a", name)))).await;
    let asked = standin.asked("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/");
    assert!((100..=250).contains(&asked), "{asked}");
    for _ in 0..100 {
        cluster.look_again(object("a", "forged-0")).await;
    }
    assert!(standin.asked("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/forged-0") <= 2);
    advance(Duration::from_secs(30)).await;
    standin.apply(&named("a", "o", "x"));
    cluster.look_again(object("a", "o")).await;
    assert!(knows(&cluster, "a", "o", "x"), "honest ones have their turn");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_list_the_state_says_which_one_is_missing() {
    let standin = Standin::default();
    standin.forbid(OBJECTS);
    let cluster = Cluster::with_client(standin.client(), Options::default());
    sleep(Duration::from_secs(1)).await;
    let error = cluster.find(object("a", "o"), &metadata(&[])).expect_err("unknown").to_string();
    assert!(
        error.contains("this server may not list and watch scaledobjects in the cluster, grant its ServiceAccount"),
        "{error}"
    );
    standin.allow_all();
    standin.apply(&named("a", "o", "x"));
    until(|| knows(&cluster, "a", "o", "x")).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_authentication_that_may_be_read_and_not_watched_is_read() {
    let standin = Standin::default();
    standin.forbid("/apis/keda.sh/v1alpha1/clustertriggerauthentications?");
    standin.apply(&scaled_object("[{type: external, metadata: {topic: x}, authenticationRef: {name: shared, kind: ClusterTriggerAuthentication}}]"));
    standin.apply("apiVersion: keda.sh/v1alpha1\nkind: ClusterTriggerAuthentication\nmetadata: {name: shared}\nspec: {secretTargetRef: [{parameter: password, name: db, key: p}]}");
    standin.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: keda}\nstringData: {p: x}");
    let cluster = Cluster::with_client(standin.client(), Options::default());
    until(|| cluster.find(object("a", "o"), &metadata(&[("topic", "x")])).is_ok()).await;
    let reference = cluster.find(object("a", "o"), &metadata(&[("topic", "x")])).expect("bound").expect("a reference");
    let parameters = reference.parameters().await.expect("there");
    assert_eq!(parameters.get("password").and_then(|value| value.text()), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_no_missing_right() {
    let standin = Standin::default();
    standin.set_down(true);
    let cluster = Cluster::with_client(standin.client(), Options::default());
    sleep(Duration::from_secs(1)).await;
    let api = Api::new(standin.client(), Duration::from_secs(3600));
    assert_eq!(rights::look(&api, &cluster.0.references).await, "");
}

#[tokio::test(start_paused = true)]
async fn missing_rights_are_told_with_whom_they_concern() {
    let standin = Standin::default();
    standin.apply(&scaled_object("[{type: external, metadata: {topic: x}, authenticationRef: {name: t1}}]"));
    standin.apply("apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: t1, namespace: a}\nspec: {secretTargetRef: [{parameter: password, name: db, key: p}], configMapTargetRef: [{parameter: user, name: cm, key: u}]}");
    let cluster = cluster(&standin, Options::default().rules).await;
    let api = Api::new(standin.client(), Duration::from_secs(3600));
    assert_eq!(rights::look(&api, &cluster.0.references).await, "");
    standin.forbid("/api/v1/namespaces/a/secrets/db");
    let off = rights::look(&api, &cluster.0.references).await;
    assert_eq!(off, "get secrets `db` in `a`, for `a/o`");
}
