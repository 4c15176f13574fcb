//! Spans and series at the collector.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    collector::{Collector, attribute},
    emulator::Keda,
    process::Process,
    stand_in::{Reply, StandIn},
};

/// So that nothing takes its time.
const SOON: [(&str, &str); 2] = [("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "200")];

/// A Prometheus that knows one number.
async fn prometheus() -> StandIn {
    let answer = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"7"]}]}}"#;
    StandIn::new(move |_| Reply::of_type(200, "application/json", answer)).await
}

async fn asked(collector: &Collector, port: u16, more: &[(&str, &str)]) -> (Process, StandIn, Keda) {
    let endpoint = format!("{}:{port}", collector.host);
    let environment = [&SOON[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())], more].concat();
    let server = Process::start_in(&["--endpoint-delay", "0s", "--allow-loopback"], &environment);
    let source = prometheus().await;
    let url = source.url();
    let metadata = [("scalerType", "prometheus"), ("serverAddress", url.as_str()), ("query", "up"), ("threshold", "1")];
    let mut keda = Keda::of(server.channel(), ("shop", "orders"), &metadata);
    keda.hpa().await.unwrap();
    (server, source, keda)
}

fn is_call(method: &'static str) -> impl Fn(&Value) -> bool {
    move |span| span["name"] == format!("externalscaler.ExternalScaler/{method}")
}

/// A call, the look that it links to, the batch of that, the request of that: what each is to a collector.
async fn follow(port: u16) {
    let collector = Collector::start();
    let (_server, source, mut keda) = asked(&collector, port, &[("OTEL_SERVICE_NAME", "scaler-of-mine")]).await;
    let call = collector.span("a call", is_call("GetMetrics"));
    // 2 is a server, 3 a client, 1 is inside.
    assert_eq!((&call["kind"], &call["status"]), (&json!(2), &json!({})), "{call:#}");
    for (key, value) in [
        ("rpc.system", json!("grpc")),
        ("rpc.method", json!("GetMetrics")),
        ("rpc.grpc.status_code", json!("0")),
        ("k8s.namespace.name", json!("shop")),
        ("plimsoll.object", json!("orders")),
        ("plimsoll.answer", json!("look")),
    ] {
        assert_eq!(attribute(&call, key), Some(value), "{call:#}");
    }
    let linked = |span: &Value| (span["links"][0]["traceId"].clone(), span["links"][0]["spanId"].clone());
    let look = collector.span("its look", |span| (span["traceId"].clone(), span["spanId"].clone()) == linked(&call));
    assert_eq!((&look["name"], &look["kind"]), (&json!("look prometheus"), &json!(1)));
    assert_eq!(attribute(&look, "plimsoll.value"), Some(json!(7)));
    let child = |of: &Value, what: &str| {
        let child = collector.span(what, |span| span["parentSpanId"] == of["spanId"]);
        assert_eq!(child["traceId"], of["traceId"], "{child:#}");
        child
    };
    let batch = child(&look, "its batch");
    assert_eq!((&batch["name"], attribute(&batch, "plimsoll.questions")), (&json!("batch"), Some(json!("1"))));
    let request = child(&batch, "its request");
    assert_eq!((&request["name"], &request["kind"]), (&json!("http GET"), &json!(3)));
    assert_eq!(attribute(&request, "server.address"), Some(json!("127.0.0.1")), "{request:#}");
    assert_eq!(attribute(&request, "server.port"), Some(json!(source.address.port().to_string())), "{request:#}");
    // What is answered from memory links to the look that filled it.
    keda.active().await.unwrap();
    let poll = collector.span("a poll", is_call("IsActive"));
    assert_eq!(attribute(&poll, "plimsoll.answer"), Some(json!("sample")));
    let (_, of) = linked(&poll);
    collector.span("the look of the poll", |span| span["spanId"] == of && span["name"] == "look prometheus");
    for span in collector.spans() {
        assert_eq!(attribute(&span["resource"], "service.name"), Some(json!("scaler-of-mine")));
        let times =
            ["startTimeUnixNano", "endTimeUnixNano"].map(|key| span[key].as_str().unwrap().parse::<u64>().unwrap());
        assert!(times[0] <= times[1], "{span:#}");
    }
    assert!(!collector.log().contains("\terror\t") && !collector.log().contains("\twarn\t"), "{}", collector.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leads_to_its_look_and_its_requests_over_grpc() {
    follow(4317).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leads_to_its_look_and_its_requests_over_http() {
    follow(4318).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_marked_as_failed() {
    let collector = Collector::start();
    let endpoint = format!("{}:4317", collector.host);
    let environment = [&SOON[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]].concat();
    let server = Process::start_in(&["--endpoint-delay", "0s", "--allow-loopback"], &environment);
    let metadata =
        [("scalerType", "prometheus"), ("serverAddress", "http://127.0.0.1:1"), ("query", "up"), ("threshold", "1")];
    let mut keda = Keda::of(server.channel(), ("shop", "orders"), &metadata);
    keda.hpa().await.unwrap_err();
    let look = collector.span("the look", |span| span["name"] == "look prometheus");
    assert_eq!((&look["status"]["code"], attribute(&look, "plimsoll.error")), (&json!(2), Some(json!("unreachable"))));
    assert_eq!(attribute(&look, "plimsoll.value"), None, "{look:#}");
    let call = collector.span("the call", is_call("GetMetrics"));
    assert_eq!(attribute(&call, "rpc.grpc.status_code"), Some(json!("14")), "{call:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_comes_with_its_name_unit_help_and_kind() {
    let collector = Collector::start();
    let (server, _source, _keda) = asked(&collector, 4317, &[]).await;
    let has = |name: &str| collector.metrics().iter().any(|metric| metric["name"] == name);
    for name in ["grpc_server_handling_seconds", "plimsoll_read_duration_seconds", "plimsoll_oldest_sample_age_seconds"]
    {
        collector.until(name, || has(name));
    }
    // Each that the page has, under the page's name.
    let page = server.page("/metrics");
    let on_page = |name: &str, kind: &str| {
        let (name, kind) = match kind {
            "counter" => (name.trim_end_matches("_total"), "counter"),
            other => (name, other),
        };
        page.contains(&format!("# TYPE {name} {kind}\n"))
            || page.contains(&format!("# TYPE {} info\n", name.trim_end_matches("_info")))
    };
    let mut names = BTreeSet::new();
    for metric in collector.metrics() {
        let name = metric["name"].as_str().unwrap();
        let kind = ["sum", "gauge", "histogram"].into_iter().find(|kind| metric.get(kind).is_some()).unwrap();
        match kind {
            // Cumulative, and never back.
            "sum" => {
                let sum = &metric["sum"];
                assert_eq!((&sum["isMonotonic"], &sum["aggregationTemporality"]), (&json!(true), &json!(2)), "{name}");
                assert!(name.ends_with("_total") && on_page(name, "counter"), "{name}");
            }
            "histogram" => assert!(on_page(name, "histogram"), "{name}"),
            _ => assert!(on_page(name, "gauge"), "{name}"),
        }
        let unit = if name.trim_end_matches("_total").ends_with("_seconds") { "s" } else { "1" };
        let unit = if name.ends_with("_bytes") { "By" } else { unit };
        assert_eq!(metric["unit"], unit, "{name}");
        assert!(metric["description"].as_str().is_some_and(|help| help.ends_with('.')), "{metric:#}");
        names.insert(name.to_owned());
    }
    let missing: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| {
            !names.iter().any(|known| known.trim_end_matches("_total").trim_end_matches("_info") == *name)
        })
        // Without a point yet.
        .filter(|(name, _)| {
            page.lines().any(|line| {
                line.starts_with(&format!("{name}_count")) && !line.ends_with(" 0")
                    || line.starts_with(&format!("{name}{{"))
                    || line.starts_with(&format!("{name} "))
            })
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(missing, [""; 0]);
}
