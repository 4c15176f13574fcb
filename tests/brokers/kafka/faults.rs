//! Brokers that go, come back, move their leaders or hang: no wrong value, and only those who need them notice.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::{
    backend::kafka::{
        client::{Client, Query, Topics},
        connection::{Connection, Login, Sasl},
    },
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::{Reach, Rules},
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    fixtures::{Cluster, Frozen, address, brief, forward, plain, query, read, restart, unique},
    stand_in::StandIn,
    three::{coordinators, three_to_break, whole},
};

/// What the sampler gives a read.
const DEADLINE: Duration = Duration::from_secs(5);
/// Enough on the busiest machine for what comes in the end.
const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 6;

type Brief = Vec<(i32, Option<i64>, Option<i64>)>;

async fn look(client: &Client, query: &Query) -> Result<Brief, ReadError> {
    match timeout(DEADLINE, client.read(Arc::new(query.clone()))).await {
        Ok(offsets) => offsets.map(|offsets| brief(&offsets)),
        Err(_) => Err(ReadError::new(ReadErrorKind::Timeout, "the caller's deadline")),
    }
}

/// Looks until the answer is right.
async fn until(client: &Client, query: &Query, is_right: impl Fn(&Result<Brief, ReadError>) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = look(client, query).await;
        if is_right(&answer) {
            return;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A hundred groups with known commits on a replicated topic.
async fn hundred_groups(cluster: &Cluster) -> (Vec<Query>, Brief) {
    let topic = unique("rolling");
    cluster.create_replicated(&topic, PARTITIONS, 3).await;
    for partition in 0..PARTITIONS {
        cluster.produce(&topic, partition, 5).await;
    }
    let groups: Vec<String> = (0..100).map(|i| format!("{topic}-{i}")).collect();
    let commits: Vec<_> = (0..PARTITIONS).map(|partition| (&*topic, partition, 2)).collect();
    for groups in groups.chunks(10) {
        join_all(groups.iter().map(|group| cluster.commit(group, &commits))).await;
    }
    let expected = (0..PARTITIONS).map(|partition| (partition, Some(2), Some(5))).collect();
    (groups.iter().map(|group| query(group, &[&topic])).collect(), expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_shows_no_wrong_value_and_no_lasting_error() {
    let (cluster, _guard) = three_to_break().await;
    let (queries, expected) = hundred_groups(&cluster).await;
    let client = cluster.client();
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let restarting = async {
        for node in ["kafka-3-1", "kafka-3-2", "kafka-3-3"] {
            restart(node).await;
            // As an operator does: the next one goes when this one is in sync.
            whole().await;
        }
    };
    tokio::pin!(restarting);
    let (mut rounds, mut failing_since, mut longest) = (0, None::<Instant>, Duration::ZERO);
    let mut over = false;
    // Two good rounds more when all is done.
    let mut good_at_end = 0;
    while good_at_end < 2 {
        tokio::select! {
            () = &mut restarting, if !over => { over = true; continue }
            _ = clock.tick() => {}
        }
        let begun = Instant::now();
        let answers = tokio::select! {
            () = &mut restarting, if !over => { over = true; continue }
            answers = join_all(queries.iter().map(|query| look(&client, query))) => answers,
        };
        rounds += 1;
        let mut errors: Vec<String> = Vec::new();
        for answer in answers {
            match answer {
                Ok(offsets) => assert_eq!(offsets, expected, "a wrong value in round {rounds}"),
                Err(error) => errors.push(error.to_string()),
            }
        }
        if errors.is_empty() {
            failing_since = None;
            good_at_end += i32::from(over);
        } else {
            let since = *failing_since.get_or_insert(begun);
            longest = longest.max(since.elapsed());
            errors.sort();
            errors.dedup();
        }
        assert!(longest < Duration::from_secs(15), "failing for {longest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_delays_only_those_who_need_it() {
    let (cluster, _guard) = three_to_break().await;
    // One partition each, on one broker.
    let topics: Vec<String> = (0..12).map(|_| unique("frozen")).collect();
    cluster.create_many(&topics.iter().map(String::as_str).collect::<Vec<_>>(), 1, 1).await;
    let on = |broker: i32| topics.iter().find(|topic| cluster.leaders(topic) == [broker]);
    let (frozen, hit, spared) = [(1, 2), (2, 3), (3, 1)]
        .into_iter()
        .find_map(|(frozen, other)| Some((frozen, on(frozen)?, on(other)?)))
        .expect("twelve topics are on more than one broker");
    // As many groups as it takes to have some with their coordinator on that broker and some without.
    let (mut needing, mut others) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let groups: Vec<String> = (0..20).map(|_| unique("frozen")).collect();
        for (group, coordinator) in groups.iter().zip(coordinators(&groups).await) {
            if coordinator == frozen { &mut needing } else { &mut others }.push(query(group, &[spared]));
        }
        if needing.len() >= 3 && others.len() >= 10 {
            break;
        }
    }
    assert!(needing.len() >= 3 && others.len() >= 10, "{} on broker {frozen}, {} not", needing.len(), others.len());
    let hit = query(&others[0].group, &[hit]);
    let client = cluster.client();
    for answer in join_all([&hit].into_iter().chain(&needing).chain(&others).map(|query| look(&client, query))).await {
        answer.unwrap();
    }

    let frozen = Frozen::new(&format!("kafka-3-{frozen}"));
    let timed = |query: &Query| {
        let (client, query, begun) = (&client, query.clone(), Instant::now());
        async move { (look(client, &query).await, begun.elapsed()) }
    };
    let (delayed, unharmed) =
        tokio::join!(join_all([&hit].into_iter().chain(&needing).map(timed)), join_all(others.iter().map(timed)));
    drop(frozen);
    let mut soonest = DEADLINE;
    for (answer, took) in delayed {
        let error = answer.unwrap_err();
        assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Timeout, false), "{error}");
        assert!(error.to_string().contains("does not answer"), "{error}");
        soonest = soonest.min(took);
    }
    for (answer, took) in unharmed {
        answer.unwrap();
        assert!(took < soonest / 2, "{took:?}, those who need it had to wait {soonest:?}");
    }
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = look(&client, &hit).await {
        assert!(Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn new_partitions_are_seen_by_the_next_look() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_3", "PLIMSOLL_TEST_KAFKA_OLD"] {
        let cluster = Cluster::at(variable).await;
        let (topic, group) = (unique("grows"), unique("grows"));
        cluster.create(&topic, 1).await;
        cluster.commit(&group, &[(&topic, 0, 0)]).await;
        let client = cluster.client();
        let named = query(&group, &[&topic]);
        let all = Query { topics: Topics::All, ..named.clone() };
        for query in [&named, &all] {
            assert_eq!(read(&client, query).await.len(), 1, "{variable}");
        }
        // Until every broker knows them.
        cluster.add_partitions(&topic, 4).await;
        for partition in 1..4 {
            cluster.produce(&topic, partition, 10).await;
        }
        // The shortest polling interval that is sensible.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for query in [&named, &all] {
            let offsets = brief(&read(&client, query).await);
            let grown = [(0, Some(0), Some(0)), (1, None, Some(10)), (2, None, Some(10)), (3, None, Some(10))];
            assert_eq!(offsets, grown, "{variable}");
        }
    }
}

#[tokio::test]
async fn a_topic_made_anew_is_read_anew() {
    for variable in ["PLIMSOLL_TEST_KAFKA", "PLIMSOLL_TEST_KAFKA_OLD"] {
        let cluster = Cluster::at(variable).await;
        let topic = unique("anew");
        cluster.create(&topic, 2).await;
        cluster.produce(&topic, 0, 7).await;
        let client = cluster.client();
        let query = query("group", &[&topic]);
        assert_eq!(read(&client, &query).await.len(), 2);
        cluster.delete(&topic).await;
        // A broker drops the log some moments after the cluster has dropped the topic.
        let gone = |answer: &Result<Brief, ReadError>| {
            answer
                .as_ref()
                .is_err_and(|error| error.kind == ReadErrorKind::NotFound && error.to_string().contains(&topic))
        };
        until(&client, &query, gone).await;
        cluster.create(&topic, 1).await;
        until(&client, &query, |answer| answer.as_ref().is_ok_and(|offsets| *offsets == [(0, None, Some(0))])).await;
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_at_once() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let begun = Instant::now();
    let error = |servers: &str| {
        let client = Client::new(plain(servers));
        async move { client.read(query("group", &["topic"]).into()).await.unwrap_err() }
    };
    let refused = error(&closed).await;
    assert_eq!(refused.kind, ReadErrorKind::Unreachable);
    assert!(refused.whole_connection);
    assert!(refused.to_string().contains(&closed) && refused.to_string().contains("connection refused"), "{refused}");
    let unresolved = error("no-such-broker.invalid:9092").await;
    assert!(
        unresolved.to_string().contains("`no-such-broker.invalid:9092` cannot be reached: its name has no address"),
        "{unresolved}"
    );
    let both = error(&format!("{closed},no-such-broker.invalid:9092")).await;
    assert!(both.to_string().contains(&closed) && both.to_string().contains("no-such-broker"), "{both}");
    let no_port = error("localhost").await;
    assert!(no_port.to_string().contains("host:port"), "{no_port}");
    // Far less than the half minute for which librdkafka keeps silent.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_good_bootstrap_server_is_enough() {
    let good = address("PLIMSOLL_TEST_KAFKA");
    let cluster = Cluster::new(&good);
    let topic = unique("bootstrap");
    cluster.create(&topic, 1).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for bad in ["127.0.0.1:1", "no-such-broker.invalid:9092", &silent.local_addr().unwrap().to_string()] {
        // In any order.
        for _ in 0..4 {
            let client = Client::new(plain(&format!("{bad},{good}")));
            assert_eq!(read(&client, &query("group", &[&topic])).await.len(), 1, "{bad}");
        }
    }
}

#[tokio::test]
async fn who_accepts_and_never_answers_is_given_three_seconds() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(plain(&silent.local_addr().unwrap().to_string()));
    let begun = Instant::now();
    let error = client.read(query("group", &["topic"]).into()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Timeout);
    assert!(error.to_string().contains("does not answer within"), "{error}");
    // And to whoever is busy some more.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // While it rests, the same is said at once and in the same words.
    let again = client.read(query("group", &["topic"]).into()).await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}

#[tokio::test]
async fn what_once_worked_and_then_hangs_up_is_not_told_to_be_configured_otherwise() {
    for sasl in [None, Some(Sasl::Plain(Login { username: "user".into(), password: Secret::new("secret") }))] {
        let broker = StandIn::start(None).await;
        let client = Client::new(Connection { sasl, ..plain(&broker.address) });
        let read = || async { client.read(query("group", &["topic"]).into()).await.unwrap_err() };
        let worked = read().await;
        assert_eq!(worked.kind, ReadErrorKind::NotFound, "{worked}");
        broker.slam();
        for _ in 0..5 {
            let error = read().await;
            assert_eq!(error.kind, ReadErrorKind::Unreachable, "{error}");
            assert!(!error.to_string().contains("`tls") && !error.to_string().contains("`sasl`"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_advertised_address_that_the_rules_forbid_is_named_with_the_rule() {
    let broker = address("PLIMSOLL_TEST_KAFKA");
    let (cluster, topic) = (Cluster::new(&broker), unique("forbidden"));
    cluster.create(&topic, 1).await;
    // Allowed by its own address, but the brokers advertise another one.
    let bootstrap = forward("127.0.0.2:0", broker.clone()).await;
    let deny = vec!["127.0.0.1".parse().unwrap()];
    let reach = Reach::new(Rules { deny, loopback: true, ..Rules::default() });
    let client = Client::new(Connection { reach, ..plain(&bootstrap) });
    let query = query("group", &[&topic]);
    for _ in 0..2 {
        let error = client.read(query.clone().into()).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Denied, "{error}");
        let says = format!("the cluster advertises `{broker}`, and `127.0.0.1` may not be reached");
        assert!(error.to_string().starts_with(&says) && error.to_string().contains("`deny`"), "{error}");
    }
}
