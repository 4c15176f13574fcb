//! The HTTP pages.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{body::Body, http::Request};
use plimsoll::{
    admin::{Pages, people, probes},
    object::ObjectRef,
};
use tower::ServiceExt;

use crate::scripted::{Act, Bench, missing, trigger};

pub struct Admin {
    pub bench: Bench,
    ready: Arc<AtomicBool>,
    pub router: axum::Router,
}

impl Admin {
    pub fn new() -> Self {
        let (bench, ready) = (Bench::new(), Arc::new(AtomicBool::new(true)));
        let pages = Pages::new(bench.sampler.clone(), Arc::clone(&bench.metrics), Arc::clone(&ready), None);
        Self { bench, ready, router: probes(pages.clone()).merge(people(pages, None)) }
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_drain_and_liveness_does_not() {
    let admin = Admin::new();
    assert_eq!(admin.get("/readyz").await, (200, "ok\n".to_owned()));
    admin.ready.store(false, Ordering::Relaxed);
    assert_eq!(admin.get("/readyz").await.0, 503);
    assert_eq!(admin.get("/livez").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn every_trigger_is_shown_with_its_number_age_source_and_error_and_no_secret() {
    let admin = Admin::new();
    let bench = &admin.bench;
    bench.world.queue("a").set(Act::Value(7.0));
    bench.world.queue("b").set(missing());
    let (good, bad) =
        (trigger(&[("queue", "a"), ("passwort", "s3cret"), ("tresholt", "1")]), trigger(&[("queue", "b")]));
    let object = ObjectRef { namespace: "shop", name: "orders" };
    let _stream = bench.sampler.subscribe(object, &good).unwrap();
    bench.value(&good).await.unwrap();
    bench.value(&bad).await.unwrap_err();
    tokio::time::advance(std::time::Duration::from_millis(1500)).await;
    let (status, body) = admin.get("/api/v1/triggers").await;
    assert_eq!(status, 200);
    assert!(!body.contains("s3cret"), "{body}");
    let page: serde_json::Value = serde_json::from_str(&body).unwrap();
    let triggers = &page["triggers"];
    let first = &triggers[0];
    assert_eq!(first["scaledObjects"][0], "shop/orders");
    assert_eq!(first["metric"], "scripted-a");
    assert_eq!((&first["value"], &first["active"], &first["target"]), (&7.0.into(), &true.into(), &10.0.into()));
    assert_eq!(
        (&first["sampleAge"], &first["pollingInterval"], &first["streams"]),
        (&1.5.into(), &5.0.into(), &1.into())
    );
    assert_eq!(first["source"], "queue `a`");
    assert_eq!(first["connection"], "scripted://host");
    assert_eq!(first["warnings"].as_array().unwrap().len(), 2);
    let second = &triggers[1];
    assert_eq!((&second["value"], &second["active"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(second["error"]["kind"], "not_found");
    assert_eq!(second["error"]["message"], "queue is not there: create it");
}

#[tokio::test(start_paused = true)]
async fn series_start_at_zero_and_count() {
    let admin = Admin::new();
    let (_, before) = admin.get("/metrics").await;
    for line in [
        r#"plimsoll_reads_total{scaler_type="scripted",outcome="ok"} 0"#,
        r#"plimsoll_reads_total{scaler_type="scripted",outcome="timeout"} 0"#,
        r#"plimsoll_questions_total{answer="sample"} 0"#,
        r#"plimsoll_broker_requests_total{backend="scripted"} 0"#,
        "plimsoll_pushes_total 0",
        "plimsoll_connections 0",
        "plimsoll_failing_connections 0",
        "plimsoll_task_panics_total ",
        "plimsoll_log_lines_dropped_total 0",
        r#"plimsoll_limit_crossed_total{limit="request"} "#,
        r#"plimsoll_limit_crossed_total{limit="identity"} "#,
        r#"plimsoll_limit_used{limit="replies_in_flight"} "#,
        r#"plimsoll_limit_most{limit="replies_in_flight"} 268435456"#,
        "# EOF",
    ] {
        assert!(before.contains(line), "{line} in\n{before}");
    }
    admin.bench.value(&trigger(&[("queue", "a")])).await.unwrap();
    let (_, after) = admin.get("/metrics").await;
    assert!(after.contains(r#"plimsoll_reads_total{scaler_type="scripted",outcome="ok"} 1"#), "{after}");
    assert!(after.contains(r#"plimsoll_broker_requests_total{backend="scripted"} 1"#), "{after}");
    assert!(after.contains("plimsoll_triggers 1") && after.contains("plimsoll_connections 1"), "{after}");
    assert!(after.contains(r#"plimsoll_task_restarts_total{task="trigger"} "#), "{after}");
}
