//! What changes while it is in use: values, references, the API server itself.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::{
    credentials::cluster::{OnMissing, Restricted},
    error::ReadErrorKind,
    metadata::Parameters,
};

const SECRETS: &str = "/api/v1/namespaces/a/secrets/db";

fn secret(password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: a}}\nstringData: {{password: '{password}'}}"
    )
}

const AUTH: &str = "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: t1, namespace: a}\nspec: {secretTargetRef: [{parameter: password, name: db, key: password}]}";

fn sent() -> Metadata {
    metadata(&[("topic", "x")])
}

async fn with(rules: Rules) -> (Standin, Cluster, Reference) {
    let standin = Standin::default();
    standin.apply(&scaled_object("[{type: external, metadata: {topic: x}, authenticationRef: {name: t1}}]"));
    standin.apply(AUTH);
    standin.apply(&secret("one"));
    let cluster = cluster(&standin, rules).await;
    let reference = cluster.find(object("a", "o"), &sent()).expect("bound").expect("a reference");
    (standin, cluster, reference)
}

fn password(parameters: &Parameters) -> &str {
    parameters.get("password").and_then(|value| value.text()).unwrap_or("(none)")
}

async fn now(reference: &Reference) -> String {
    match reference.parameters().await {
        Ok(parameters) => password(&parameters).to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_patched_secret_is_in_use_within_thirty_seconds_and_costs_one_question_in_that_time() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    let first = reference.parameters().await.expect("there");
    assert_eq!(password(&first), "one");
    standin.apply(&secret("two"));
    let began = Instant::now();
    while now(&reference).await == "one" {
        assert!(began.elapsed() < Duration::from_secs(30), "too late");
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!((now(&reference).await.as_str(), standin.asked(SECRETS)), ("two", 2));
    let second = reference.parameters().await.expect("there");
    assert!(Arc::ptr_eq(&second, &reference.parameters().await.expect("there")), "the same while it is the same");
    sleep(Duration::from_secs(60)).await;
    assert!(Arc::ptr_eq(&second, &reference.parameters().await.expect("there")), "read again, and equal");
    assert!(!Arc::ptr_eq(&first, &second));
}

#[tokio::test(start_paused = true)]
async fn a_login_is_as_old_as_what_was_read_of_it_the_longest_ago() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    assert_eq!(reference.read(), None, "nothing was read yet");
    let first = Instant::now();
    now(&reference).await;
    assert!(reference.read().is_some_and(|read| read >= first && read <= Instant::now()));
    // Read again, it is young again, whether it has changed or not.
    let again = Instant::now() + Duration::from_secs(30);
    while Instant::now() < again {
        now(&reference).await;
        sleep(Duration::from_millis(200)).await;
    }
    assert!(reference.read().is_some_and(|read| read > first + Duration::from_secs(10)));
    // What cannot be read again grows old.
    standin.set_down(true);
    let away = Instant::now();
    sleep(Duration::from_secs(90)).await;
    assert_eq!(now(&reference).await, "one");
    assert!(reference.read().is_some_and(|read| read <= away));
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_reads_its_secret_at_once_and_no_more_often_than_every_five_seconds() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    let seen = reference.parameters().await.expect("there");
    assert!(reference.refused(&seen).await.is_none(), "nothing else is there yet");
    standin.apply(&secret("two"));
    for _ in 0..20 {
        assert!(reference.refused(&seen).await.is_none());
    }
    assert_eq!(standin.asked(SECRETS), 2);
    sleep(Duration::from_secs(5)).await;
    let other = reference.refused(&seen).await.expect("another");
    assert_eq!(password(&other), "two");
    // Whoever is late gets it from memory.
    assert!(Arc::ptr_eq(&other, &reference.refused(&seen).await.expect("another")));
    assert_eq!(standin.asked(SECRETS), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_triggers_with_one_secret_cost_one_question() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    let each = (0..100).map(|_| reference.parameters());
    assert!(futures::future::join_all(each).await.iter().all(Result::is_ok));
    assert_eq!(standin.asked(SECRETS), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_is_away_the_last_values_serve_without_delay_and_their_age_is_known() {
    let (standin, cluster, reference) = with(Options::default().rules).await;
    assert_eq!(now(&reference).await, "one");
    standin.set_down(true);
    standin.apply(&secret("two"));
    let began = Instant::now();
    for _ in 0..720 {
        let before = Instant::now();
        assert_eq!(now(&reference).await, "one");
        assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
        assert!(cluster.find(object("a", "o"), &sent()).is_ok());
        sleep(Duration::from_secs(5)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(3600));
    let (age, why) = reference.away().expect("its age is known");
    assert!(age > Duration::from_secs(3500), "{age:?}");
    assert!(why.contains("refused"), "{why}");
    assert!(standin.asked(SECRETS) < 250, "{} questions in an hour", standin.asked(SECRETS));
    standin.set_down(false);
    let began = Instant::now();
    while now(&reference).await == "one" {
        assert!(began.elapsed() < Duration::from_secs(40));
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!((now(&reference).await.as_str(), reference.away()), ("two", None));
}

#[tokio::test(start_paused = true)]
async fn without_an_api_server_from_the_start_nothing_is_known_and_that_is_not_the_same_as_missing() {
    let standin = Standin::default();
    standin.set_down(true);
    let cluster = Cluster::with_client(standin.client(), Options::default());
    let error = found(&cluster, object("a", "o"), &sent()).await.expect_err("unknown");
    assert!(matches!(error, Unbound::NotSynced { .. }), "{error}");
    standin.apply(&scaled_object("[{type: external, metadata: {topic: x}, authenticationRef: {name: t1}}]"));
    standin.apply(AUTH);
    standin.set_down(false);
    until(|| cluster.state().1).await;
    let reference = cluster.find(object("a", "o"), &sent()).expect("bound").expect("a reference");
    standin.set_down(true);
    let error = reference.parameters().await.expect_err("away");
    assert_eq!(error.kind, ReadErrorKind::Unreachable);
    assert!(error.to_string().contains("Secret `a/db` could not be read"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_with_the_cure_and_found_when_it_is_there() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    standin.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: a}\nstringData: {other: x}");
    let text = now(&reference).await;
    assert_eq!(text, "Secret `a/db` has no key `password`: the TriggerAuthentication `t1` names it");
    assert!(reference.at_hand().is_none(), "no login without a password");
    standin.apply(&secret("two"));
    let began = Instant::now();
    while now(&reference).await == text {
        assert!(began.elapsed() < Duration::from_secs(31));
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(now(&reference).await, "two");
    standin.apply(&AUTH.replace("name: db", "name: no/name"));
    until_text(&reference, "Secret `a/no/name` does not exist: the TriggerAuthentication `t1` names it").await;
    standin.apply(&AUTH.replace("name: db", "name: absent"));
    until_text(&reference, "Secret `a/absent` does not exist: the TriggerAuthentication `t1` names it").await;
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/a/triggerauthentications/t1");
    until_text(&reference, "TriggerAuthentication `a/t1` does not exist: the trigger names it").await;
    standin.apply(AUTH);
    until_text(&reference, "two").await;
}

async fn until_text(reference: &Reference, expected: &str) {
    let mut last = String::new();
    for _ in 0..400 {
        last = now(reference).await;
        if last == expected {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{last}");
}

#[tokio::test(start_paused = true)]
async fn a_definite_no_replaces_a_good_value_at_the_second_time_only() {
    let (standin, _cluster, reference) = with(Options::default().rules).await;
    assert_eq!(now(&reference).await, "one");
    standin.delete(SECRETS);
    advance(Duration::from_secs(30)).await;
    assert_eq!(now(&reference).await, "one", "told once");
    standin.apply(&secret("one"));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(now(&reference).await, "one");
    standin.delete(SECRETS);
    until_text(&reference, "Secret `a/db` does not exist: the TriggerAuthentication `t1` names it").await;
    standin.forbid("/api/v1/namespaces/a/secrets");
    let cure = "this server may not read Secret `a/db`, grant its ServiceAccount `get` of it: the TriggerAuthentication `t1` names it";
    until_text(&reference, cure).await;
}

#[tokio::test(start_paused = true)]
async fn with_kedas_own_rule_what_is_missing_is_empty() {
    let rules = Rules { on_missing: OnMissing::Empty, ..Options::default().rules };
    let (standin, _cluster, reference) = with(rules).await;
    standin.delete(SECRETS);
    assert_eq!(now(&reference).await, "");
}

#[tokio::test(start_paused = true)]
async fn restricted_to_kedas_namespace_a_trigger_authentication_reads_no_secret_unless_kedas_rule_is_wanted() {
    for (restricted, expected) in
        [(Restricted::ToCluster, "restricted to namespace `keda`"), (Restricted::AsKeda, "kedas")]
    {
        let rules = Rules { restricted, ..Options::default().rules };
        let (standin, _cluster, reference) = with(rules).await;
        standin.apply(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: keda}\nstringData: {password: kedas}",
        );
        let text = now(&reference).await;
        assert!(text.contains(expected), "{text}");
        assert_eq!(standin.asked(SECRETS), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn no_value_is_in_a_text_of_ours() {
    let (_standin, cluster, reference) = with(Options::default().rules).await;
    let parameters = reference.parameters().await.expect("there");
    for text in [format!("{cluster:?}"), format!("{reference:?}"), format!("{parameters:?}"), reference.to_string()] {
        assert!(!text.contains("one"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_asked_for_where_that_is_allowed_and_renewed_in_time() {
    let bound = "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: t1, namespace: a}\nspec: {boundServiceAccountToken: [{parameter: password, serviceAccountName: sa}]}";
    for allowed in [false, true] {
        let (standin, _cluster, reference) = with(Rules { tokens: allowed, ..Options::default().rules }).await;
        standin.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa, namespace: a}");
        standin.apply(bound);
        if !allowed {
            let off = "no token of ServiceAccount `a/sa` is asked for, allow it by `--kubernetes-tokens`: the TriggerAuthentication `t1` names it";
            until_text(&reference, off).await;
            continue;
        }
        until_text(&reference, "token-1").await;
        // At 80 % of its hour, less the jitter.
        let began = Instant::now();
        while now(&reference).await == "token-1" {
            sleep(Duration::from_secs(5)).await;
        }
        let lived = began.elapsed().as_secs();
        assert!((2250..=2920).contains(&lived), "{lived} s");
        assert_eq!(now(&reference).await, "token-2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_is_the_same_for_all_who_need_nothing_of_their_own() {
    let standin = Standin::default();
    let object_of = |name: &str, app: &str| {
        format!(
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  scaleTargetRef: {{name: {app}}}\n  triggers: [{{type: external, metadata: {{topic: x}}, authenticationRef: {{name: t1}}}}]"
        )
    };
    standin.apply(&object_of("o", "one"));
    standin.apply(&object_of("p", "two"));
    standin.apply(AUTH);
    let cluster = cluster(&standin, Options::default().rules).await;
    let of = |name| cluster.find(object("a", name), &sent()).expect("bound").expect("a reference");
    assert_eq!(of("o"), of("p"));
    standin.apply(&AUTH.replace("spec: {", "spec: {env: [{parameter: user, name: USER}], "));
    until(|| of("o") != of("p")).await;
}
