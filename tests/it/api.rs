//! The JSON API: every answer is as the OpenAPI file says, the file is fresh, and events tell what changes.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures::StreamExt;
use plimsoll::{error::ReadErrorKind, object::ObjectRef};
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    admin::Admin,
    schema::mismatches,
    scripted::{Act, missing, trigger},
};

const FILE: &str = "docs/openapi.json";

async fn json(admin: &Admin, path: &str) -> Value {
    let (status, body) = admin.get(path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// One trigger of each standing that can be had without a cluster.
async fn with_all_states() -> Admin {
    let admin = Admin::new();
    let bench = &admin.bench;
    for (queue, act) in [("busy", Act::Value(42.0)), ("calm", Act::Value(0.0)), ("gone", missing())] {
        bench.world.queue(queue).set(act);
        bench.value(&trigger(&[("queue", queue), ("tresholt", "1")])).await.ok();
    }
    bench.value(&trigger(&[("queue", "x"), ("threshold", "many")])).await.unwrap_err();
    let object = ObjectRef { namespace: "shop", name: "orders" };
    let calm = trigger(&[("queue", "calm"), ("tresholt", "1")]);
    bench.sampler.poll(object, &calm).await.unwrap();
    admin
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_as_the_openapi_file_says() {
    let admin = with_all_states().await;
    let openapi = json(&admin, "/api/v1/openapi.json").await;
    let ids: Vec<u64> = admin.bench.sampler.triggers().iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 4);
    let mut paths: Vec<(String, &str)> =
        ids.iter().map(|id| (format!("/api/v1/triggers/{id}"), "/api/v1/triggers/{id}")).collect();
    for path in ["/api/v1/triggers", "/api/v1/connections", "/api/v1/server", "/api/v1/openapi.json"] {
        paths.push((path.to_owned(), path));
    }
    paths.push(("/api/v1/triggers?recent=true&sort=-value&limit=2".to_owned(), "/api/v1/triggers"));
    for (path, template) in &paths {
        let answer = json(&admin, path).await;
        let schema = &openapi["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{template} is not described");
        if *template != "/api/v1/openapi.json" {
            assert_eq!(mismatches(&openapi, schema, &answer), [""; 0], "{path}: {answer:#}");
        }
    }
    // Each path that is described was asked, but for the one that never ends.
    for path in openapi["paths"].as_object().unwrap().keys() {
        assert!(path == "/api/v1/events" || paths.iter().any(|(_, asked)| asked == path), "{path}");
    }
    let problem =
        &openapi["paths"]["/api/v1/triggers"]["get"]["responses"]["default"]["content"]["application/json"]["schema"];
    for (path, status) in [
        ("/api/v1/triggers/999", 404),
        ("/api/v1/triggers/x", 404),
        ("/api/v1/other", 404),
        ("/api/v1/triggers?limit=0", 400),
        ("/api/v1/triggers?limit=1001", 400),
        ("/api/v1/triggers?limit=-1", 400),
        ("/api/v1/triggers?state=well", 400),
        ("/api/v1/triggers?sort=colour", 400),
        ("/api/v1/triggers?connection=x", 400),
        ("/api/v1/triggers?other=1", 400),
        ("/api/v1/events?ids=a", 400),
        ("/api/v1/events?state=well&list=true", 400),
    ] {
        let (answered, body) = admin.get(path).await;
        assert_eq!(answered, status, "{path}: {body}");
        let answer = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        assert_eq!(mismatches(&openapi, problem, &answer), [""; 0], "{path}: {answer}");
    }
}

#[test]
fn the_openapi_file_is_fresh() {
    let text = serde_json::to_string_pretty(&plimsoll::admin::openapi()).unwrap() + "\n";
    if std::env::var_os("WRITE_OPENAPI").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(FILE).unwrap_or_default(), text, "run the test with WRITE_OPENAPI=1");
    for name in plimsoll::admin::openapi()["components"]["schemas"].as_object().unwrap().keys() {
        assert!(!name.ends_with("View"), "{name}: a name within our code");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trigger_is_told_from_question_to_answer() {
    let admin = Admin::new();
    let bench = &admin.bench;
    bench.world.queue("a").set(Act::Value(42.0));
    let metadata = trigger(&[("queue", "a"), ("password", "s3cret"), ("pasword", "s3cret")]);
    let (shop, bank) =
        (ObjectRef { namespace: "shop", name: "orders" }, ObjectRef { namespace: "bank", name: "books" });
    let from = bench.sampler.asked_from(Some([10, 0, 0, 7].into()));
    let _stream = from.subscribe(shop, &metadata).unwrap();
    from.poll(shop, &metadata).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    bench.sampler.sample(bank, &metadata).await.unwrap();
    let told = json(&admin, "/api/v1/triggers/1").await;
    assert!(!told.to_string().contains("s3cret"), "{told:#}");
    let row = &told["trigger"];
    assert_eq!(
        (&row["state"], &row["value"], &row["target"], &row["replicas"]),
        (&"active".into(), &42.0.into(), &10.0.into(), &5.0.into())
    );
    let (books, orders) = (&told["askers"][0], &told["askers"][1]);
    assert_eq!((&books["namespace"], &books["streams"], &books["peer"]), (&"bank".into(), &0.into(), &Value::Null));
    assert!(books["measuredAt"].is_number() && books["polledAt"].is_null() && books["streamAt"].is_null(), "{books}");
    assert_eq!(
        (&orders["name"], &orders["streams"], &orders["peer"]),
        (&"orders".into(), &1.into(), &"10.0.0.7".into())
    );
    assert!(
        orders["polledAt"].is_number() && orders["measuredAt"].is_null() && orders["streamAt"].is_number(),
        "{orders}"
    );
    assert_eq!(books["askedAt"].as_f64().unwrap() - orders["askedAt"].as_f64().unwrap(), 2.0);
    let understood: Vec<(&str, &str)> = told["metadata"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["key"].as_str().unwrap(), key["value"].as_str().unwrap()))
        .collect();
    assert_eq!(
        understood,
        [
            ("password", "•••"),
            ("pasword", "•••"),
            ("queue", "a"),
            ("scalerAddress", "plimsoll:6000"),
            ("scalerType", "scripted")
        ]
    );
    assert_eq!((&told["connection"]["state"], &told["connection"]["triggers"]), (&"working".into(), &1.into()));
    assert_eq!((&told["look"]["together"], &told["push"]), (&1.into(), &"always".into()));
    assert_eq!(told["parts"]["rows"], serde_json::json!([["a", 42.0]]));
    assert_eq!(told["history"]["values"].as_array().unwrap().last(), Some(&42.0.into()));
    assert!(told["help"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_connection_tells_its_own_requests_against_the_looks_that_its_triggers_want() {
    let admin = Admin::new();
    let (busy, calm) = (trigger(&[("queue", "a"), ("host", "busy")]), trigger(&[("queue", "b"), ("host", "calm")]));
    let one = async |host: &str| {
        let all = json(&admin, "/api/v1/connections").await;
        let all = all["connections"].as_array().unwrap().clone();
        all.into_iter().find(|of| of["place"] == format!("scripted://{host}")).unwrap()
    };
    admin.bench.value(&busy).await.unwrap();
    admin.bench.value(&calm).await.unwrap();
    let first = one("busy").await;
    assert_eq!(first["requestsPerMinute"], Value::Null, "of the first seconds nothing is known");
    assert_eq!((&first["tls"], &first["certificate"]), (&"unknown".into(), &Value::Null));
    assert_eq!(first["credentials"], serde_json::json!([]), "its login is in the metadata");
    // One is asked for all the time, the other is left alone and looked at no more.
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        admin.bench.value(&busy).await.unwrap();
    }
    let (busy, calm) = (one("busy").await, one("calm").await);
    let (per_minute, so_far) = (busy["requestsPerMinute"].as_f64().unwrap(), busy["requests"].as_u64().unwrap());
    assert!((11.0..=14.0).contains(&per_minute), "a look each 5 s: {busy:#}");
    assert!((22..=30).contains(&so_far), "{busy:#}");
    assert_eq!((&busy["looksPerMinute"], &calm["looksPerMinute"]), (&12.0.into(), &12.0.into()));
    assert_eq!(calm["requestsPerMinute"], 0.0, "{calm:#}");
    assert_eq!(json(&admin, "/api/v1/triggers/1").await["connection"]["requestsPerMinute"], per_minute);
}

#[tokio::test(start_paused = true)]
async fn the_server_tells_how_long_wakes_took_as_the_series_has_it_and_how_to_have_replicas_seen() {
    let admin = Admin::new();
    let of = async || json(&admin, "/api/v1/server").await;
    assert_eq!(
        (&of().await["wakeLatencies"], &of().await["replicas"]),
        (&serde_json::json!([{"scalerType": "scripted", "count": 0, "p50": null, "p99": null}]), &Value::Null)
    );
    for took in [3, 3, 3, 900] {
        admin.bench.metrics.woken("scripted", Duration::from_millis(took), None);
    }
    let told = of().await["wakeLatencies"][0].clone();
    assert_eq!(told["count"], 4);
    let (half, most) = (told["p50"].as_f64().unwrap(), told["p99"].as_f64().unwrap());
    assert!(half > 0.002 && half < 0.004 && most > 0.512 && most < 1.024, "{told}");
    let series = admin.get("/metrics").await.1;
    assert!(series.contains("plimsoll_wake_duration_seconds_count{scaler_type=\"scripted\"} 4"), "one source");
    let page = admin.get("/server").await.1;
    assert!(page.contains("--service"), "how it is to be had");
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_with_its_cause_check_and_cure() {
    let admin = with_all_states().await;
    let page = json(&admin, "/api/v1/triggers?state=failing,refused&sort=state").await;
    assert_eq!(page["total"], 2);
    assert_eq!(
        page["counts"],
        serde_json::json!({"active": 1, "idle": 1, "failing": 1, "refused": 1, "stale": 0, "unasked": 0, "unknown": 0, "warned": 3})
    );
    for (row, kind) in page["triggers"].as_array().unwrap().iter().zip(["refused", ReadErrorKind::NotFound.as_str()]) {
        let told = json(&admin, &format!("/api/v1/triggers/{}", row["id"])).await;
        assert_eq!((&told["help"]["kind"], &told["trigger"]["error"]["kind"]), (&kind.into(), &kind.into()));
        assert!(told["help"]["cure"].as_str().unwrap().len() > 20);
    }
}

/// What a viewer is sent within `seconds`.
async fn watched(admin: &Admin, query: &str, during: impl AsyncFnOnce(), seconds: u64) -> String {
    let request = Request::get(format!("/api/v1/events?{query}")).body(Body::empty()).unwrap();
    let answer = admin.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let mut text = String::new();
    let mut read = async |time: Duration, text: &mut String| {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(chunk)) = tokio::time::timeout_at(until, body.next()).await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    };
    read(Duration::from_millis(500), &mut text).await;
    during().await;
    read(Duration::from_secs(seconds), &mut text).await;
    text
}

#[tokio::test(start_paused = true)]
async fn who_watches_is_told_what_changes_and_of_the_list() {
    let admin = with_all_states().await;
    let calm = admin.bench.world.queue("calm");
    let metadata = trigger(&[("queue", "calm"), ("tresholt", "1")]);
    let told = watched(
        &admin,
        "ids=2&list=true&state=idle",
        async || {
            calm.set(Act::Value(7.0));
            tokio::time::advance(Duration::from_secs(6)).await;
            admin.bench.value(&metadata).await.unwrap();
        },
        20,
    )
    .await;
    let changes: Vec<Value> = told
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: change\ndata: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!((&changes[0]["id"], &changes[0]["state"]), (&2.into(), &"idle".into()), "{told}");
    let last = changes.last().unwrap();
    assert_eq!(
        (&last["state"], &last["value"], &last["replicas"]),
        (&"active".into(), &7.0.into(), &1.0.into()),
        "{told}"
    );
    assert!(told.contains("event: list\ndata: {\"changed\":true,\"counts\":{\"active\":2,"), "{told}");
    let openapi = json(&admin, "/api/v1/openapi.json").await;
    for change in changes {
        assert_eq!(mismatches(&openapi, &openapi["components"]["schemas"]["Change"], &change), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_of_many_rows_is_sent_so_much_a_second_and_each_row_has_its_turn() {
    let admin = Admin::new();
    let names: Vec<String> = (0..200).map(|n| format!("q{n}")).collect();
    for name in &names {
        admin.bench.value(&trigger(&[("queue", name)])).await.unwrap();
    }
    let ids: Vec<String> = (1..=200).map(|id| id.to_string()).collect();
    let query = format!("ids={}", ids.join(","));
    let first = watched(&admin, &query, async || {}, 0).await;
    assert!(first.len() < 5_100, "{}", first.len());
    let all = watched(&admin, &query, async || {}, 12).await;
    for id in 1..=200 {
        assert!(all.contains(&format!("{{\"id\":{id},")), "{id} had no turn");
    }
    assert_eq!(admin.get(&format!("/api/v1/events?{query},201")).await.0, 400, "more rows than one may watch");
}

#[tokio::test(start_paused = true)]
async fn who_watches_is_one_of_few_and_not_for_ever() {
    let admin = Admin::new();
    let open = async || {
        let request = Request::get("/api/v1/events").body(Body::empty()).unwrap();
        admin.router.clone().oneshot(request).await.unwrap()
    };
    let mut viewers = Vec::new();
    for _ in 0..plimsoll::limits::VIEWERS {
        viewers.push(open().await);
    }
    assert_eq!((viewers[0].status(), open().await.status()), (200.into_status(), 503.into_status()));
    drop(viewers.split_off(1));
    let body = viewers.pop().unwrap().into_body();
    let begun = tokio::time::Instant::now();
    let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    assert!(begun.elapsed() <= plimsoll::limits::WATCH + Duration::from_secs(2));
    assert!(text.len() < 500, "nothing to say costs next to nothing: {}", text.len());
    assert_eq!(open().await.status(), 200.into_status());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_fetched_again_is_sent_at_no_more_than_a_viewers_pace() {
    let admin = Admin::new();
    let pace = async |path: &str| {
        let (status, page) = admin.get(path).await;
        assert_eq!(status, 200, "{path}");
        let every: usize = page.split_once("data-refresh=\"").unwrap().1.split_once('"').unwrap().0.parse().unwrap();
        assert!(page.len() <= every * plimsoll::limits::EVENTS, "{path}: {} bytes every {every} s", page.len());
        every
    };
    assert_eq!((pace("/connections").await, pace("/server").await), (10, 10), "little is asked for often");
    for host in 0..250 {
        let (queue, host) = (format!("q{host}"), format!("host-{host}.shop.svc"));
        admin.bench.value(&trigger(&[("queue", &queue), ("host", &host)])).await.unwrap();
    }
    assert!(pace("/connections").await > 10);
    for path in ["/", "/server", "/triggers/1"] {
        pace(path).await;
    }
}

trait IntoStatus {
    fn into_status(self) -> axum::http::StatusCode;
}

impl IntoStatus for u16 {
    fn into_status(self) -> axum::http::StatusCode {
        axum::http::StatusCode::from_u16(self).unwrap()
    }
}
