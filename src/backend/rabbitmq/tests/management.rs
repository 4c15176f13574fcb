//! What is asked over HTTP, how often, and what refusals say, against a server that says whatever the test wants.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use futures::future::join_all;

use super::{
    super::RabbitMq,
    source,
    standin::{Asked, StandIn},
};
use crate::net::Reach;
use crate::{
    backend::{Backend, Source},
    error::ReadErrorKind,
    metadata::{Metadata, Reader},
};

fn trigger(server: &StandIn, more: &[(&str, &str)]) -> Metadata {
    let host = format!("http://user:S3CRET@{}/", server.address);
    let mut pairs = vec![("host", host.as_str()), ("queueName", "a")];
    pairs.extend_from_slice(more);
    pairs.into_iter().collect()
}

fn sources(backend: &RabbitMq, server: &StandIn, names: &[String], more: &[(&str, &str)]) -> Vec<Arc<dyn Source>> {
    let one = |name: &String| {
        let mut pairs = vec![("queueName", name.as_str())];
        pairs.extend_from_slice(more);
        let metadata = trigger(server, &pairs);
        backend.parse("rabbitmq", &mut Reader::new(&metadata), &Reach::open()).unwrap()
    };
    names.iter().map(one).collect()
}

fn listing(names: &[String]) -> String {
    let items: Vec<String> =
        names.iter().map(|name| format!(r#"{{"name":"{name}","messages":2,"messages_ready":1}}"#)).collect();
    format!("[{}]", items.join(","))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("q{n}")).collect()
}

fn is_listing(asked: &Asked) -> bool {
    asked.target.starts_with("/api/queues/%2F?disable_stats")
}

#[tokio::test]
async fn a_thousand_queues_of_one_vhost_are_one_request() {
    let all = names(1000);
    let body = listing(&all);
    let server = StandIn::start(move |_| (200, body.clone())).await;
    let (backend, _) = (RabbitMq::default(), source(&trigger(&server, &[])));
    let sources = sources(&backend, &server, &all, &[]);
    for _ in 0..2 {
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 2.0)));
    }
    assert_eq!(server.asked().len(), 2);
    assert!(server.asked().iter().all(is_listing));
}

#[tokio::test]
async fn a_queue_that_the_listing_does_not_hold_is_missing_and_harms_no_other() {
    let server = StandIn::start(|_| (200, listing(&names(1)))).await;
    let backend = RabbitMq::default();
    let sources = sources(&backend, &server, &["q0".into(), "gone".into()], &[("excludeUnacknowledged", "true")]);
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    assert_eq!(readings[0].as_ref().unwrap().value, 1.0);
    let error = readings[1].as_ref().unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::NotFound, false));
    assert_eq!(
        error.to_string(),
        "queue `gone` does not exist on vhost `/`: create it, or correct `queueName` in the trigger"
    );
}

#[tokio::test]
async fn a_server_that_answers_from_its_statistics_is_asked_for_each_queue() {
    let server = StandIn::start(|asked| {
        let sample = r#"{"name":"q0","messages":2,"messages_details":{"rate":0.0}}"#;
        (200, if is_listing(asked) { format!("[{sample}]") } else { sample.to_owned() })
    })
    .await;
    let backend = RabbitMq::default();
    let sources = sources(&backend, &server, &names(1), &[]);
    for _ in 0..3 {
        assert_eq!(sources[0].read().await.unwrap().value, 2.0);
    }
    let targets: Vec<bool> = server.asked().iter().map(is_listing).collect();
    assert_eq!(targets, [true, false, false, false], "tried once, then believed");
}

#[tokio::test]
async fn one_queue_of_a_huge_vhost_is_not_worth_a_listing() {
    let body = listing(&names(5000));
    let server = StandIn::start(move |asked| {
        (200, if is_listing(asked) { body.clone() } else { r#"{"name":"q0","messages":2}"#.to_owned() })
    })
    .await;
    let backend = RabbitMq::default();
    let few = sources(&backend, &server, &names(1), &[]);
    few[0].read().await.unwrap();
    few[0].read().await.unwrap();
    let many = sources(&backend, &server, &names(200), &[]);
    join_all(many.iter().map(|source| source.read())).await;
    let listings = server.asked().iter().filter(|asked| is_listing(asked)).count();
    assert_eq!((server.asked().len(), listings), (3, 2), "a listing, one queue alone, and a listing for two hundred");
}

#[tokio::test]
async fn all_pages_of_a_pattern_are_read_and_nobody_is_counted_twice() {
    let server = StandIn::start(|asked| {
        let page: usize = asked.target.split("page=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        // A queue made in between has pushed `b` onto the second page.
        let names = [["a", "b"], ["b", "c"], ["d", "e"]][page - 1];
        let items = names.map(|name| format!(r#"{{"name":"{name}","messages":1}}"#)).join(",");
        (200, format!(r#"{{"items":[{items}],"page":{page},"page_count":3}}"#))
    })
    .await;
    let source =
        source(&trigger(&server, &[("useRegex", "true"), ("queueName", "^[a-e] +$"), ("pageSize", "2")])).unwrap();
    assert_eq!(source.read().await.unwrap().value, 5.0);
    assert!(server.asked()[2].target.starts_with(
        "/api/queues/%2F?page=3&use_regex=true&pagination=false&name=%5E%5Ba-e%5D%20%2B%24&page_size=2&disable_stats=true"
    ));
}

#[tokio::test]
async fn a_pattern_without_queues_is_0_and_an_error_if_strict() {
    let server = StandIn::start(|_| (200, r#"{"items":[],"page_count":0}"#.to_owned())).await;
    let pattern = [("useRegex", "true"), ("strict", "true")];
    assert_eq!(source(&trigger(&server, &pattern[..1])).unwrap().read().await.unwrap().value, 0.0);
    let error = source(&trigger(&server, &pattern)).unwrap().read().await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "pattern `a` on vhost `/` does not match any queue: create one, or correct `queueName`"
    );
}

#[tokio::test]
async fn rates_that_a_broker_does_not_keep_are_unknown_and_those_of_a_quiet_queue_are_0() {
    for (stats, expected) in [
        ("", Some(0.0)),
        (r#","message_stats":{}"#, Some(0.0)),
        (r#","message_stats":[]"#, Some(0.0)),
        (r#","message_stats":{"deliver_get":1,"deliver_get_details":{"rate":2.5}}"#, Some(0.0)),
        (r#","message_stats":{"publish":7,"publish_details":{"rate":1.5}}"#, Some(1.5)),
        (r#","message_stats":{"publish":7}"#, None),
        (r#","message_stats":{"publish":7,"publish_details":{}}"#, None),
    ] {
        let server = StandIn::start(move |_| (200, format!(r#"{{"name":"a","messages":0{stats}}}"#))).await;
        let source = source(&trigger(&server, &[("mode", "MessageRate"), ("value", "5")])).unwrap();
        assert_eq!(source.read().await.ok().map(|reading| reading.value), expected, "{stats}");
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    use ReadErrorKind::{BadReply, Denied, NotFound, Unreachable};
    let reason = |reason: &str| format!(r#"{{"error":"x","reason":"{reason}"}}"#);
    for (status, body, kind, text) in [
        (
            401,
            reason("Login failed"),
            Denied,
            "refuses user `user` with 401 Unauthorized, Login failed: correct `username` and `password`, or the user part of `host`",
        ),
        (
            401,
            reason("Not management user"),
            Denied,
            "keeps user `user` from its API: give the user the tag `management`",
        ),
        (
            401,
            reason("User not authorised to access virtual host"),
            Denied,
            "refuses user `user` vhost `/`: grant access to it, no permission in it is needed",
        ),
        (
            404,
            reason("Not Found"),
            NotFound,
            "has no vhost `/`: create it, or correct `vhostName` or the path of `host`",
        ),
        (404, "<html>".to_owned(), NotFound, "has no management API below `/`: correct the path of `host`"),
        (503, "<html>".to_owned(), Unreachable, "answered 503 Service Unavailable: see its log"),
        (
            200,
            "<html>".to_owned(),
            BadReply,
            "answers with a web page: give the management API's own address as `host`",
        ),
        (
            200,
            "OK".to_owned(),
            BadReply,
            "answers with something else than queues: check that `host` is a RabbitMQ management API",
        ),
        (500, reason(r"it broke\u001b[0m\nhere"), Unreachable, "answered 500 Internal Server Error, it broke"),
        (422, reason("no such column"), BadReply, "answered 422 Unprocessable Entity, no such column: see its log"),
    ] {
        let server = StandIn::start(move |_| (status, body.clone())).await;
        let error = source(&trigger(&server, &[])).unwrap().read().await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().starts_with(&format!("`http://{}` {text}", server.address)), "{error}");
        assert!(!error.to_string().contains(['\u{1b}', '\n']), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_at_the_next_look() {
    let tokens = StandIn::start(|_| (200, r#"{"access_token":"t","expires_in":3600}"#.to_owned())).await;
    let api = StandIn::start(|_| (401, String::new())).await;
    let uri = format!("http://{}/", tokens.address);
    let oauth = [("oauthTokenURI", uri.as_str()), ("clientID", "c"), ("clientSecret", "S3CRET"), ("scopes", "r")];
    let source = source(&trigger(&api, &oauth)).unwrap();
    for _ in 0..2 {
        let error = source.read().await.unwrap_err().to_string();
        let place = &api.address;
        let expected = format!(
            "`http://{place}` refuses the token of client `c` with 401 Unauthorized: grant it the scope that reads vhost `/`, see `scopes`"
        );
        assert_eq!(error, expected);
    }
    assert_eq!(tokens.asked().len(), 2);
}

/// Whether there is such a listing only a listing can say.
#[tokio::test]
async fn one_failure_or_foreign_answer_does_not_end_the_listings() {
    let web_page = "<html>hello</html>".to_owned();
    for (status, body) in [
        (500, String::new()),
        (503, web_page.clone()),
        (200, web_page),
        (200, "{}".to_owned()),
        (200, "[{}]".to_owned()),
    ] {
        let fails = Arc::new(AtomicBool::new(true));
        let (failing, foreign) = (Arc::clone(&fails), body.clone());
        let server = StandIn::start(move |asked| {
            if failing.load(Relaxed) {
                (status, foreign.clone())
            } else if is_listing(asked) {
                (200, listing(&names(1)))
            } else {
                (200, r#"{"name":"q0","messages":99}"#.to_owned())
            }
        })
        .await;
        let backend = RabbitMq::default();
        let sources = sources(&backend, &server, &names(1), &[]);
        sources[0].read().await.expect_err("unknown");
        fails.store(false, Relaxed);
        assert_eq!(sources[0].read().await.unwrap().value, 2.0, "{status} {body}");
        assert!(server.asked().iter().all(is_listing), "{status} {body}");
    }
}

#[tokio::test]
async fn an_answer_about_nothing_names_what_was_asked() {
    for body in ["{}", r#"{"name":"other","messages":7}"#, "[]", "null"] {
        let server = StandIn::start(move |_| (200, body.to_owned())).await;
        let error =
            source(&trigger(&server, &[("mode", "MessageRate"), ("value", "5")])).unwrap().read().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`http://{}` answers with something else than queue `a`: check that `host` is a RabbitMQ management API",
                server.address
            )
        );
    }
}

/// As RabbitMQ does for streams: a listing says no more than that they are there.
#[tokio::test]
async fn what_a_light_answer_leaves_out_is_asked_for_in_full() {
    let server = StandIn::start(|asked| {
        let light = asked.target.contains("disable_stats");
        let numbers = if light { "" } else { r#","messages":9,"messages_ready":9"# };
        let (q0, q1) = (r#"{"name":"q0","messages":2,"messages_ready":1}"#, format!(r#"{{"name":"q1"{numbers}}}"#));
        let body = match () {
            () if asked.target.contains("page=") => format!(r#"{{"items":[{q0},{q1}],"page_count":1}}"#),
            () if is_listing(asked) => format!("[{q0},{q1}]"),
            () => q1,
        };
        (200, body)
    })
    .await;
    let backend = RabbitMq::default();
    let both = sources(&backend, &server, &names(2), &[]);
    let readings = join_all(both.iter().map(|source| source.read())).await;
    assert_eq!(readings.into_iter().map(|reading| reading.unwrap().value).collect::<Vec<_>>(), [2.0, 9.0]);
    let pattern = source(&trigger(&server, &[("useRegex", "true"), ("queueName", "q.")])).unwrap();
    assert_eq!(pattern.read().await.unwrap().value, 11.0);
    assert_eq!(server.asked().len(), 4, "a listing and one queue; a page and the same in full");
}

#[tokio::test]
async fn pages_without_end_end() {
    let endless = |page_count: u32| {
        StandIn::start(move |asked| {
            let page = asked.target.split("page=").nth(1).unwrap().split('&').next().unwrap();
            (200, format!(r#"{{"items":[{{"name":"q{page}","messages":1}}],"page_count":{page_count}}}"#))
        })
    };
    let pattern = [("useRegex", "true"), ("queueName", "q."), ("timeout", "60s")];
    let server = endless(u32::MAX).await;
    let error = source(&trigger(&server, &pattern)).unwrap().read().await.unwrap_err();
    let place = &server.address;
    assert_eq!(
        error.to_string(),
        format!(
            "`http://{place}` has more than 1000 pages of queues that match `q.`: match fewer by `queueName`, or raise `pageSize`"
        )
    );
    assert_eq!(server.asked().len(), 1, "it says so itself");
    let server = endless(1000).await;
    assert_eq!(source(&trigger(&server, &pattern)).unwrap().read().await.unwrap().value, 1000.0);
}

/// What nobody waits for any more is not asked for.
#[tokio::test]
async fn pages_are_not_read_on_when_the_asker_has_gone() {
    let (served, mut pages) = tokio::sync::mpsc::unbounded_channel();
    let server = StandIn::start(move |_| {
        served.send(()).ok();
        (200, r#"{"items":[{"name":"q","messages":1}],"page_count":900}"#.to_owned())
    })
    .await;
    let source = source(&trigger(&server, &[("useRegex", "true"), ("timeout", "60s")])).unwrap();
    tokio::select! {
        _ = source.read() => panic!("all pages at once"),
        _ = pages.recv() => {}
    }
    // A look of its own is told afterwards: by then the first one has ended.
    let held = tokio::time::timeout(std::time::Duration::from_secs(60), source.read()).await.expect("ends").unwrap();
    assert_eq!(held.value, 1.0);
    let asked = server.asked().len();
    assert!((900..=905).contains(&asked), "{asked} pages for one look, and the first ones of another");
}
