//! However many triggers ask, a query is asked once per interval; and a push comes from a scrape.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::{
    clock::Clock,
    object::ObjectRef,
    sampler::{Sampler, Settings},
    telemetry::Metrics,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    fixtures::{Target, metadata, registry, server, until},
    stand_in::StandIn,
};
use plimsoll::net::Reach;

const OBJECT: ObjectRef<&str> = ObjectRef { namespace: "shop", name: "worker" };

fn sampler() -> Sampler {
    let registry = registry();
    let metrics = Arc::new(Metrics::new(registry.scaler_types()));
    Sampler::new(registry, Settings::default(), Clock::system(), metrics)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_triggers_on_fifty_queries_cost_fifty_requests_per_interval() {
    let stand_in = StandIn::new().await;
    let sampler = sampler();
    let triggers: Vec<_> = (0..1000)
        .map(|n| {
            let (query, threshold) = (format!("q{}", n % 50), format!("{}", n + 1));
            let more = [("threshold", threshold.as_str()), ("pollingInterval", "1s")];
            metadata(&stand_in.address, &query, &more)
        })
        .collect();
    let ask_all = || join_all(triggers.iter().map(|trigger| sampler.sample(OBJECT, trigger)));
    assert!(ask_all().await.iter().all(Result::is_ok));
    // From just after one tick to just after the tenth after it: ten intervals of 50 requests.
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let into_second = Duration::from_nanos(wall.subsec_nanos().into());
    let start = Instant::now() + Duration::from_millis(1500) - into_second;
    sleep_until(start).await;
    let before = stand_in.asked().len();
    sleep_until(start + Duration::from_secs(10)).await;
    let asked = stand_in.asked().split_off(before);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for request in &asked {
        let query = request.target.split_once('?').unwrap().1.split('&').next().unwrap().to_owned();
        *counts.entry(query).or_default() += 1;
    }
    assert_eq!(counts.len(), 50);
    // A tick on a busy machine may take longer than askers wait for each other: then a query is asked twice. Unshared
    // they would be 10,000.
    assert!((500..=525).contains(&asked.len()), "{} requests: {counts:?}", asked.len());
    assert!(ask_all().await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_questions_of_one_moment_are_one_request_and_other_tenants_are_other_questions() {
    let stand_in = StandIn::new().await;
    let registry = registry();
    let parse = |more: &[(&str, &str)]| {
        let metadata = metadata(&stand_in.address, "up", more);
        plimsoll::trigger::Trigger::parse(&registry, &metadata, &Reach::open(), Duration::from_secs(5)).unwrap().source
    };
    let sources: Vec<_> = ["1", "2", "3"]
        .into_iter()
        .flat_map(|target| {
            [parse(&[("threshold", target)]), parse(&[("threshold", target), ("customHeaders", "X-Scope-OrgID=a")])]
        })
        .collect();
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 5.0)));
    assert_eq!(stand_in.asked().len(), 2);
    assert_ne!(sources[0].connection(), sources[1].connection());
    assert_eq!(sources[0].connection(), sources[2].connection());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_trigger_becomes_active_with_the_scrape_not_with_its_polling_interval() {
    let target = Target::new("jobs 0\n").await;
    let query = target.series("jobs");
    until(&server(), &format!("count({query})"), &[], 1.0).await;
    let sampler = sampler();
    let trigger = metadata(&server(), &query, &[("pollingInterval", "1h"), ("idlePollingInterval", "1s")]);
    let mut states = sampler.subscribe(OBJECT, &trigger).unwrap();
    while states.state().sample.is_none() {
        assert!(states.changed().await);
    }
    target.show("jobs 1\n");
    let active = async {
        while !states.state().sample.is_some_and(|sample| sample.reading.active) {
            assert!(states.changed().await);
        }
    };
    timeout(Duration::from_secs(20), active).await.expect("a scrape and an idle look are two seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_questions_of_one_moment_queue_up_and_all_are_answered() {
    let (server, registry) = (server(), registry());
    let sources: Vec<_> = (0..300)
        .map(|n| {
            let metadata = metadata(&server, &format!("vector({n})"), &[("timeout", "20s")]);
            plimsoll::trigger::Trigger::parse(&registry, &metadata, &Reach::open(), Duration::from_secs(5))
                .unwrap()
                .source
        })
        .collect();
    let readings = join_all(sources.iter().map(|source| source.read())).await;
    for (n, reading) in readings.into_iter().enumerate() {
        assert_eq!(reading.map(|reading| reading.value.to_string()), Ok(n.to_string()));
    }
}
