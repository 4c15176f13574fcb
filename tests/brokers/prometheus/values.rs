//! What a real Prometheus gives, and what we make of it.

use std::time::Duration;

use plimsoll::{
    error::ReadErrorKind::{BadReply, NotFound},
    reading::Reading,
};
use tokio::time::timeout;

use super::fixtures::{Target, read, server, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_scraped_gauge_is_the_value_and_moves_with_it() {
    let target = Target::new("jobs 3\n").await;
    let query = target.series("jobs");
    let more = [("activationThreshold", "3")];
    assert!(!until(&server(), &query, &more, 3.0).await.active);
    target.show("jobs 42.5\n");
    assert!(until(&server(), &query, &more, 42.5).await.active);
    target.show("jobs 0\n");
    assert!(!until(&server(), &query, &more, 0.0).await.active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_leaves_is_zero_or_an_error_as_the_trigger_says() {
    let target = Target::new("jobs 7\n").await;
    let query = target.series("jobs");
    until(&server(), &query, &[], 7.0).await;
    target.leave();
    let gone = until(&server(), &query, &[], 0.0).await;
    assert!(!gone.active);
    for more in [("ignoreNullValues", "false"), ("strict", "true")] {
        let error = read(&server(), &query, &[more]).await.unwrap_err();
        assert_eq!(error.kind, BadReply);
        assert!(error.to_string().contains("gave no series: correct `query`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_result_has_its_answer() {
    let number = |value: f64| Ok(Reading { value, active: value > 0.0 });
    for (query, value) in
        [("vector(5)", 5.0), ("scalar(vector(6))", 6.0), ("1 + 1", 2.0), ("vector(0) / 0", 0.0), ("vector(1) / 0", 0.0)]
    {
        assert_eq!(read(&server(), query, &[]).await, number(value), "{query}");
    }
    for query in ["vector(0) / 0", "vector(-1) / 0", "absent(vector(1))", "scalar(absent(vector(1)))"] {
        let error = read(&server(), query, &[("ignoreNullValues", "false")]).await.unwrap_err();
        assert!(error.to_string().contains("or set `ignoreNullValues: true`"), "{query}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_number_says_what_to_do() {
    let target = Target::new("jobs{queue=\"a\"} 1\njobs{queue=\"b\"} 2\n").await;
    let jobs = target.series("jobs");
    until(&server(), &format!("sum({jobs})"), &[], 3.0).await;
    for (query, words) in [
        (jobs.clone(), "multiple series (2): make them one"),
        (format!("{jobs}[1m]"), "a range of samples"),
        ("\"text\"".to_owned(), "a text"),
        ("sum(".to_owned(), "refuses the query: invalid parameter"),
        (format!("{jobs} * on(test) {jobs}"), "refuses the query: found duplicate series"),
    ] {
        let error = read(&server(), &query, &[]).await.unwrap_err();
        assert_eq!(error.kind, BadReply, "{query}: {error}");
        assert!(error.to_string().contains(words), "{query}: {error}");
        assert!(!error.whole_connection, "{query}: it is the query's own fault");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_prometheus_is_an_error() {
    let error = read(&format!("{}/no/such/prefix", server()), "1", &[]).await.unwrap_err();
    assert_eq!(error.kind, NotFound, "{error}");
    assert!(error.to_string().contains("404 Not Found: correct the address"), "{error}");
    let slash = read(&format!("{}/", server()), "1", &[]).await.unwrap();
    assert_eq!(slash.value, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_with_every_odd_character_arrives_whole() {
    let query = r##"count(absent({__name__="a+b%20c&d=e;é\"#?/ x"})) + 41"##;
    assert_eq!(read(&server(), query, &[]).await.unwrap().value, 42.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_trigger_looks_again_at_its_own_pace() {
    let source = super::fixtures::source(&server(), "vector(0)", &[("idlePollingInterval", "1s")]);
    timeout(Duration::from_secs(10), source.wake()).await.expect("the pace is a second");
}
