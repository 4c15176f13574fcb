//! RabbitMQ: bursts per interval, counted by a proxy between the server and the broker, and the wake among idle queues.

use std::time::{Duration, Instant};

use futures::future::join_all;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use tokio::time::sleep;

use crate::{
    amqp_proxy::Proxy,
    broker,
    fleet::{Fleet, Metadata, poll, poll_all},
    process::Process,
    report::{Must, Report, percentile},
};

const QUEUES: usize = 1_000;
const MISSING: usize = 100;
const INTERVALS: u32 = 6;
const INTERVAL: Duration = Duration::from_secs(5);
/// No more than a tenth of the idle queues, since those that were woken are idle no more.
const WAKES: [(usize, usize); 2] = [(100, 50), (1_000, 100)];

/// A trigger on a queue, asked for at `address`.
pub fn trigger(address: &str, queue: &str) -> Metadata {
    vec![
        ("scalerType", "rabbitmq".to_owned()),
        ("host", format!("amqp://watcher:watcher-secret@{address}")),
        ("queueName", queue.to_owned()),
        ("mode", "QueueLength".to_owned()),
        ("value", "5".to_owned()),
    ]
}

/// A thousand queues over one connection, then a hundred missing ones beside them.
pub async fn bursts(report: &mut Report) {
    println!("rabbitmq: {QUEUES} queues over {INTERVALS} intervals of {INTERVAL:?}, through a counting proxy");
    let writer = Writer::connect().await;
    let queues = writer.declare("bench-burst", QUEUES).await;
    let proxy = Proxy::before(broker("PLIMSOLL_TEST_RABBITMQ")).await;
    let server = Process::start(&[]);
    poll_all(&server, queues.iter().map(|queue| trigger(&proxy.address, queue))).await;
    // One interval more, and into the rest between two: a whole number of looks lies ahead.
    sleep(INTERVAL).await;
    proxy.take();
    while proxy.take().declares == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(INTERVAL / 2).await;
    proxy.take();
    sleep(INTERVALS * INTERVAL).await;
    let counts = proxy.take();
    let each = |count: usize| count as f64 / f64::from(INTERVALS);
    report.add("RabbitMQ bursts per interval, 1,000 queues", each(counts.bursts), "bursts", Must::AtMost(1.0));
    report.add("declares in these per interval", each(counts.declares), "declares", Must::AtMost(1_000.0));
    report.add("of which sent when nothing was unanswered", each(counts.waits), "declares", Must::AtMost(100.0));
    report.add("RabbitMQ connections for 1,000 queues", proxy.connections() as f64, "", Must::AtMost(1.0));

    let missing = (0..MISSING).map(|n| trigger(&proxy.address, &format!("bench-missing-{}-{n}", std::process::id())));
    let polls = poll(&server, missing).await;
    assert!(polls.iter().all(Result::is_err), "a missing queue has no value");
    sleep(2 * INTERVAL).await;
    report.add("with 100 missing queues beside them", proxy.connections() as f64, "", Must::AtMost(2.0));
    drop(server);
    writer.delete(&queues).await;
}

/// From a publish to `true` on an open stream, among idle queues.
pub async fn wakes(report: &mut Report) {
    let address = broker("PLIMSOLL_TEST_RABBITMQ");
    let writer = Writer::connect().await;
    for ((count, wakes), most) in WAKES.into_iter().zip([40.0, 350.0]) {
        println!("wake: {count} idle RabbitMQ queues, {wakes} wakes");
        let queues = writer.declare("bench-wake", count).await;
        let server = Process::start(&[]);
        let mut fleet = Fleet::open(&server, queues.iter().map(|queue| trigger(&address, queue)).collect()).await;
        let mut times = Vec::new();
        for (n, queue) in queues.iter().enumerate().take(wakes) {
            // The next look must not be as far away as a look can be, each time.
            sleep(rand::random_range(Duration::ZERO..Duration::from_millis(600))).await;
            let begin = Instant::now();
            writer.publish(queue).await;
            times.push(fleet.pushed(n, begin).await.as_secs_f64() * 1e3);
        }
        let row = format!("wake, publish to `true`, {count} idle RabbitMQ queues");
        report.add(format!("{row}, p50"), percentile(&mut times, 0.50), "ms", Must::AtMost(most));
        report.add(format!("{row}, p99"), percentile(&mut times, 0.99), "ms", Must::Nothing);
        drop((fleet, server));
        writer.delete(&queues).await;
    }
}

/// Another client, which does what ours never does.
pub struct Writer {
    channel: Channel,
    _connection: Connection,
}

impl Writer {
    pub async fn connect() -> Self {
        let uri = format!("amqp://admin:admin-secret@{}/%2F", broker("PLIMSOLL_TEST_RABBITMQ"));
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("RabbitMQ answers");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { channel, _connection: connection }
    }

    /// Queues of this run, named so that no other run meets them.
    pub async fn declare(&self, prefix: &str, count: usize) -> Vec<String> {
        let run = std::process::id();
        let queues: Vec<String> = (0..count).map(|n| format!("{prefix}-{run}-{count}-{n}")).collect();
        let declare = |queue: &String| {
            self.channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default())
        };
        for declared in join_all(queues.iter().map(declare)).await {
            declared.expect("declared");
        }
        queues
    }

    /// Stored when this returns.
    pub async fn publish(&self, queue: &str) {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = self.channel.basic_publish("".into(), queue.into(), options, b"work", properties).await;
        sent.expect("sent").await.expect("stored");
    }

    pub async fn delete(&self, queues: &[String]) {
        let delete = |queue: &String| self.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        for deleted in join_all(queues.iter().map(delete)).await {
            deleted.expect("deleted");
        }
    }
}
