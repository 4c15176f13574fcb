//! Every shape of answer, and what it comes to.

use crate::net::http::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{
    super::{
        answer::{self, Found, Number},
        query::{evaluate, to_next_look},
    },
    spec,
};
use crate::{
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, NotFound, Throttled, Timeout, Unreachable},
    },
    net::http::Answer,
    reading::Reading,
};

fn read(status: u16, body: &str) -> Result<Found, ReadError> {
    let status = StatusCode::from_u16(status).unwrap();
    answer::read("`http://p:9090`", &Answer::new(status, HeaderMap::new(), body))
}

fn vector(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

fn sample(value: &str) -> String {
    vector(&format!(r#"{{"metric":{{"job":"a"}},"value":[1686063687.1,{value}]}}"#))
}

#[track_caller]
fn check(body: &str, expected: Number) {
    assert_eq!(read(200, body), Ok(Found { number: expected, warned: false }), "{body}");
}

#[track_caller]
fn fails(status: u16, body: &str, kind: ReadErrorKind, text: &str) -> ReadError {
    let error = read(status, body).expect_err(body);
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.to_string().starts_with("`http://p:9090` "), "{error}");
    assert!(error.to_string().contains(text), "{error}");
    error
}

#[test]
fn one_number_is_the_value() {
    check(&sample(r#""42""#), Number::Is(42.0));
    check(&sample(r#""1e+06""#), Number::Is(1e6));
    check(&sample(r#""-0.5""#), Number::Is(-0.5));
    check(&sample("5"), Number::Is(5.0));
    check(r#"{"status":"success","data":{"resultType":"scalar","result":[1686063687.1,"2"]}}"#, Number::Is(2.0));
}

#[test]
fn no_number_is_told_from_a_broken_one() {
    check(&vector(""), Number::Empty);
    check(&sample("null"), Number::Empty);
    check(&vector(r#"{"metric":{}}"#), Number::Empty);
    for text in ["NaN", "nan", "+Inf", "-Inf", "inf", "Infinity"] {
        check(&sample(&format!("{text:?}")), Number::NotFinite);
    }
    check(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#, Number::NotFinite);
    for value in [r#""abc""#, r#""1e999""#, r#""""#, "true", "[]", r#""0x10""#] {
        fails(200, &sample(value), ReadErrorKind::BadReply, "number");
    }
    fails(200, &vector(r#"{"value":[1]}"#), ReadErrorKind::BadReply, "1 parts");
    fails(200, &vector(r#"{"value":7}"#), ReadErrorKind::BadReply, "without a sample");
    fails(200, &vector("7"), ReadErrorKind::BadReply, "without a sample");
}

#[test]
fn what_is_not_one_number_says_how_to_make_it_one() {
    let one = r#"{"metric":{},"value":[1,"1"]}"#;
    let three = [one, one, one].join(",");
    fails(
        200,
        &vector(&three),
        ReadErrorKind::BadReply,
        "multiple series (3): make them one, for example with `sum(…)`",
    );
    let histogram = r#"{"metric":{},"histogram":[1,{"count":"10","sum":"3"}]}"#;
    fails(200, &vector(histogram), ReadErrorKind::BadReply, "native histogram");
    for result in ["", r#"{"metric":{},"values":[[1,"5"]]}"#] {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#);
        fails(200, &body, ReadErrorKind::BadReply, "a range of samples");
    }
    fails(
        200,
        r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
        ReadErrorKind::BadReply,
        "a text",
    );
}

#[test]
fn a_failed_query_is_an_error_whatever_the_status() {
    let failed = |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"1:4: parse\nerror"}}"#);
    for status in [200, 400] {
        fails(status, &failed("bad_data"), BadReply, "refuses the query: 1:4: parse error: correct `query`");
    }
    fails(422, &failed("execution"), BadReply, "refuses the query");
    let slow = fails(503, &failed("timeout"), Timeout, "gave up on the query");
    assert!(!slow.whole_connection, "another query may be cheap");
    let starting = fails(503, &failed("unavailable"), Unreachable, "is not ready");
    assert!(starting.whole_connection);
    fails(200, &failed("internal"), BadReply, "says that the query failed: 1:4");
    fails(200, r#"{"status":"error"}"#, BadReply, "but not why");
    fails(422, r#"{"status":"error"}"#, BadReply, "422");
}

#[test]
fn a_status_alone_has_its_kind_and_cure() {
    fails(401, "no", Denied, "401 Unauthorized: correct the credentials");
    fails(403, r#"{"message":"Forbidden"}"#, Denied, "403 Forbidden: grant");
    fails(404, "404 page not found", NotFound, "404 Not Found: correct the address");
    fails(429, "", Throttled, "429 Too Many Requests");
    fails(502, "<html>bad gateway</html>", Unreachable, "502 Bad Gateway");
    fails(500, "", Unreachable, "500 Internal Server Error: see its log");
    fails(302, "", BadReply, "302 Found");
}

#[test]
fn what_is_not_prometheus_is_never_zero() {
    for body in ["", "{}", "[]", "null", "OK", r#"{"status":"success"}"#, r#"{"data":{"result":"x"}}"#] {
        fails(200, body, ReadErrorKind::BadReply, "correct `serverAddress`");
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let page = Answer::new(StatusCode::OK, headers, b"<html>Sign in</html>".to_vec());
    let error = answer::read("`http://p:9090`", &page).unwrap_err();
    assert!(error.to_string().contains("a web page: a proxy or a login stands before it"), "{error}");
}

#[test]
fn every_series_of_a_long_list_is_counted() {
    let element = r#"{"metric":{"a":"b"},"value":[1,"1"]}"#;
    let many = vec![element; 20_000].join(",");
    fails(200, &vector(&many), ReadErrorKind::BadReply, "multiple series (20000)");
}

#[test]
fn nothing_is_zero_only_where_the_trigger_takes_it_so_and_the_answer_is_whole() {
    let found = |number, warned| Found { number, warned };
    let (lenient, exact) = (spec(&[]).unwrap(), spec(&[("ignoreNullValues", "false")]).unwrap());
    let strict = spec(&[("strict", "true")]).unwrap();
    let zero = Reading { value: 0.0, active: false };
    for number in [Number::Empty, Number::NotFinite] {
        assert_eq!(evaluate(&lenient, &found(number, false)), Ok(zero));
        for spec in [&exact, &strict] {
            let error = evaluate(spec, &found(number, false)).unwrap_err();
            assert!(error.to_string().contains("`ignoreNullValues: true`"), "{error}");
        }
    }
    let partial = evaluate(&lenient, &found(Number::Empty, true)).unwrap_err();
    assert!(partial.to_string().contains("some may be missing"), "{partial}");
    let seven = Reading { value: 7.0, active: true };
    assert_eq!(evaluate(&lenient, &found(Number::Is(7.0), true)), Ok(seven));
    evaluate(&strict, &found(Number::Is(7.0), true)).unwrap_err();
    assert_eq!(evaluate(&strict, &found(Number::Is(7.0), false)), Ok(seven));
}

#[test]
fn warnings_are_seen_and_infos_are_not() {
    let with = |more: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[]}}{more}}}"#);
    let warned = |more: &str| read(200, &with(more)).unwrap().warned;
    assert!(warned(r#","warnings":["store down"]"#));
    assert!(!warned(r#","warnings":[]"#) && !warned(r#","warnings":null"#) && !warned(r#","infos":["metric"]"#));
}

#[test]
fn active_is_strictly_above_the_activation_threshold() {
    let spec = spec(&[("activationThreshold", "2.5")]).unwrap();
    let active = |value| evaluate(&spec, &Found { number: Number::Is(value), warned: false }).unwrap().active;
    assert!(active(2.6) && !active(2.5) && !active(-1.0));
}

#[test]
fn idle_looks_fall_on_the_clock_and_never_close_together() {
    use std::time::{Duration, SystemTime};
    let at = |ms: u64| to_next_look(SystemTime::UNIX_EPOCH + Duration::from_millis(ms), Duration::from_secs(5));
    assert_eq!(at(10_001), Duration::from_millis(4_999));
    assert_eq!(at(12_000), Duration::from_secs(3));
    assert_eq!(at(14_999), Duration::from_millis(5_001));
    assert_eq!(at(10_000), Duration::from_secs(5));
}

#[test]
fn a_partial_answer_is_one_with_a_warning() {
    let partial = r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#;
    assert_eq!(read(200, partial), Ok(Found { number: Number::Empty, warned: true }));
    let whole = partial.replace("true", "false");
    assert_eq!(read(200, &whole), Ok(Found { number: Number::Empty, warned: false }));
    for (strict, ignore) in [("false", "true"), ("true", "false")] {
        let spec = spec(&[("strict", strict), ("ignoreNullValues", ignore)]).unwrap();
        let error = evaluate(&spec, &read(200, partial).unwrap()).unwrap_err();
        assert_eq!(error.kind, BadReply, "{error}");
    }
}

#[test]
fn advice_on_the_query_says_nothing_of_missing_data() {
    let warned = |warnings: &str| {
        let body = vector("").replace(r#""status""#, &format!(r#""warnings":{warnings},"status""#));
        read(200, &body).unwrap().warned
    };
    assert!(!warned(r#"["PromQL info: metric might not be a counter, name does not end in _total: \"x\""]"#));
    assert!(!warned(r#"["PromQL info: a", "PromQL info: b"]"#));
    assert!(!warned("[]"));
    assert!(warned(r#"["PromQL info: a", "PromQL warning: bucket label is missing"]"#));
    assert!(warned(r#"["store down"]"#));
    assert!(warned(r#"[{"PromQL info": 1}]"#));
    let infos = vector("").replace(r#""status""#, r#""infos":["anything"],"status""#);
    assert!(!read(200, &infos).unwrap().warned);
}

#[test]
fn the_servers_own_words_are_shown_whatever_the_status_and_cut() {
    let said =
        |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{}"}}"#, "word\\n".repeat(100_000));
    for (status, kind, expected) in [
        (200, "internal", BadReply),
        (400, "internal", BadReply),
        (401, "unauthorized", Denied),
        (403, "execution", Denied),
        (422, "too_many_samples", BadReply),
        (422, "execution", BadReply),
        (429, "execution", Throttled),
        (500, "internal", Unreachable),
        (503, "unavailable", Unreachable),
        (503, "timeout", Timeout),
    ] {
        let error = fails(status, &said(kind), expected, "word word");
        assert!(error.to_string().len() < 300 && !error.to_string().contains('\n'), "{error}");
    }
    let error = fails(422, r#"{"status":"error","error":"query exceeds 1e6 samples"}"#, BadReply, "exceeds 1e6");
    assert_eq!(error.to_string(), "`http://p:9090` answered 422 Unprocessable Entity, query exceeds 1e6 samples");
}

#[test]
fn what_nests_or_repeats_without_end_is_an_error_and_nothing_of_it_is_kept() {
    for body in [
        "[".repeat(1 << 20),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        vector(&"[".repeat(1 << 20)),
        vector(&vec!["[]"; 1 << 20].join(",")),
        vector(&format!(r#"{{"value":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000))),
        vector(&format!(r#"{{"metric":{}{},"value":[1,"x"]}}"#, "[".repeat(100_000), "]".repeat(100_000))),
        vector(&format!(r#"{{"value":[{}]}}"#, vec!["[]"; 1 << 20].join(","))),
        sample(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        r#"{"a":"#.repeat(1 << 18),
        format!(r#"{{"status":"success","warnings":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
    ] {
        assert_eq!(read(200, &body).expect_err(&body[..40]).kind, BadReply);
    }
    check(
        &vector(&format!(r#"{{"metric":{}{},"value":[1,"7"]}}"#, "[".repeat(100_000), "]".repeat(100_000))),
        Number::Is(7.0),
    );
}
