//! What active triggers cost KEDA: each `true` is a request of its operator to the API server.

use std::time::Duration;

use futures::StreamExt;
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at, sleep_until},
};

use crate::{
    broker,
    fleet::{object, redis_trigger},
    process::Process,
    redis,
    report::{Must, Report},
};

const LISTS: usize = 1_000;
/// KEDA's default.
const POLL: Duration = Duration::from_secs(30);
/// By then each rise has been said at once, after 1 s and after 5 s.
const SAID: Duration = Duration::from_secs(10);
const MINUTES: u32 = 2;

/// Pushes a minute of triggers that stay active and are polled, each at a moment of its own.
pub async fn of_active_triggers(report: &mut Report) {
    println!("pushes: {LISTS} active lists with a stream each, polled every {POLL:?}, over {MINUTES} minutes");
    let address = broker("PLIMSOLL_TEST_REDIS");
    let mut writer = redis::connect(&address).await;
    let lists: Vec<String> = (0..LISTS).map(|n| format!("bench-pushes-{n}")).collect();
    for list in &lists {
        redis::push(&mut writer, list).await;
    }
    let server = Process::start(&[]);
    let (channel, begin) = (server.channel(), Instant::now());
    let mut objects = JoinSet::new();
    for (n, list) in lists.iter().enumerate() {
        let metadata = redis_trigger(&address, list);
        let mut keda = object(&channel, n, &metadata);
        let first_poll = begin + POLL.mul_f64(n as f64 / LISTS as f64);
        objects.spawn(async move {
            let mut stream = keda.stream().await.expect("opens");
            let mut polls = interval_at(first_poll, POLL);
            loop {
                tokio::select! {
                    word = stream.next() => assert!(word.expect("open").expect("no error").result),
                    _ = polls.tick() => assert!(keda.poll().await.expect("answers").active),
                }
            }
        });
    }
    sleep_until(begin + SAID).await;
    let early = pushes(&server);
    sleep_until(begin + SAID + MINUTES * Duration::from_secs(60)).await;
    let later = pushes(&server) - early;
    assert!(objects.try_join_next().is_none(), "every stream is open and every poll was answered");
    redis::delete(&mut writer, &lists).await;
    report.add("pushes in the first 10 s of 1,000 rises", early, "", Must::Nothing);
    report.add("pushes a minute after them, polled every 30 s", later / f64::from(MINUTES), "", Must::AtMost(5.0));
}

fn pushes(server: &Process) -> f64 {
    server.series("plimsoll_pushes_total")
}
