//! The recorded conversations over HTTP: what is asked, and what an answer comes to.

use serde_json::{Value, json};

use super::{
    super::{
        source,
        standin::{Asked, StandIn},
    },
    VECTORS, metadata, text,
};
use crate::backend::recorded::{Difference, hold, id};

/// What a look comes to; `None` is an error.
type Outcome = Option<(f64, bool)>;

const ANSWERS: [Difference<Outcome>; 4] = [
    Difference {
        why: "a counter that is not there is unknown, not 0",
        ids: &["rmq-resp-122"],
        ours: |outcome| outcome.is_none(),
    },
    Difference {
        why: "an answer without `items` is none of RabbitMQ's",
        ids: &["rmq-resp-159"],
        ours: |outcome| outcome.is_none(),
    },
    Difference {
        why: "all pages are read; this server gives the same one again and again",
        ids: &["rmq-resp-114", "rmq-resp-161"],
        ours: |outcome| matches!(outcome, Some((0.0, false) | (5.0, true))),
    },
    Difference {
        why: "an `operation` that does not exist is refused whatever matches",
        ids: &["rmq-resp-157"],
        ours: |outcome| outcome.is_none(),
    },
];

#[tokio::test]
async fn answers_count_as_recorded() {
    let mut pairs = Vec::new();
    for case in VECTORS.cases("response") {
        let status = u16::try_from(case["status"].as_u64().expect("a status")).expect("small");
        let body = text(&case["body"]);
        let server =
            StandIn::start(move |asked| if is_listing(asked) { no_listing() } else { (status, body.clone()) }).await;
        let ours = match source(&metadata(&case, &[("{here}", &server.address)])) {
            Ok(source) => source.read().await.ok(),
            Err(_) => None,
        };
        // KEDA rounds to three decimals.
        let ours = ours.map(|reading| ((reading.value * 1000.0).round() / 1000.0, reading.active));
        let expect = &case["expect"];
        let keda = expect
            .is_object()
            .then(|| (expect["value"].as_f64().expect("a number"), expect["active"].as_bool().expect("true or false")));
        pairs.push((id(&case), keda, ours));
    }
    hold("response", &ANSWERS, pairs);
}

#[tokio::test]
async fn requests_are_sent_as_recorded() {
    const REQUESTS: [Difference<(String, Value)>; 1] = [Difference {
        why: "KEDA puts decoded text into the path, and form encoding where the server knows only path encoding",
        ids: &["rmq-req-060", "rmq-req-062", "rmq-req-063", "rmq-req-071"],
        ours: |_| true,
    }];
    let mut pairs = Vec::new();
    for case in VECTORS.cases("request") {
        let server = StandIn::start(|asked| {
            let paged = asked.target.contains("page=1&");
            let body = if paged { r#"{"items":[],"page_count":0}"# } else { r#"{"messages":0}"# };
            if is_listing(asked) { no_listing() } else { (200, body.to_owned()) }
        })
        .await;
        let source = source(&metadata(&case, &[("{here}", &server.address)])).expect("a legal trigger");
        source.read().await.expect("an answer");
        // Before it, the listing of the vhost was tried, which this server does not know.
        let last = server.asked().pop().expect("a request");
        let ours = without_our_columns(&last.target);
        if let Some(right) = case["right"].as_str() {
            assert_eq!(ours, right, "{}", case["id"]);
        }
        let keda = case["expect"].as_str().unwrap_or_default().to_owned();
        pairs.push((id(&case), (keda, case["authorization"].clone()), (ours, json!(last.authorization))));
    }
    hold("request", &REQUESTS, pairs);
}

/// Of a vhost, which KEDA does not ask for.
fn is_listing(asked: &Asked) -> bool {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    query.starts_with("disable_stats") && path.rsplit('/').nth(1) == Some("queues")
}

/// What a server answers that has none of the kind that we ask for.
fn no_listing() -> (u16, String) {
    (200, r#"[{"name":"q","messages":0,"messages_details":{"rate":0.0}}]"#.to_owned())
}

/// We ask for fresh numbers, and for no more than we need.
fn without_our_columns(target: &str) -> String {
    let ours = ["?disable_stats=", "&disable_stats=", "?columns=", "&columns="];
    let end = ours.iter().filter_map(|ours| target.find(ours)).min().expect("our columns");
    target[..end].to_owned()
}

#[tokio::test]
async fn tokens_are_fetched_and_used_as_recorded() {
    let mut pairs = Vec::new();
    for case in VECTORS.cases("oauth") {
        let token = text(&case["tokenResponse"]);
        let tokens = StandIn::start(move |_| (200, token.clone())).await;
        let api = StandIn::start(|_| (200, r#"[{"name":"q","messages":3}]"#.to_owned())).await;
        let places = [("{here}", api.address.as_str()), ("{token}", tokens.address.as_str())];
        let source = source(&metadata(&case, &places)).expect("a legal trigger");
        for _ in 0..2 {
            assert_eq!(source.read().await.expect("an answer").value, 3.0);
        }
        let [Asked { authorization, body, .. }] = &tokens.asked()[..] else { panic!("one token for two looks") };
        let form: serde_json::Map<String, Value> = super::super::super::address::pairs(body)
            .expect("a form")
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        let api_authorizations: Vec<_> = api.asked().into_iter().map(|asked| asked.authorization).collect();
        assert_eq!(api_authorizations.len(), 2);
        assert_eq!(api_authorizations[0], api_authorizations[1]);
        let ours = json!({"tokenAuthorization": authorization, "form": form, "authorization": api_authorizations[0]});
        pairs.push((id(&case), case["expect"].clone(), ours));
    }
    const TOKENS: [Difference<Value>; 1] = [Difference {
        why: "the blank in the client's id is `%20`, not `+`: the same in form encoding, and also where servers know only the former",
        ids: &["rmq-oauth-0"],
        // `c%20d:s%2B%26`
        ours: |ours| {
            ours["tokenAuthorization"] == "Basic YyUyMGQ6cyUyQiUyNg==" && ours["authorization"] == "Bearer tok1"
        },
    }];
    hold("oauth", &TOKENS, pairs);
}
