//! What a number is said to be made of: the query, how many series it gave, and why none may count for 0.

use std::sync::Arc;

use super::super::Prometheus;
use crate::{
    backend::{Backend, Source},
    metadata::{Metadata, Reader},
    net::{
        Reach,
        stand_in::{Reply, StandIn},
    },
    reading::Cell,
};

fn answer(result: &str, more: &str) -> Reply {
    let body = format!(r#"{{"status":"success"{more},"data":{{"resultType":"vector","result":[{result}]}}}}"#);
    Reply::of_type(200, "application/json", body)
}

fn source(server: &StandIn, more: &[(&str, &str)]) -> Arc<dyn Source> {
    let url = server.url();
    let mut pairs = vec![("serverAddress", url.as_str()), ("query", "sum(up)"), ("threshold", "10")];
    pairs.extend([("activationThreshold", "3"), ("timeout", "20000")]);
    pairs.extend_from_slice(more);
    let metadata: Metadata = pairs.into_iter().collect();
    let parsed = Prometheus::default().parse("prometheus", &mut Reader::new(&metadata), &Reach::open());
    parsed.expect("a legal trigger")
}

#[tokio::test]
async fn the_parts_of_a_number_are_its_query_and_the_series_that_it_gave() {
    const WARNED: &str = r#","warnings":["a store is away"]"#;
    for (result, more, series, value, remark) in [
        (r#"{"metric":{},"value":[1,"42.5"]}"#, "", 1, Cell::from(42.5), ""),
        ("", "", 0, Cell::Unknown, "no series: taken for 0, as `ignoreNullValues` says"),
        (
            r#"{"metric":{},"value":[1,"NaN"]}"#,
            "",
            1,
            Cell::Unknown,
            "NaN or infinity: taken for 0, as `ignoreNullValues` says",
        ),
        (
            r#"{"metric":{},"value":[1,"7"]}"#,
            WARNED,
            1,
            Cell::from(7.0),
            "the server warns that the answer may be incomplete",
        ),
    ] {
        let (result, more) = (result.to_owned(), more.to_owned());
        let server = StandIn::new(move |_| answer(&result, &more)).await;
        let query = source(&server, &[]);
        assert!(query.parts().is_none(), "nothing was read");
        let reading = query.read().await.expect("it answers");
        let parts = query.parts().expect("it was read");
        assert_eq!((parts.of, parts.activation, parts.omitted), (reading, Some(3.0), 0));
        assert_eq!(parts.columns, ["query", "series", "value", "remark"]);
        assert_eq!(parts.rows, [vec![Cell::from("sum(up)"), Cell::from(series), value, Cell::from(remark)]]);
    }
}

#[tokio::test]
async fn a_look_that_comes_to_nothing_leaves_the_parts_of_the_value_that_still_serves() {
    let server = StandIn::new(|_| answer(r#"{"metric":{},"value":[1,"5"]}"#, "")).await;
    let query = source(&server, &[("ignoreNullValues", "false")]);
    let reading = query.read().await.expect("it answers");
    server.now(|_| answer("", ""));
    query.read().await.expect_err("no series is no number");
    let parts = query.parts().expect("of the last number");
    assert_eq!((parts.of, &parts.rows[0][2]), (reading, &Cell::from(5.0)));
}
