//! Which trigger asked: exact, never guessed, and with grace for what was edited.

use std::time::Duration;

use tokio::time::advance;

use super::*;

const REFERENCE: &str = "authenticationRef: {name: t1}";

async fn with(triggers: &str) -> (Standin, Cluster) {
    let standin = Standin::default();
    standin.apply(&scaled_object(triggers));
    let cluster = cluster(&standin, Options::default().rules).await;
    (standin, cluster)
}

fn shown(found: Result<Option<Reference>, Unbound>) -> String {
    match found {
        Ok(None) => "none".to_owned(),
        Ok(Some(reference)) => reference.to_string(),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(cluster: &Cluster, sent: &[(&str, &str)], expected: &str) {
    let answer = shown(cluster.find(object("a", "o"), &metadata(sent)));
    assert!(answer.contains(expected), "{sent:?}: {answer}");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_is_meant_if_its_metadata_is_what_was_sent_byte_by_byte() {
    let (_standin, cluster) = with(&format!(
        "[{{type: external, metadata: {{scalerAddress: 'p:6000', topic: x, passwordFromEnv: PASS, userFromEnv: U}}, {REFERENCE}}}]"
    ))
    .await;
    let base = [("scalerAddress", "p:6000"), ("topic", "x")];
    let and = |more: &[(&'static str, &'static str)]| [&base, more].concat();
    let t1 = "TriggerAuthentication `a/t1`";
    check(&cluster, &and(&[("passwordFromEnv", "secret"), ("userFromEnv", "me")]), t1);
    // KEDA leaves out what is undefined.
    check(&cluster, &and(&[("passwordFromEnv", "whatever")]), t1);
    check(&cluster, &base, t1);
    for wrong in [
        and(&[("extra", "1")]),
        and(&[("otherFromEnv", "1")]),
        vec![("scalerAddress", "p:6000"), ("topic", "x ")],
        vec![("scalerAddress", "p:6000")],
        vec![("topic", "x")],
        vec![("scalerAddress", "P:6000"), ("topic", "x")],
        vec![],
    ] {
        check(&cluster, &wrong, "no trigger of `a/o` has the metadata");
    }
}

#[tokio::test(start_paused = true)]
async fn twins_with_different_authentications_are_refused_and_a_trigger_name_tells_them_apart() {
    let twin = |metadata: &str, auth: &str| {
        format!("{{type: external-push, metadata: {{topic: x{metadata}}}, authenticationRef: {auth}}}")
    };
    let (standin, cluster) = with(&format!("[{}, {}]", twin("", "{name: t1}"), twin("", "{name: t2}"))).await;
    check(&cluster, &[("topic", "x")], "triggers 0 and 1 of `a/o`");
    check(&cluster, &[("topic", "x")], "`triggerName`");
    // The kind says more than the name; "" and none are one.
    for (one, other, expected) in [
        ("{name: t1}", "{name: t1, kind: ClusterTriggerAuthentication}", "triggers 0 and 1"),
        ("{name: t1}", "{name: t1, kind: TriggerAuthentication}", "TriggerAuthentication `a/t1`"),
        ("{name: t1}", "{name: ''}", "triggers 0 and 1"),
        ("{name: ''}", "{name: ''}", "none"),
    ] {
        standin.apply(&scaled_object(&format!("[{}, {}]", twin("", one), twin("", other))));
        tokio::time::sleep(Duration::from_millis(50)).await;
        check(&cluster, &[("topic", "x")], expected);
    }
    standin.apply(&scaled_object(&format!(
        "[{}, {}]",
        twin(", triggerName: one", "{name: t1}"),
        twin(", triggerName: two", "{name: t2}")
    )));
    until(|| cluster.find(object("a", "o"), &metadata(&[("topic", "x"), ("triggerName", "two")])).is_ok()).await;
    check(&cluster, &[("topic", "x"), ("triggerName", "one")], "`a/t1`");
    check(&cluster, &[("topic", "x"), ("triggerName", "two")], "`a/t2`");
}

#[tokio::test(start_paused = true)]
async fn variables_never_decide_between_two() {
    let (_standin, cluster) = with(
        "[{type: external, metadata: {topic: x, hostFromEnv: A}, authenticationRef: {name: t1}}, \
         {type: external, metadata: {topic: x, hostFromEnv: B}, authenticationRef: {name: t2}}, \
         {type: external, metadata: {topic: z, hostFromEnv: A, userFromEnv: U}, authenticationRef: {name: t1}}, \
         {type: external, metadata: {topic: z, hostFromEnv: A}, authenticationRef: {name: t2}}]",
    )
    .await;
    check(&cluster, &[("topic", "x"), ("hostFromEnv", "h")], "triggers 0 and 1");
    check(&cluster, &[("topic", "z"), ("hostFromEnv", "h")], "triggers 2 and 3");
    check(&cluster, &[("topic", "z"), ("hostFromEnv", "h"), ("userFromEnv", "u")], "`a/t1`");
}

#[tokio::test(start_paused = true)]
async fn a_scaled_object_and_a_scaled_job_of_one_name_each_find_their_own() {
    let (standin, cluster) = with("[{type: external, metadata: {topic: x}, authenticationRef: {name: t1}}]").await;
    let job = |topic: &str| {
        format!(
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {{name: o, namespace: a}}\nspec:\n  jobTargetRef: {{template: {{}}}}\n  triggers: [{{type: external, metadata: {{topic: {topic}}}, authenticationRef: {{name: t2}}}}]"
        )
    };
    standin.apply(&job("z"));
    until(|| cluster.find(object("a", "o"), &metadata(&[("topic", "z")])).is_ok()).await;
    check(&cluster, &[("topic", "x")], "`a/t1`");
    check(&cluster, &[("topic", "z")], "`a/t2`");
    let facts = |topic| cluster.facts(object("a", "o"), &metadata(&[("topic", topic)])).expect("known");
    assert_eq!((facts("x").kind, facts("x").pushes), ("ScaledObject", true));
    assert_eq!((facts("z").kind, facts("z").pushes), ("ScaledJob", false));
    standin.apply(&job("x"));
    until(|| cluster.find(object("a", "o"), &metadata(&[("topic", "x")])).is_err()).await;
    check(&cluster, &[("topic", "x")], "triggers 0 and 0");
}

#[tokio::test(start_paused = true)]
async fn built_in_triggers_are_nobodys_and_count_in_the_index() {
    let (_standin, cluster) =
        with("[{type: kafka, metadata: {topic: x}}, {type: external, name: mine, metadata: {topic: x}}]").await;
    check(&cluster, &[("topic", "x")], "none");
    let facts = cluster.facts(object("a", "o"), &metadata(&[("topic", "x")])).expect("known");
    assert_eq!((facts.index, facts.trigger.as_deref()), (1, Some("mine")));
}

#[tokio::test(start_paused = true)]
async fn a_reference_for_us_alone_goes_before_the_one_that_keda_reads() {
    let (_standin, cluster) = with(
        "[{type: external, metadata: {topic: a, triggerAuthentication: ours}, authenticationRef: {name: kedas}}, \
         {type: external, metadata: {topic: b, clusterTriggerAuthentication: ' ours '}}, \
         {type: external, metadata: {topic: c, triggerAuthentication: x, clusterTriggerAuthentication: z}}, \
         {type: external, metadata: {topic: d, triggerAuthentication: ' '}, authenticationRef: {name: kedas}}, \
         {type: external, metadata: {topic: e, triggerAuthenticationFromEnv: V}}]",
    )
    .await;
    check(&cluster, &[("topic", "a"), ("triggerAuthentication", "ours")], "TriggerAuthentication `a/ours`");
    check(
        &cluster,
        &[("topic", "b"), ("clusterTriggerAuthentication", " ours ")],
        "ClusterTriggerAuthentication `ours`",
    );
    let both = [("topic", "c"), ("triggerAuthentication", "x"), ("clusterTriggerAuthentication", "z")];
    check(&cluster, &both, "exclude each other");
    check(&cluster, &[("topic", "d"), ("triggerAuthentication", " ")], "`a/kedas`");
    // A caller says what a variable holds, so it is no reference.
    check(&cluster, &[("topic", "e"), ("triggerAuthenticationFromEnv", "other")], "none");
    // Nor can a caller name one that the object does not.
    check(&cluster, &[("topic", "e"), ("triggerAuthentication", "other")], "no trigger");
}

#[tokio::test(start_paused = true)]
async fn who_still_asks_as_before_an_edit_is_answered_for_a_while() {
    let trigger = |threshold: u32| {
        format!("[{{type: external, metadata: {{topic: x, lagThreshold: '{threshold}'}}, {REFERENCE}}}]")
    };
    let (standin, cluster) = with(&trigger(5)).await;
    let asked = |threshold| cluster.find(object("a", "o"), &metadata(&[("topic", "x"), ("lagThreshold", threshold)]));
    let before = asked("5").expect("bound");
    standin.apply(&scaled_object(&trigger(6)));
    until(|| asked("6").is_ok()).await;
    assert_eq!(asked("5").expect("grace"), before);
    advance(Duration::from_secs(59)).await;
    assert!(asked("5").is_ok());
    advance(Duration::from_secs(2)).await;
    assert!(matches!(asked("5"), Err(Unbound::NoTrigger { .. })), "{:?}", asked("5"));
    // Not even that for an object that is gone.
    standin.apply(&scaled_object(&trigger(7)));
    until(|| asked("7").is_ok()).await;
    assert!(asked("6").is_ok());
    let mut gone = cluster.gone();
    standin.delete("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/o");
    until(|| asked("7").is_err()).await;
    assert!(matches!(asked("6"), Err(Unbound::NoObject { .. })));
    let told = gone.try_recv().expect("told");
    assert_eq!((told.namespace.as_str(), told.name.as_str()), ("a", "o"));
}

#[tokio::test(start_paused = true)]
async fn the_grace_is_twice_the_polling_interval_where_that_is_longer() {
    let spec = |topic: &str| {
        scaled_object(&format!("[{{type: external, metadata: {{topic: {topic}}}}}]\n  pollingInterval: 300"))
    };
    let standin = Standin::default();
    standin.apply(&spec("x"));
    let cluster = cluster(&standin, Options::default().rules).await;
    let asked = |topic| cluster.find(object("a", "o"), &metadata(&[("topic", topic)]));
    standin.apply(&spec("z"));
    until(|| asked("z").is_ok()).await;
    advance(Duration::from_secs(590)).await;
    assert!(asked("x").is_ok());
    advance(Duration::from_secs(11)).await;
    assert!(asked("x").is_err());
}
