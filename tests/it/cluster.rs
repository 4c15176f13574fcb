//! KEDA's objects behind the sampler: a trigger's login comes from what its `authenticationRef` names, changes under it, and
//! what the objects say besides is heeded. The API server is one in memory.

use std::time::Duration;

use futures::StreamExt;
use plimsoll::{
    credentials::{
        Credentials,
        cluster::{Cluster, Options},
    },
    metadata::Metadata,
    object::ObjectRef,
    sampler::{Settings, Standing},
    watch::activations,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    apiserver::Standin,
    scripted::{Act, Bench, WALL, trigger},
};

const SECOND: Duration = Duration::from_secs(1);
const ORDERS: ObjectRef<&str> = ObjectRef { namespace: "shop", name: "orders" };
const AUTH: &str = "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login, namespace: shop}\nspec: {secretTargetRef: [{parameter: password, name: broker, key: password}]}";

fn scaled(kind: &str, more: &str) -> String {
    let target = if kind == "ScaledJob" { "jobTargetRef: {template: {}}" } else { "scaleTargetRef: {name: app}" };
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: {kind}\nmetadata: {{name: orders, namespace: shop}}\nspec:\n  {target}\n  {more}\n  triggers: [{{type: external-push, name: mine, metadata: {{scalerType: scripted, scalerAddress: 'plimsoll:6000', queue: orders, host: b1}}, authenticationRef: {{name: login}}}}]"
    )
}

fn secret(password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: broker, namespace: shop}}\nstringData: {{password: {password}}}"
    )
}

fn sent() -> Metadata {
    trigger(&[("queue", "orders"), ("host", "b1")])
}

fn bench(standin: &Standin) -> Bench {
    let cluster = Some(Cluster::with_client(standin.client(), Options::default()));
    let settings = Settings { credentials: Credentials { cluster, ..Credentials::default() }, ..Settings::default() };
    let bench = Bench::with(settings, std::time::SystemTime::UNIX_EPOCH + WALL);
    bench.world.lock("b1", "one");
    bench.world.queue("orders").set(Act::Value(3.0));
    bench
}

fn with(kind: &str, more: &str) -> (Standin, Bench) {
    let standin = Standin::default();
    standin.apply(&scaled(kind, more));
    standin.apply(AUTH);
    standin.apply(&secret("one"));
    let bench = bench(&standin);
    (standin, bench)
}

#[tokio::test(start_paused = true)]
async fn the_first_question_of_all_is_answered_with_the_login_of_the_reference() {
    let (_standin, bench) = with("ScaledObject", "");
    assert_eq!(bench.value(&sent()).await, Ok(3.0));
    let rows = bench.sampler.triggers();
    let object = &rows[0].objects[0];
    assert_eq!((object.kind, object.trigger_index, object.trigger_name.as_deref()), ("ScaledObject", 0, Some("mine")));
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_the_answer_in_words_and_no_broker_is_asked() {
    let (standin, bench) = with("ScaledObject", "");
    standin.delete("/api/v1/namespaces/shop/secrets/broker");
    let error = bench.value(&sent()).await.unwrap_err();
    assert_eq!(error, "Secret `shop/broker` does not exist: the TriggerAuthentication `login` names it");
    assert_eq!((bench.world.live_clients(), bench.world.queue("orders").reads().len()), (0, 0));
    standin.apply(&secret("one"));
    sleep(40 * SECOND).await;
    assert_eq!(bench.value(&sent()).await, Ok(3.0));
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_costs_no_sample_and_leaves_no_connection_behind() {
    let (standin, bench) = with("ScaledObject", "");
    for password in ["two", "three", "four"] {
        assert_eq!(bench.value(&sent()).await, Ok(3.0));
        standin.apply(&secret(password));
        bench.world.lock("b1", password);
        for _ in 0..35 {
            sleep(SECOND).await;
            assert_eq!(bench.value(&sent()).await, Ok(3.0));
        }
        assert_eq!((bench.world.live_clients(), bench.sampler.connections()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_revoked_first_comes_back_with_the_patched_secret_and_not_with_the_next_reading() {
    let (standin, bench) = with("ScaledObject", "");
    let first = bench.value(&sent()).await;
    assert_eq!(first, Ok(3.0));
    sleep(2 * SECOND).await;
    bench.world.lock("b1", "two");
    bench.world.queue("orders").set(Act::Value(4.0));
    sleep(12 * SECOND).await;
    standin.apply(&secret("two"));
    sleep(11 * SECOND).await;
    assert_eq!(bench.value(&sent()).await, Ok(4.0));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_values_is_shown_while_the_api_server_is_away() {
    let (standin, bench) = with("ScaledObject", "");
    assert_eq!(bench.value(&sent()).await, Ok(3.0));
    standin.set_down(true);
    for _ in 0..120 {
        sleep(SECOND).await;
        assert_eq!(bench.value(&sent()).await, Ok(3.0));
    }
    let warnings = bench.sampler.triggers()[0].warnings.join("; ");
    assert!(
        warnings.contains("what TriggerAuthentication `shop/login` leads to could not be read again for"),
        "{warnings}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_metric_is_answered_from_the_first_second_without_an_api_server() {
    let standin = Standin::default();
    standin.set_down(true);
    let bench = bench(&standin);
    assert_eq!(bench.sampler.metric(ORDERS, &sent()).unwrap().name, "scripted-orders");
    assert!(bench.sampler.triggers().is_empty(), "nothing is refused by that");
    let error = bench.value(&sent()).await.unwrap_err();
    assert!(error.contains("have not been read yet"), "{error}");
    standin.apply(&scaled("ScaledObject", ""));
    standin.apply(AUTH);
    standin.apply(&secret("one"));
    standin.set_down(false);
    sleep(30 * SECOND).await;
    assert_eq!(bench.value(&sent()).await, Ok(3.0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_api_server_is_no_outage_of_ours() {
    let (standin, bench) = with("ScaledObject", "");
    assert_eq!(bench.value(&sent()).await, Ok(3.0));
    standin.set_down(true);
    for _ in 0..300 {
        sleep(SECOND).await;
        assert_eq!(bench.value(&sent()).await, Ok(3.0));
        assert!(bench.sampler.metric(ORDERS, &sent()).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_nobody_knows_is_refused_and_no_broker_is_asked() {
    let (_standin, bench) = with("ScaledObject", "");
    let forged = ObjectRef { namespace: "shop", name: "forged" };
    let error = bench.sampler.sample(forged, &sent()).await.unwrap_err().to_string();
    assert!(error.contains("there is no ScaledObject and no ScaledJob `shop/forged`"), "{error}");
    let error = bench.value(&trigger(&[("queue", "orders"), ("host", "b2")])).await.unwrap_err();
    assert!(error.contains("no trigger of `shop/orders` has the metadata"), "{error}");
    assert_eq!(bench.world.live_clients(), 0);
}

/// What a stream says within a minute of a rise.
async fn pushes(bench: &Bench) -> usize {
    bench.world.queue("orders").set(Act::Value(0.0));
    let subscription = bench.sampler.subscribe_or_look(ORDERS, &sent()).await.unwrap();
    let mut stream = Box::pin(activations(subscription, CancellationToken::new(), None));
    assert!(timeout(10 * SECOND, stream.next()).await.is_err(), "it is idle");
    bench.world.queue("orders").set(Act::Value(3.0));
    let mut said = 0;
    while let Ok(Some(())) = timeout(20 * SECOND, stream.next()).await {
        said += 1;
        if said > 2 {
            break;
        }
    }
    said
}

#[tokio::test(start_paused = true)]
async fn a_scaled_job_and_an_activation_target_are_never_pushed() {
    for (kind, more, pushed) in [
        ("ScaledObject", "", true),
        ("ScaledObject", "advanced: {scalingModifiers: {formula: mine, target: '1'}}", true),
        ("ScaledObject", "advanced: {scalingModifiers: {formula: mine, target: '1', activationTarget: '5'}}", false),
        ("ScaledJob", "", false),
    ] {
        let (_standin, bench) = with(kind, more);
        assert_eq!(pushes(&bench).await > 0, pushed, "{kind} {more}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_lives_no_longer_than_keda_takes_between_two_polls() {
    for (more, expected) in
        [("pollingInterval: 2", 2.0), ("pollingInterval: 30", 5.0), ("", 5.0), ("pollingInterval: 0", 0.1)]
    {
        let (_standin, bench) = with("ScaledObject", more);
        bench.value(&sent()).await.unwrap();
        let interval = bench.sampler.triggers()[0].polling_interval;
        assert!((interval - expected).abs() < 1e-9, "{more}: {interval}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_objects_trigger_goes_at_once_unless_another_has_the_same() {
    let (standin, bench) = with("ScaledObject", "");
    standin.apply(&scaled("ScaledObject", "").replace("name: orders, namespace", "name: twin, namespace"));
    let twin = ObjectRef { namespace: "shop", name: "twin" };
    bench.value(&sent()).await.unwrap();
    bench.sampler.sample(twin, &sent()).await.unwrap();
    assert_eq!(bench.sampler.triggers().len(), 1);
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/twin");
    sleep(SECOND).await;
    assert_eq!(bench.sampler.triggers()[0].scaled_objects, ["shop/orders"]);
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/orders");
    sleep(SECOND).await;
    assert!(bench.sampler.triggers().is_empty());
    assert_eq!(bench.world.live_clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_option_a_reference_for_us_alone_says_what_is_needed() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "orders"), ("triggerAuthentication", "login")]);
    let error = bench.value(&metadata).await.unwrap_err();
    assert!(error.contains("`triggerAuthentication`") && error.contains("--kubernetes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_has_and_nobody_has_asked_for_is_shown_as_such() {
    let (standin, bench) = with("ScaledObject", "minReplicaCount: 2");
    let other = scaled("ScaledObject", "").replace("name: orders, namespace", "name: forgotten, namespace");
    standin.apply(&other);
    // Of another external scaler.
    standin.apply(&other.replace("scalerType: scripted", "kind: x").replace("name: forgotten", "name: foreign"));
    sleep(SECOND).await;
    let unasked = |bench: &Bench| -> Vec<_> {
        let rows = bench.sampler.triggers().into_iter().filter(|row| row.state == Standing::Unasked);
        rows.map(|row| row.scaled_objects.concat()).collect()
    };
    let mut both = unasked(&bench);
    both.sort();
    assert_eq!(both, ["shop/forgotten", "shop/orders"]);
    bench.value(&sent()).await.unwrap();
    sleep(3 * SECOND).await;
    assert_eq!(unasked(&bench), ["shop/forgotten"]);
    let row = bench.sampler.triggers().into_iter().find(|row| row.state == Standing::Unasked).unwrap();
    assert_eq!((row.scaler_type.as_ref(), row.objects[0].trigger_name.as_deref()), ("scripted", Some("mine")));
    assert!(row.id < 1 << 53 && bench.sampler.detail(row.id).is_some_and(|detail| detail.observed_at.is_none()));
    // One that was asked for and refused is refused, and not unasked besides.
    let forgotten = ObjectRef { namespace: "shop", name: "forgotten" };
    let wrong = trigger(&[("queue", "orders"), ("host", "b2")]);
    bench.sampler.sample(forgotten, &wrong).await.unwrap_err();
    sleep(3 * SECOND).await;
    assert_eq!(unasked(&bench), [""; 0]);
}
