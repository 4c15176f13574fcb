//! What KEDA makes of it when the broker cannot be read, and when it can be again.

use serde_json::json;

use crate::{
    redis_work::{Work, serve},
    scaled::Scaled,
    stage::{self, eventually},
};

#[tokio::test]
async fn a_refused_login_is_an_error_to_keda_and_the_fallback_holds_until_the_secret_follows() {
    let (api, server) = (stage::api().await, serve("fallback"));
    let mut work = Work::new(&api, "fallback").await;
    work.put(25).await;
    let fallback = json!({"failureThreshold": 2, "replicas": 3});
    let scaled = Scaled::new(&api, "fallback", &work.trigger(&server), &work.objects(), Some(fallback)).await;
    scaled.reaches(5).await;

    work.password("two").await;
    eventually("KEDA falls back", || async { scaled.condition("Fallback").await == "True" }).await;
    scaled.reaches(3).await;

    work.tell("two").await;
    eventually("KEDA reads again", || async { scaled.condition("Fallback").await == "False" }).await;
    scaled.reaches(5).await;
    scaled.end().await;
}

#[tokio::test]
async fn without_a_fallback_the_replicas_stay() {
    let (api, server) = (stage::api().await, serve("stays"));
    let mut work = Work::new(&api, "stays").await;
    work.put(25).await;
    let scaled = Scaled::new(&api, "stays", &work.trigger(&server), &work.objects(), None).await;
    scaled.reaches(5).await;

    work.password("two").await;
    eventually("the autoscaler knows no value", || async { scaled.autoscaler("ScalingActive").await == "False" }).await;
    assert_eq!(scaled.replicas().await, 5, "nobody has said that there is no work");

    work.tell("two").await;
    eventually("the autoscaler knows one", || async { scaled.autoscaler("ScalingActive").await == "True" }).await;
    work.clear().await;
    scaled.reaches(0).await;
    scaled.end().await;
}
