//! Five backends with 1,000 triggers each, and work that stays: 7 pieces at every second source, none at the others.

use std::{fs, path::PathBuf};

use axum::{Router, routing::get};
use futures::{StreamExt, stream};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    broker,
    fleet::{Metadata, redis_trigger},
    kafka::{self, Topics},
    prometheus,
    rabbitmq::{self, Writer},
    redis, sqs,
};

/// Triggers of each backend.
pub const TRIGGERS: usize = 1_000;
const WORK: usize = 7;
const TOPICS: usize = 10;
const QUEUES: usize = 10;
const QUERIES: usize = 50;

/// A trigger, and how much work waits for it all the time.
pub struct Held {
    pub metadata: Metadata,
    pub work: usize,
}

/// All of them, and what has to be taken away afterwards.
pub struct World {
    pub held: Vec<Held>,
    topics: Topics,
    queues: (Vec<String>, Writer),
    target: Target,
}

impl World {
    pub async fn make() -> Self {
        let mut held = Vec::new();
        let topics = kafka_groups(&mut held).await;
        let queues = rabbitmq_queues(&mut held).await;
        sqs_queues(&mut held).await;
        redis_lists(&mut held).await;
        let target = Target::scraped(&mut held).await;
        Self { held, topics, queues, target }
    }

    pub async fn clear(self) {
        self.topics.delete(&broker("PLIMSOLL_TEST_KAFKA")).await;
        let (queues, writer) = self.queues;
        writer.delete(&queues).await;
        fs::remove_file(self.target.file).ok();
    }
}

fn work(n: usize) -> usize {
    if n.is_multiple_of(2) { WORK } else { 0 }
}

/// 100 groups on 10 topics.
async fn kafka_groups(held: &mut Vec<Held>) -> Topics {
    let servers = broker("PLIMSOLL_TEST_KAFKA");
    let topics = Topics::create(&servers, "bench-soak", TOPICS, 1).await;
    let producer = kafka::producer(&servers);
    for (n, topic) in topics.names.iter().enumerate() {
        for _ in 0..work(n) {
            kafka::produce(&producer, topic).await;
        }
    }
    let groups: Vec<String> = (0..TRIGGERS / TOPICS).map(|n| format!("{}-{n}", topics.names[0])).collect();
    stream::iter(&groups).for_each_concurrent(8, |group| topics.commit(&servers, group, TOPICS, 0)).await;
    for group in &groups {
        for (n, topic) in topics.names.iter().enumerate() {
            held.push(Held { metadata: kafka::trigger(&servers, group, topic), work: work(n) });
        }
    }
    topics
}

/// A queue for each trigger.
async fn rabbitmq_queues(held: &mut Vec<Held>) -> (Vec<String>, Writer) {
    let (address, writer) = (broker("PLIMSOLL_TEST_RABBITMQ"), Writer::connect().await);
    let queues = writer.declare("bench-soak", TRIGGERS).await;
    for (n, queue) in queues.iter().enumerate() {
        for _ in 0..work(n) {
            writer.publish(queue).await;
        }
        held.push(Held { metadata: rabbitmq::trigger(&address, queue), work: work(n) });
    }
    (queues, writer)
}

/// 10 queues, each with 100 targets.
async fn sqs_queues(held: &mut Vec<Held>) {
    let (writer, run) = (sqs::writer(), std::process::id());
    for n in 0..QUEUES {
        let url = sqs::create(&writer, &format!("bench-soak-{run}-{n}")).await;
        for _ in 0..work(n) {
            writer.send_message().queue_url(&url).message_body("work").send().await.expect("sent");
        }
        for target in 1..=TRIGGERS / QUEUES {
            held.push(Held { metadata: sqs::trigger(&url, target), work: work(n) });
        }
    }
}

/// A list for each trigger.
async fn redis_lists(held: &mut Vec<Held>) {
    let address = broker("PLIMSOLL_TEST_REDIS");
    let mut writer = redis::connect(&address).await;
    let lists: Vec<String> = (0..TRIGGERS).map(|n| format!("bench-soak-{n}")).collect();
    redis::delete(&mut writer, &lists).await;
    for (n, list) in lists.iter().enumerate() {
        for _ in 0..work(n) {
            redis::push(&mut writer, list).await;
        }
        held.push(Held { metadata: redis_trigger(&address, list), work: work(n) });
    }
}

/// What Prometheus scrapes each second: a series for each query.
struct Target {
    file: PathBuf,
    _serving: JoinSet<()>,
}

impl Target {
    /// 50 queries, each with 20 thresholds.
    async fn scraped(held: &mut Vec<Held>) -> Self {
        let folder = broker("PLIMSOLL_TEST_PROMETHEUS_TARGETS");
        let page: String = (0..QUERIES).map(|n| format!("bench_soak_jobs{{n=\"{n}\"}} {}\n", work(n))).collect();
        let app = Router::new().route("/metrics", get(move || async move { page }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.expect("serves") });
        let run = format!("bench-{}", std::process::id());
        let file = PathBuf::from(folder).join(format!("{run}.json"));
        let entry = format!(r#"[{{"targets": ["{address}"], "labels": {{"test": "{run}"}}}}]"#);
        // Renamed into place: Prometheus must not see half a file.
        fs::write(file.with_extension("new"), entry).expect("written");
        fs::rename(file.with_extension("new"), &file).expect("in place");
        for n in 0..QUERIES {
            let query = format!(r#"sum(bench_soak_jobs{{test="{run}",n="{n}"}})"#);
            for threshold in 1..=TRIGGERS / QUERIES {
                let metadata = prometheus::trigger(&query, threshold);
                held.push(Held { metadata, work: work(n) });
            }
        }
        Self { file, _serving: serving }
    }
}
