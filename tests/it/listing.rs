//! Which triggers are shown, in which order: filters, sorting and pages, at the server.

use plimsoll::{
    object::ObjectRef,
    sampler::{Query, Sort, Standing},
};

use crate::scripted::{Act, Bench, missing, trigger};

/// 25 triggers of two namespaces, every fifth of which fails, and one that is refused.
async fn bench() -> Bench {
    let bench = Bench::new();
    let names: Vec<String> = (0..25).map(|n| format!("q{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let act = if n % 5 == 0 { missing() } else { Act::Value((n % 7) as f64) };
        bench.world.queue(name).set(act);
        let object = ObjectRef { namespace: if n % 2 == 0 { "even" } else { "odd" }, name: "orders" };
        let host = if n < 20 { "host" } else { "other-host" };
        bench.sampler.sample(object, &trigger(&[("queue", name), ("host", host)])).await.ok();
    }
    let refused = trigger(&[("threshold", "x"), ("queue", "q25")]);
    bench.sampler.sample(ObjectRef { namespace: "odd", name: "orders" }, &refused).await.unwrap_err();
    bench
}

fn metrics(bench: &Bench, query: Query) -> Vec<String> {
    bench.sampler.listing(&query).triggers.into_iter().map(|row| row.metric).collect()
}

fn all() -> Query {
    Query { limit: 1000, ..Query::default() }
}

#[tokio::test(start_paused = true)]
async fn pages_have_every_row_once_in_order() {
    let bench = bench().await;
    let whole = metrics(&bench, all());
    assert_eq!(whole.len(), 26);
    for sort in [Sort::Came, Sort::Name, Sort::State, Sort::Value, Sort::Replicas, Sort::Age] {
        for descending in [false, true] {
            let ordered = Query { sort, descending, ..all() };
            let whole = bench.sampler.ids(&ordered).0;
            let mut walked = Vec::new();
            for offset in (0..40).step_by(7) {
                let page = bench.sampler.listing(&Query { offset, limit: 7, ..ordered.clone() });
                assert_eq!(page.total, 26);
                walked.extend(page.triggers.iter().map(|row| row.id));
            }
            assert_eq!(walked, whole, "{sort:?} {descending}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn filters_are_by_place_by_standing_and_by_text() {
    let bench = bench().await;
    let count = |query: Query| metrics(&bench, query).len();
    let namespace = |name: &str| Query { namespace: Some(name.to_owned()), ..all() };
    assert_eq!((count(namespace("odd")), count(namespace("even")), count(namespace("none"))), (13, 13, 0));
    let failing = Query { standings: vec![Standing::Failing, Standing::Refused], ..all() };
    assert_eq!(
        metrics(&bench, failing.clone()),
        ["scripted-q0", "scripted-q5", "scripted-q10", "scripted-q15", "scripted-q20", "plimsoll-scripted"]
    );
    let counts = bench.sampler.listing(&failing).counts.standings;
    assert_eq!((counts["failing"], counts["refused"], counts["active"], counts["idle"]), (5, 1, 17, 3), "of all");
    assert_eq!(count(Query { namespace: Some("even".to_owned()), ..failing }), 3);
    assert_eq!(count(Query { scaler_type: Some("kafka".to_owned()), ..all() }), 0);
    let text = |text: &str| count(Query { text: Some(text.to_owned()), ..all() });
    assert_eq!(
        (text("Q24"), text("queue is not there"), text("even/ORDERS"), text("other-host"), text("threshold")),
        (1, 5, 13, 5, 1)
    );
    let connection =
        bench.sampler.connection_views().into_iter().find(|view| view.place == "scripted://other-host").unwrap();
    assert_eq!(count(Query { connection: Some(connection.id), ..all() }), connection.triggers);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_comes_last_whichever_way_the_others_stand() {
    let bench = bench().await;
    for descending in [false, true] {
        let rows = bench.sampler.listing(&Query { sort: Sort::Value, descending, ..all() }).triggers;
        let values: Vec<Option<f64>> = rows.iter().map(|row| row.value).collect();
        assert!(values[20..].iter().all(Option::is_none) && values[..20].iter().all(Option::is_some), "{values:?}");
        assert!(values[..20].windows(2).all(|pair| if descending { pair[0] >= pair[1] } else { pair[0] <= pair[1] }));
    }
    let rows = bench.sampler.listing(&Query { sort: Sort::State, ..all() }).triggers;
    assert_eq!((rows[0].state, rows[1].state, rows[25].state), (Standing::Refused, Standing::Failing, Standing::Idle));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_any_more_is_stale_and_not_idle() {
    let bench = Bench::new();
    bench.world.queue("a").set(Act::Value(3.0));
    bench.value(&trigger(&[("queue", "a")])).await.unwrap();
    let row = |bench: &Bench| bench.sampler.triggers().remove(0);
    assert_eq!((row(&bench).state, row(&bench).stale), (Standing::Active, false));
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    let stale = row(&bench);
    assert_eq!((stale.state, stale.stale, stale.value), (Standing::Stale, true, Some(3.0)));
}
