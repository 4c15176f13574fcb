//! Traces and series at a collector's.

mod collector;

use std::{collections::BTreeSet, process::Command, time::Duration};

use axum::{Json, Router, routing::any};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;

use self::collector::{Collector, count, text, until};
use crate::{
    certificates::{Authority, Mount},
    emulator::Keda,
    process::Process,
};

const LOGIN: &str = "Bearer s3cret";
/// So that nothing takes its time.
const SOON: [(&str, &str); 3] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
];

/// A Prometheus that knows one number.
async fn prometheus() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = serde_json::json!({
        "status": "success",
        "data": { "resultType": "vector", "result": [{ "metric": {}, "value": [0, "7"] }] },
    });
    let router = Router::new().fallback(any(async move || Json(answer)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn server(environment: &[(&str, &str)]) -> Process {
    let trace = [("RUST_LOG", "trace")];
    Process::start_in(&["--endpoint-delay", "0s"], &[&SOON, environment, &trace].concat())
}

async fn ask(server: &Process, prometheus: &str, threshold: &str) -> Keda {
    let metadata =
        [("scalerType", "prometheus"), ("serverAddress", prometheus), ("query", "up"), ("threshold", threshold)];
    let mut keda = Keda::of(server.channel(), ("shop", "orders"), &metadata);
    let value = keda.hpa().await.unwrap();
    assert!((value.metric_value_float - 7.0).abs() < 0.1);
    keda
}

fn is_call(span: &Span) -> bool {
    span.name == "externalscaler.ExternalScaler/GetMetrics"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From a call to the requests it cost, in `collector`.
async fn follow(collector: &Collector, prometheus: &str) -> Span {
    let call = collector.span("a call", is_call).await;
    assert_eq!(text(&call.attributes, "k8s.namespace.name").as_deref(), Some("shop"));
    assert_eq!(text(&call.attributes, "plimsoll.object").as_deref(), Some("orders"));
    assert_eq!(text(&call.attributes, "rpc.grpc.status_code").as_deref(), Some("0"));
    assert_eq!(text(&call.attributes, "plimsoll.answer").as_deref(), Some("look"));
    let link = call.links.first().expect("a call links to the look that answered it");
    let look = collector.span("its look", |span| span.span_id == link.span_id).await;
    assert_eq!((look.name.as_str(), &look.trace_id), ("look prometheus", &link.trace_id));
    assert_eq!(text(&look.attributes, "plimsoll.value").as_deref(), Some("7"));
    let batch = collector.span("its batch", |span| span.parent_span_id == look.span_id).await;
    assert_eq!(batch.name, "batch");
    let request = collector.span("its request", |span| span.parent_span_id == batch.span_id).await;
    assert_eq!((request.name.starts_with("http "), &request.trace_id), (true, &look.trace_id), "{}", request.name);
    assert!(prometheus.contains(&text(&request.attributes, "server.address").unwrap()));
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leads_to_the_look_that_answered_it_and_to_the_requests_that_this_cost() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::grpc("127.0.0.1:0").await);
    let endpoint = format!("http://{address}");
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_SERVICE_NAME", "scaler-of-mine"),
    ]);
    let mut keda = ask(&server, &prometheus, "1").await;
    let call = follow(&collector, &prometheus).await;
    // What is answered from memory links to the look that filled it.
    keda.active().await.unwrap();
    let polled = collector.span("a poll", |span| span.name == "externalscaler.ExternalScaler/IsActive").await;
    assert_eq!(text(&polled.attributes, "plimsoll.answer").as_deref(), Some("sample"));
    let look = &polled.links.first().expect("a link").span_id;
    collector.span("its look", |span| span.span_id == *look && span.name == "look prometheus").await;
    // From a slow bucket to the call that was slow.
    assert!(server.page("/metrics").contains(&format!("trace_id=\"{}\"", hex(&call.trace_id))));
    assert_eq!(collector.resource("service.name").as_deref(), Some("scaler-of-mine"));
    assert!(collector.logins().iter().all(|login| login == LOGIN), "{:?}", collector.logins());
    assert!(!server.log().contains("s3cret") && !server.page("/metrics").contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_goes_over_http_as_well() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::http().await);
    let endpoint = format!("http://{address}");
    let server = server(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    ask(&server, &prometheus, "1").await;
    follow(&collector, &prometheus).await;
    collector.metric("plimsoll_triggers", |_| true).await;
    assert_eq!(collector.resource("service.name").as_deref(), Some("plimsoll"));
    assert!(collector.logins().iter().all(|login| login == LOGIN), "{:?}", collector.logins());
    assert!(!server.log().contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_behind_tls_that_wants_a_certificate_has_one() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (collector, address) = Collector::grpc_over_tls(&ours.lasting(&["localhost"]), &ours.pem()).await;
    let (prometheus, endpoint) = (prometheus().await, format!("https://localhost:{}", address.port()));
    let identity = ours.lasting(&["plimsoll"]);
    let [ca, cert, key, other] = ["ca.crt", "tls.crt", "tls.key", "other.crt"];
    let (ca_pem, other_pem) = (ours.pem(), theirs.pem());
    let files = Mount::new(&[(ca, &ca_pem), (cert, &identity.cert), (key, &identity.key), (other, &other_pem)]);
    let server_with = |ca: &str| {
        let (ca, cert, key) = (files.path(ca), files.path(cert), files.path(key));
        let said = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &cert),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ];
        server(&said)
    };
    let distrustful = server_with(other);
    ask(&distrustful, &prometheus, "1").await;
    distrustful.until_log("does not take what we send");
    assert!(collector.spans().is_empty());
    let server = server_with(ca);
    ask(&server, &prometheus, "1").await;
    follow(&collector, &prometheus).await;
    assert!(!server.log().contains(identity.key.lines().nth(1).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_that_share_a_batch_lead_to_the_one_request_that_it_cost() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::grpc("127.0.0.1:0").await);
    let endpoint = format!("http://{address}");
    let server = server(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    for threshold in ["1", "2", "3"] {
        ask(&server, &prometheus, threshold).await;
    }
    // From the second look on they are due together.
    let shared = |span: &Span| span.name == "batch" && text(&span.attributes, "plimsoll.questions").unwrap() == "3";
    let batch = collector.span("a batch of three", shared).await;
    let links = || {
        let looks = collector.spans().into_iter().filter(|span| span.name == "look prometheus");
        let linked = looks.filter(|look| look.links.iter().any(|link| link.span_id == batch.span_id)).count();
        (linked == 2).then_some(())
    };
    until("the two others link to it", links).await;
    collector.span("the first has it", |span| span.span_id == batch.parent_span_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_caller_goes_on_and_so_does_what_it_says_of_sampling() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::grpc("127.0.0.1:0").await);
    let endpoint = format!("http://{address}");
    let server = server(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ]);
    let metadata =
        [("scalerType", "prometheus"), ("serverAddress", prometheus.as_str()), ("query", "up"), ("threshold", "1")];
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let mut traced = Keda::of(server.channel(), ("shop", "orders"), &metadata);
    traced.active().await.unwrap();
    traced.active_within(&format!("00-{trace}-b7ad6b7169203331-01")).await.unwrap();
    let call = collector.span("a call", |span| hex(&span.trace_id) == trace).await;
    assert_eq!(hex(&call.parent_span_id), "b7ad6b7169203331");
    traced.active_within("00-nonsense-b7ad6b7169203331-01").await.unwrap();
    server.terminate();
    server.until_log("\"ended\"");
    assert_eq!(collector.spans().len(), 1, "what nobody samples is not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_pushed_as_it_is_shown() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::grpc("127.0.0.1:0").await);
    let endpoint = format!("http://{address}");
    let server = Process::start_in(
        &["--endpoint-delay", "0s", "--trigger-series", "10"],
        &[&SOON[..], &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]]
            .concat(),
    );
    ask(&server, &prometheus, "1").await;
    let page = server.page("/metrics");
    let names: BTreeSet<String> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .map(|name| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
        })
        .collect();
    assert!(names.contains("plimsoll_trigger_value") && names.len() > 30, "{names:?}");
    for name in &names {
        // Nobody is woken here: a histogram that was never added to is not sent.
        if name != "plimsoll_wake_duration_seconds" {
            collector.metric(name, |_| true).await;
        }
    }
    collector.metric("grpc_server_handling_seconds", |metric| count(metric) >= 1).await;
    collector.metric("plimsoll_read_duration_seconds", |metric| count(metric) >= 1).await;
    assert!(!page.contains("trace_id"), "traces are not wanted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_harms_nothing_and_the_log_says_so_once() {
    let prometheus = prometheus().await;
    // A port where nobody listens, yet.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let mut server = server(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let told =
        |log: &str, words: &str| log.lines().filter(|line| line.contains(words) && !line.contains("TRACE")).count();
    for threshold in ["1", "2", "3"] {
        ask(&server, &prometheus, threshold).await;
    }
    until("both signals are told of", || (told(&server.log(), "does not take what we send") == 2).then_some(())).await;
    let mut keda = ask(&server, &prometheus, "4").await;
    let (collector, _) = Collector::grpc(&address.to_string()).await;
    until("both are well again", || (told(&server.log(), "takes what we send again") == 2).then_some(())).await;
    keda.active().await.unwrap();
    collector.span("the new one", |span| span.name == "externalscaler.ExternalScaler/IsActive").await;
    assert_eq!(told(&server.log(), "does not take what we send"), 2, "{}", server.log());
    server.terminate();
    assert!(server.ended(Duration::from_secs(20)).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_at_the_end() {
    let (prometheus, (collector, address)) = (prometheus().await, Collector::grpc("127.0.0.1:0").await);
    let endpoint = format!("http://{address}");
    let mut server = Process::start_in(
        &["--endpoint-delay", "0s"],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_BSP_SCHEDULE_DELAY", "3000000"),
        ],
    );
    ask(&server, &prometheus, "1").await;
    assert!(collector.spans().is_empty());
    server.terminate();
    assert!(server.ended(Duration::from_secs(20)).success());
    assert!(collector.spans().iter().any(is_call));
}

#[test]
fn a_variable_that_cannot_be_followed_ends_the_start_with_its_name_and_the_cure() {
    let refused = |variable: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let output = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317").env(variable, value).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (variable, value, cure) in [
        ("OTEL_TRACES_SAMPLER", "often", "`parentbased_traceidratio`"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "name=value"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/s3cret.pem", "correct the path"),
    ] {
        let (code, said) = refused(variable, value);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(variable) && said.contains(cure) && !said.contains("s3cret"), "{said}");
    }
}
