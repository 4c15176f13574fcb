//! The real binary between a real API server and a real broker: passwords that change, are missing, cannot be read.

use std::{env, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    api::{Api, Rights},
    emulator::Keda,
    login::Login,
    own::Own,
    process::Process,
};

/// A changed Secret is in use within so long, whatever else happens.
const LIFE: Duration = Duration::from_secs(30);

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

/// `API_OUTAGE_SECONDS` makes it longer.
fn outage() -> Duration {
    let seconds = env::var("API_OUTAGE_SECONDS").map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    seconds.unwrap_or(LIFE + Duration::from_secs(5))
}

/// What the server says of those that came from the API server.
fn age_of_credentials(server: &Process) -> Duration {
    Duration::from_secs_f64(server.series(r#"plimsoll_credential_age_seconds{keeper="cluster"}"#))
}

pub fn shared_kubeconfig() -> String {
    env::var("KUBECONFIG").expect("target/cluster/env is loaded")
}

/// Waits until a poll of KEDA's finds this, and says how long that took.
pub async fn seen(keda: &mut Keda, value: i64) -> Duration {
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
pub async fn refused(keda: &mut Keda, words: &[&str]) {
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
    // Longer than a Secret is held without a look at it, and with connections that must be opened again.
    let outage = outage();
    let begin = Instant::now();
    let mut length = 7;
    while begin.elapsed() < outage {
        length = login.longer().await;
        sleep(Duration::from_secs(5)).await;
        keda.poll().await.expect("the login that was good before");
        login.password("one").await;
        seen(&mut keda, length).await;
    }
    let age = age_of_credentials(&server);
    assert!(age > outage - LIFE, "{age:?} old is what serves");
    println!("after {:?} without its API server the credentials are {age:?} old", begin.elapsed());
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
