//! Many triggers with open streams, and how fast and at what cost they are woken.

use std::time::{Duration, Instant};

use futures::{StreamExt, future::join_all, stream};
use rdkafka::producer::FutureProducer;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tonic::{Status, transport::Channel};

use crate::{
    broker,
    emulator::{Keda, Poll},
    host::{connections, cpu_seconds},
    kafka::{self, Topics},
    process::Process,
    redis,
    report::{Must, Report, percentile},
};

pub type Metadata = Vec<(&'static str, String)>;

/// Triggers of one server, each with an open stream; knows which was pushed and when.
pub struct Fleet {
    pushes: mpsc::UnboundedReceiver<(usize, Instant)>,
    _streams: tokio::task::JoinSet<()>,
}

impl Fleet {
    /// Opens a stream for each trigger on one connection and waits until every one has been read and is idle.
    pub async fn open(server: &Process, triggers: Vec<Metadata>) -> Self {
        let channel = server.channel();
        let (pushed, pushes) = mpsc::unbounded_channel();
        let already = known(server);
        let count = triggers.len();
        let opened: Vec<_> = stream::iter(triggers.into_iter().enumerate())
            .map(|(n, metadata)| {
                let mut keda = object(&channel, n, &metadata);
                async move { keda.stream().await.expect("opens") }
            })
            .buffered(64)
            .collect()
            .await;
        let mut streams = tokio::task::JoinSet::new();
        for (n, mut stream) in opened.into_iter().enumerate() {
            let pushed = pushed.clone();
            streams.spawn(async move {
                while let Some(Ok(_)) = stream.next().await {
                    pushed.send((n, Instant::now())).ok();
                }
            });
        }
        let begin = Instant::now();
        while known(server) < already + count {
            assert!(begin.elapsed() < Duration::from_secs(120), "not all triggers were read:\n{}", server.log());
            sleep(Duration::from_millis(200)).await;
        }
        Self { pushes, _streams: streams }
    }

    /// When trigger `n` was pushed, counted from `since`.
    pub async fn pushed(&mut self, n: usize, since: Instant) -> Duration {
        let push = async {
            loop {
                let (pushed, at) = self.pushes.recv().await.expect("streams are open");
                // Those woken before are said again from time to time.
                if pushed == n {
                    return at - since;
                }
            }
        };
        timeout(Duration::from_secs(30), push).await.expect("a push")
    }
}

/// KEDA at the `n`th ScaledObject.
pub fn object(channel: &Channel, n: usize, metadata: &Metadata) -> Keda {
    let pairs: Vec<_> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Keda::new(channel.clone(), &format!("o{n}"), &pairs)
}

/// Each trigger polled once, as KEDA does.
pub async fn poll(server: &Process, triggers: impl IntoIterator<Item = Metadata>) -> Vec<Result<Poll, Status>> {
    let channel = server.channel();
    stream::iter(triggers.into_iter().enumerate())
        .map(|(n, trigger)| {
            let mut keda = object(&channel, n, &trigger);
            async move { keda.poll().await }
        })
        .buffered(64)
        .collect()
        .await
}

/// The same, of triggers for which no work waits.
pub async fn poll_all(server: &Process, triggers: impl IntoIterator<Item = Metadata>) {
    for poll in poll(server, triggers).await {
        assert_eq!(poll.expect("answers").value.metric_value, 0, "no work waits");
    }
}

const INTERVALS: u64 = 6;

/// What the server sends to a backend per interval while these idle triggers are sampled, by its own count.
pub async fn requests_per_interval(server: &Process, backend: &str, triggers: Vec<Metadata>) -> f64 {
    poll_all(server, triggers).await;
    // One full interval more, so that what is asked once is behind us, and into the rest between two: a whole number
    // of them lies ahead.
    sleep(Duration::from_secs(6)).await;
    let last = requests(server, backend);
    while requests(server, backend) == last {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(2500)).await;
    let before = requests(server, backend);
    sleep(Duration::from_secs(5 * INTERVALS)).await;
    (requests(server, backend) - before) / INTERVALS as f64
}

fn requests(server: &Process, backend: &str) -> f64 {
    server.series(&format!(r#"plimsoll_broker_requests_total{{backend="{backend}"}}"#))
}

/// How many triggers have been read and found idle.
fn known(server: &Process) -> usize {
    server.triggers().iter().filter(|trigger| trigger["active"] == false).count()
}

pub fn redis_trigger(address: &str, list: &str) -> Metadata {
    vec![("scalerType", "redis".to_owned()), ("address", address.to_owned()), ("listName", list.to_owned())]
}

const IDLE_KEYS: usize = 1_000;
const IDLE_PARTITIONS: usize = 1_000;
const WAKES: usize = 300;
/// Of Kafka, each after a pause: an idle machine takes its time to wake as well.
const RESTED_WAKES: usize = 100;
const REST: Duration = Duration::from_millis(100);
const CPU_SPELL: Duration = Duration::from_secs(30);

/// Wake latency of Redis and Kafka, and what it costs to have 2,000 sources armed.
pub async fn wakes_and_idle_cost(report: &mut Report) {
    println!("wake: {IDLE_KEYS} idle Redis keys and {IDLE_PARTITIONS} idle Kafka partitions, {WAKES} wakes of each");
    let (address, servers) = (broker("PLIMSOLL_TEST_REDIS"), broker("PLIMSOLL_TEST_KAFKA"));
    let mut writer = redis::connect(&address).await;
    let lists: Vec<String> = (0..IDLE_KEYS).map(|n| format!("bench-wake-{n}")).collect();
    redis::delete(&mut writer, &lists).await;
    let topics = Topics::create(&servers, "bench-wake", IDLE_PARTITIONS, 1).await;
    // A producer that has written to its topics before, as one does: this one would have to ask for each first.
    let producer = kafka::producer(&servers);
    join_all(topics.names.iter().map(|topic| kafka::produce(&producer, topic))).await;
    topics.commit(&servers, "bench-wake", IDLE_PARTITIONS, 1).await;
    let server = Process::start(&[]);
    let mut keys = Fleet::open(&server, lists.iter().map(|list| redis_trigger(&address, list)).collect()).await;
    let triggers = topics.names.iter().map(|topic| kafka::trigger(&servers, "bench-wake", topic)).collect();
    let mut partitions = Fleet::open(&server, triggers).await;

    let before = (cpu_seconds(server.pid()), Instant::now());
    sleep(CPU_SPELL).await;
    let cpu = (cpu_seconds(server.pid()) - before.0) / before.1.elapsed().as_secs_f64();
    report.add(
        "idle processor use with 1,000 keys and 1,000 partitions armed",
        cpu * 100.0,
        "% core",
        Must::AtMost(3.0),
    );

    let port = kafka::port(&servers);
    report.add(
        "TCP connections with those 1,000 partitions armed, one broker",
        connections(server.pid(), port),
        "",
        Must::AtMost(9.0),
    );

    let mut times = Vec::new();
    for (n, list) in lists.iter().enumerate().take(WAKES) {
        let begin = Instant::now();
        redis::push(&mut writer, list).await;
        times.push(keys.pushed(n, begin).await.as_secs_f64() * 1e3);
    }
    report.add("wake, LPUSH to `true`, 1,000 idle keys, p50", percentile(&mut times, 0.50), "ms", Must::AtMost(1.0));
    report.add("wake, LPUSH to `true`, 1,000 idle keys, p99", percentile(&mut times, 0.99), "ms", Must::AtMost(10.0));
    redis::delete(&mut writer, &lists).await;

    let wakes = KafkaWakes::time(&producer, &topics.names[..WAKES], &mut partitions, 0, Duration::ZERO).await;
    wakes.report(report, "wake, produce to `true`, 1,000 idle partitions", (Must::AtMost(5.0), Must::AtMost(50.0)));
    let rested = &topics.names[WAKES..WAKES + RESTED_WAKES];
    let wakes = KafkaWakes::time(&producer, rested, &mut partitions, WAKES, REST).await;
    wakes.report(report, "wake, produce to `true`, after a rest of 100 ms", (Must::Nothing, Must::Nothing));
    topics.delete(&servers).await;
}

/// In milliseconds since just before the record was sent.
#[derive(Default)]
struct KafkaWakes {
    acknowledged: Vec<f64>,
    pushed: Vec<f64>,
}

impl KafkaWakes {
    /// Wakes one after the other the triggers of `topics`, of which the first is trigger `first`.
    async fn time(
        producer: &FutureProducer,
        topics: &[String],
        partitions: &mut Fleet,
        first: usize,
        rest: Duration,
    ) -> Self {
        let mut wakes = Self::default();
        for (n, topic) in (first..).zip(topics) {
            sleep(rest).await;
            let begin = Instant::now();
            kafka::produce(producer, topic).await;
            wakes.acknowledged.push(begin.elapsed().as_secs_f64() * 1e3);
            wakes.pushed.push(partitions.pushed(n, begin).await.as_secs_f64() * 1e3);
        }
        wakes
    }

    fn report(mut self, report: &mut Report, what: &str, (p50, p99): (Must, Must)) {
        report.add(format!("{what}, p50"), percentile(&mut self.pushed, 0.50), "ms", p50);
        report.add(format!("{what}, p99"), percentile(&mut self.pushed, 0.99), "ms", p99);
        let acknowledged = percentile(&mut self.acknowledged, 0.50);
        report.add(
            format!("{what}: until the producer has its acknowledgement, p50"),
            acknowledged,
            "ms",
            Must::Nothing,
        );
    }
}
