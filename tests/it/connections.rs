//! Logins from named connections: where they go, how they change under a trigger that is being read, and who may use them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plimsoll::{
    credentials::{Credentials, Named},
    metadata::{Metadata, Parameter, Parameters},
    object::ObjectRef,
    sampler::Settings,
};
use tokio::time::sleep;

use crate::scripted::{Act, Bench, WALL, trigger};

const SECOND: Duration = Duration::from_secs(1);

fn named(pairs: &[(&str, &str)], namespaces: Option<&[&str]>) -> Named {
    let parameters = pairs.iter().map(|(name, value)| (*name, Parameter::new(*value, "the config file")));
    Named {
        scaler_types: &["scripted"],
        parameters: Arc::new(parameters.collect::<Parameters>()),
        namespaces: namespaces.map(|list| list.iter().map(|name| (*name).to_owned()).collect()),
    }
}

fn replace(credentials: &Credentials, connections: &[(&str, Named)]) {
    let connections: BTreeMap<Arc<str>, Named> =
        connections.iter().map(|(name, named)| (Arc::from(*name), named.clone())).collect();
    credentials.connections.replace(connections);
}

fn bench(connections: &[(&str, Named)]) -> (Bench, Credentials) {
    let credentials = Credentials::default();
    replace(&credentials, connections);
    let settings = Settings { credentials: credentials.clone(), ..Settings::default() };
    (Bench::with(settings, std::time::SystemTime::UNIX_EPOCH + WALL), credentials)
}

fn of(connection: &str) -> Metadata {
    trigger(&[("queue", "orders"), ("connection", connection), ("pollingInterval", "1s")])
}

fn warnings(bench: &Bench) -> Vec<String> {
    bench.sampler.triggers().into_iter().flat_map(|view| view.warnings).collect()
}

#[tokio::test(start_paused = true)]
async fn a_trigger_has_the_address_and_the_login_of_its_connection() {
    let (bench, _) = bench(&[("main", named(&[("host", "b1"), ("password", "one")], None))]);
    bench.world.lock("b1", "one");
    bench.world.queue("orders").set(Act::Value(3.0));
    assert_eq!(bench.value(&of("main")).await, Ok(3.0));
    assert!(warnings(&bench).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_changed_login_is_in_use_within_an_interval_and_no_sample_fails() {
    let (bench, credentials) = bench(&[("main", named(&[("host", "b1"), ("password", "one")], None))]);
    bench.world.lock("b1", "one");
    bench.world.queue("orders").set(Act::Value(3.0));
    for password in ["two", "three", "four"] {
        assert_eq!(bench.value(&of("main")).await, Ok(3.0));
        // Both the file and the broker change; the broker asks who comes anew.
        replace(&credentials, &[("main", named(&[("host", "b1"), ("password", password)], None))]);
        bench.world.lock("b1", password);
        sleep(2 * SECOND).await;
        assert_eq!(bench.value(&of("main")).await, Ok(3.0));
        assert_eq!(bench.world.live_clients(), 1, "the old one is closed");
        assert_eq!(bench.sampler.connections(), 1);
    }
    assert_eq!(bench.sampler.failing_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_a_changed_login_does_not_work_the_former_one_stays_in_use() {
    let (bench, credentials) = bench(&[("main", named(&[("host", "b1"), ("password", "one")], None))]);
    bench.world.lock("b1", "one");
    let queue = bench.world.queue("orders");
    queue.set(Act::Value(3.0));
    assert_eq!(bench.value(&of("main")).await, Ok(3.0));
    replace(&credentials, &[("main", named(&[("host", "b1"), ("password", "two")], None))]);
    for _ in 0..20 {
        sleep(SECOND).await;
        assert_eq!(bench.value(&of("main")).await, Ok(3.0));
    }
    let warned = warnings(&bench);
    assert!(
        warned.iter().any(|text| text.contains("a changed login is not in use: `b1` refuses the login")),
        "{warned:?}"
    );
    // A login that fails is not tried at every look: the broker may lock us out.
    assert!(queue.reads().len() < 30, "{}", queue.reads().len());
    bench.world.lock("b1", "two");
    sleep(2 * SECOND).await;
    assert_eq!(bench.value(&of("main")).await, Ok(3.0));
    assert!(warnings(&bench).is_empty());
    assert_eq!(bench.world.live_clients(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_of_the_config_is_as_old_as_the_last_reading_of_it() {
    let login = || named(&[("host", "b1"), ("password", "one")], None);
    let (bench, credentials) = bench(&[("main", login())]);
    let told = || {
        let views = bench.sampler.connection_views();
        let [credential] = views[0].credentials.as_slice() else { panic!("one: {views:#?}") };
        (credential.source.clone(), credential.read_at.unwrap())
    };
    bench.value(&of("main")).await.unwrap();
    let (source, first) = told();
    assert_eq!(source, "connection `main`");
    sleep(60 * SECOND).await;
    bench.value(&of("main")).await.unwrap();
    assert_eq!(told().1, first, "nobody has read the file again");
    replace(&credentials, &[("main", login())]);
    assert!((told().1 - first - 60.0).abs() < 1.0, "whatever it says now");
}

#[tokio::test(start_paused = true)]
async fn equal_logins_are_one_connection_whatever_they_are_called() {
    let login = named(&[("host", "b1"), ("password", "one")], None);
    let (bench, _) = bench(&[("main", login.clone()), ("other", login)]);
    bench.value(&of("main")).await.unwrap();
    bench.value(&of("other")).await.unwrap();
    assert_eq!((bench.world.live_clients(), bench.sampler.connections()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_trigger_says_besides_must_not_be_another_thing() {
    let (bench, _) = bench(&[("main", named(&[("host", "b1"), ("password", "one")], None))]);
    for (host, right) in [("b1", true), ("b2", false)] {
        let metadata = trigger(&[("queue", "orders"), ("connection", "main"), ("host", host)]);
        let answer = bench.value(&metadata).await;
        assert_eq!(answer.is_ok(), right, "{answer:?}");
        if let Err(text) = answer {
            assert_eq!(text, "`host` is not what the connection `main` says: take it away, or use another connection");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_for_the_namespaces_that_it_names_and_tells_others_nothing() {
    let (bench, _) = bench(&[("main", named(&[], Some(&["bank"]))), ("open", named(&[], None))]);
    let error = bench.value(&of("main")).await.unwrap_err();
    assert_eq!(error, "`connection` names `main`, which is not a connection of this namespace: use one of `open`");
    let error = bench.value(&of("nothing\nelse")).await.unwrap_err();
    assert!(error.starts_with("`connection` names `nothing else`, which is not"), "{error}");
    let bank = ObjectRef { namespace: "bank", name: "orders" };
    assert!(bench.sampler.sample(bank, &of("main")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_metric_is_there_whatever_becomes_of_the_connection() {
    let (bench, credentials) = bench(&[]);
    let object = ObjectRef { namespace: "shop", name: "orders" };
    assert_eq!(bench.sampler.metric(object, &of("main")).unwrap().name, "scripted-orders");
    let error = bench.value(&of("main")).await.unwrap_err();
    assert!(error.ends_with("and the server has no named connections: give it some with `--config`"), "{error}");
    replace(&credentials, &[("main", named(&[("host", "b1")], None))]);
    assert_eq!(bench.value(&of("main")).await, Ok(0.0));
    replace(&credentials, &[]);
    assert_eq!(bench.sampler.metric(object, &of("main")).unwrap().name, "scripted-orders");
    assert!(bench.value(&of("main")).await.is_err());
}
