//! The series: each in docs/metrics.md and nowhere else, and each tells the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use plimsoll::{
    metadata::Metadata,
    object::ObjectRef,
    sampler::{Sampler, Settings},
    telemetry::Metrics,
    watch::activations,
};
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    emulator::Keda,
    grpc::Pipe,
    scripted::{Act, Bench, WALL, missing, trigger},
};

/// What a scraper gets.
fn page(metrics: &Metrics, sampler: &Sampler) -> String {
    metrics.observe(&sampler.observed());
    metrics.encode().unwrap()
}

fn shown(bench: &Bench) -> String {
    page(&bench.metrics, &bench.sampler)
}

/// The value of one series, as it is written.
fn value<'p>(page: &'p str, series: &str) -> Option<&'p str> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.split(' ').next())
}

fn opted_in(most: usize) -> Bench {
    Bench::with(Settings { trigger_series: most, ..Settings::default() }, SystemTime::UNIX_EPOCH + WALL)
}

const SHOP: ObjectRef<&str> = ObjectRef { namespace: "shop", name: "orders" };

/// Each name on the page with its type and the labels of its first line.
fn exported(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let named = types.map(|(name, kind)| {
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let lines = page.lines().filter(|line| !line.starts_with('#') && line.starts_with(name));
        let labels = lines.filter_map(|line| line.split_once('{')?.1.split_once("} ")).flat_map(|(labels, _)| {
            labels.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect::<Vec<_>>()
        });
        let labels = labels.filter(|label| label != "le" && !(kind == "histogram" && label == "trace_id")).collect();
        (format!("{name}{suffix}"), (kind.to_owned(), labels))
    });
    named.collect()
}

/// The same of the tables in the docs.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = fs::read_to_string("docs/metrics.md").unwrap();
    let all = page.split_once("## All of them").unwrap().1.split_once("\n## ").unwrap().0.to_owned();
    let rows = all.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let labels = cells[2].split_whitespace().map(|label| label.trim_matches('`').to_owned()).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
    };
    rows.map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn every_series_is_in_the_docs_with_its_type_and_labels_and_no_other_is() {
    let bench = opted_in(10);
    bench.world.queue("a").set(Act::Value(1.0));
    bench.value(&trigger(&[("queue", "a")])).await.unwrap();
    // What is there only with TLS, files and credentials of its own.
    bench.metrics.certificate_expires("server", SystemTime::now());
    bench.metrics.stale("tls", false);
    let mut observed = bench.sampler.observed();
    observed.credentials[0].1.oldest = Some(Duration::from_secs(1));
    observed.survey.certificates.push(("scripted", 1));
    bench.metrics.observe(&observed);
    assert_eq!(exported(&bench.metrics.encode().unwrap()), documented());
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_method_and_code_when_their_answer_has_been_taken() {
    let pipe = Pipe::new().await;
    pipe.world.queue("a").set(Act::Value(7.0));
    pipe.world.queue("b").set(missing());
    let channel = pipe.channel().await;
    let mut good = Keda::new(channel.clone(), "good", &[("scalerType", "scripted"), ("queue", "a")]);
    let mut bad = Keda::new(channel.clone(), "bad", &[("scalerType", "scripted"), ("queue", "b")]);
    let mut wrong = Keda::new(channel, "wrong", &[("scalerType", "scripted")]);
    let ended = |method: &str, kind: &str, code: &str| {
        let page = page(&pipe.metrics, &pipe.sampler);
        let labels =
            format!(r#"grpc_service="externalscaler.ExternalScaler",grpc_method="{method}",grpc_type="{kind}""#);
        let number =
            |series: String| value(&page, &series).unwrap_or_else(|| panic!("{series}")).parse::<u64>().unwrap();
        assert!(
            number(format!("grpc_server_started_total{{{labels}}}"))
                >= number(format!("grpc_server_handling_seconds_count{{{labels}}}"))
        );
        number(format!("grpc_server_handled_total{{{labels},grpc_code=\"{code}\"}}"))
    };
    assert_eq!(ended("IsActive", "unary", "OK"), 0, "every code of every method is there from the start");
    assert!(good.active().await.unwrap());
    bad.active().await.unwrap_err();
    wrong.active().await.unwrap_err();
    let stream = good.stream().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ended("IsActive", "unary", "OK"), 1);
    assert_eq!(ended("IsActive", "unary", "FailedPrecondition"), 1);
    assert_eq!(ended("IsActive", "unary", "InvalidArgument"), 1);
    let of_stream = |code| ended("StreamIsActive", "server_stream", code);
    assert_eq!((of_stream("OK"), of_stream("Canceled")), (0, 0), "a stream counts when it ends");
    drop(stream);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((of_stream("OK"), of_stream("Canceled")), (0, 1));
    let _stream = good.stream().await.unwrap();
    pipe.drain.end_streams();
    sleep(Duration::from_secs(1)).await;
    assert_eq!((of_stream("OK"), of_stream("Canceled")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn questions_are_counted_by_what_answered_them() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a")]);
    bench.world.queue("a").set(Act::Slow(Duration::from_secs(1), 7.0));
    let (first, second) = tokio::join!(bench.value(&metadata), bench.value(&metadata));
    assert_eq!((first, second), (Ok(7.0), Ok(7.0)));
    assert_eq!(bench.value(&metadata).await, Ok(7.0));
    bench.world.queue("b").set(missing());
    bench.value(&trigger(&[("queue", "b")])).await.unwrap_err();
    bench.value(&trigger(&[("queue", "b")])).await.unwrap_err();
    let page = shown(&bench);
    let count = |answer: &str| value(&page, &format!("plimsoll_questions_total{{answer=\"{answer}\"}}")).unwrap();
    assert_eq!((count("look"), count("joined"), count("sample"), count("failure")), ("2", "1", "1", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_wake_is_measured_from_the_brokers_signal_to_the_push_and_only_then() {
    let bench = Bench::new();
    let metadata = trigger(&[("queue", "a"), ("pollingInterval", "3600")]);
    let stop = CancellationToken::new();
    let subscription = bench.sampler.subscribe(SHOP, &metadata).unwrap();
    let mut stream = Box::pin(activations(subscription, stop.clone(), None));
    let woken = |what: &str| {
        let page = shown(&bench);
        value(&page, &format!("plimsoll_wake_duration_seconds_{what}{{scaler_type=\"scripted\"}}")).unwrap().to_owned()
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), stream.next()).await.is_err());
    // A signal that comes to nothing is none.
    bench.world.queue("a").signal();
    assert!(tokio::time::timeout(Duration::from_secs(60), stream.next()).await.is_err());
    assert_eq!(woken("count"), "0");
    bench.world.queue("a").set(Act::Slow(Duration::from_millis(300), 1.0));
    bench.world.queue("a").signal();
    stream.next().await.unwrap();
    assert_eq!((woken("count"), woken("sum").starts_with("0.3")), ("1".to_owned(), true), "{}", woken("sum"));
    // What is said again, and what a stream hears that comes later, was not woken now.
    stream.next().await.unwrap();
    let later = bench.sampler.subscribe(ObjectRef { namespace: "shop", name: "other" }, &metadata).unwrap();
    advance(Duration::from_secs(5)).await;
    Box::pin(activations(later, stop, None)).next().await.unwrap();
    assert_eq!(woken("count"), "1");
    assert_eq!(value(&shown(&bench), "plimsoll_pushes_total"), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_stale_or_refused_is_counted_and_the_oldest_sample_has_its_age() {
    let bench = Bench::new();
    let counts = || {
        let page = shown(&bench);
        let of = |what: &str| value(&page, &format!("plimsoll_{what}")).map(str::to_owned);
        let age = of(r#"oldest_sample_age_seconds{scaler_type="scripted"}"#);
        (of("failing_triggers").unwrap() + &of("stale_triggers").unwrap() + &of("refused_triggers").unwrap(), age)
    };
    assert_eq!(counts(), ("000".to_owned(), None), "no age of what is unknown");
    let (a, b) = (trigger(&[("queue", "a")]), trigger(&[("queue", "b")]));
    bench.world.queue("b").set(missing());
    bench.value(&a).await.unwrap();
    bench.value(&b).await.unwrap_err();
    bench.value(&trigger(&[("threshold", "x")])).await.unwrap_err();
    assert_eq!(counts(), ("111".to_owned(), Some("0.0".to_owned())));
    // Its last value serves while it is young enough.
    bench.world.queue("a").set(missing());
    sleep(Duration::from_secs(6)).await;
    let (count, age) = counts();
    assert_eq!(count, "211");
    assert!(age.unwrap().parse::<f64>().unwrap() >= 6.0);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(counts().0, "221");
    // Nobody asks any more: nothing is refreshed, and nothing is amiss.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(counts(), ("001".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn triggers_have_series_of_their_own_only_if_asked_for_and_as_long_as_they_live() {
    let (off, on) = (Bench::new(), opted_in(3));
    let metadata = trigger(&[("queue", "a"), ("triggerName", "a \"b\"\n"), ("threshold", "5")]);
    for bench in [&off, &on] {
        bench.world.queue("a").set(Act::Value(7.0));
        bench.value(&metadata).await.unwrap();
    }
    assert!(!shown(&off).contains("plimsoll_trigger_"), "{}", shown(&off));
    let labels = r#"{namespace="shop",name="orders",trigger="a \"b\" ",scaler_type="scripted"}"#;
    let of = |what: &str| value(&shown(&on), &format!("plimsoll_trigger_{what}{labels}")).map(str::to_owned);
    let all =
        || ["value", "active", "target", "failing", "sample_age_seconds"].map(|what| of(what).unwrap_or_default());
    assert_eq!(all(), ["7.0", "1.0", "5.0", "0.0", "0.0"]);
    on.world.queue("a").set(missing());
    sleep(Duration::from_secs(30)).await;
    let [value, active, target, failing, age] = all();
    assert_eq!([value, active, target, failing].concat(), "5.01.0", "an unknown value is none");
    assert!(age.parse::<f64>().unwrap() > 25.0);
    sleep(Duration::from_secs(700)).await;
    assert!(!shown(&on).contains("plimsoll_trigger_"), "it goes with its trigger");
}

#[tokio::test(start_paused = true)]
async fn no_two_triggers_have_the_same_series_and_there_are_no_more_than_were_asked_for() {
    let bench = opted_in(3);
    let crossed = || {
        let page = shown(&bench);
        value(&page, r#"plimsoll_limit_crossed_total{limit="trigger_series"}"#).unwrap().parse::<u64>().unwrap()
    };
    let asked =
        async |object: ObjectRef<&str>, metadata: &Metadata| bench.sampler.sample(object, metadata).await.map(drop);
    let (one, other) = (trigger(&[("queue", "a")]), trigger(&[("queue", "a"), ("threshold", "3")]));
    asked(SHOP, &one).await.unwrap();
    asked(SHOP, &other).await.unwrap();
    asked(ObjectRef { namespace: "shop", name: "twin" }, &one).await.unwrap();
    let before = crossed();
    let page = shown(&bench);
    let lines: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("plimsoll_trigger_target{")).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(r#"name="orders",trigger="scripted-a#2""#)), "{lines:#?}");
    assert_eq!(value(&page, r#"plimsoll_limit_used{limit="trigger_series"}"#), Some("3"));
    asked(SHOP, &trigger(&[("queue", "b")])).await.unwrap();
    assert_eq!(shown(&bench).matches("plimsoll_trigger_target{").count(), 3);
    assert!(crossed() > before);
}

#[tokio::test(start_paused = true)]
async fn a_scrape_of_many_triggers_sees_each_of_them() {
    let bench = Arc::new(opted_in(20_000));
    let names: Vec<String> = (0..2500).map(|n| format!("q{n}")).collect();
    for name in &names {
        bench.value(&trigger(&[("queue", name)])).await.unwrap();
    }
    assert_eq!(shown(&bench).matches("plimsoll_trigger_target{").count(), names.len());
}
