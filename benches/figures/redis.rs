//! Redis: round trips per interval, counted by a proxy between the server and Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    broker,
    fleet::{poll_all, redis_trigger},
    process::Process,
    report::{Must, Report},
};

const LISTS: usize = 1_000;
const INTERVALS: u64 = 6;

pub async fn connect(address: &str) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{address}")).expect("an address");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

pub async fn push(connection: &mut MultiplexedConnection, list: &str) {
    let _length: u64 = connection.lpush(list, "work").await.expect("written");
}

pub async fn delete(connection: &mut MultiplexedConnection, lists: &[String]) {
    let _deleted: u64 = connection.del(lists).await.expect("deleted");
}

/// How many commands it has taken so far, from whomever.
pub async fn commands(connection: &mut MultiplexedConnection) -> f64 {
    let text: String = redis::cmd("INFO").arg("stats").query_async(connection).await.expect("answered");
    let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.and_then(|number| number.trim().parse().ok()).expect("Redis counts them")
}

pub async fn round_trips(report: &mut Report) {
    println!("redis: {LISTS} lists over {INTERVALS} intervals of 5 s, through a counting proxy");
    let proxy = Proxy::start(broker("PLIMSOLL_TEST_REDIS")).await;
    let server = Process::start(&[]);
    poll_all(&server, (0..LISTS).map(|n| redis_trigger(&proxy.address, &format!("bench-trips-{n}")))).await;
    let (trips, connections) = (proxy.trips.load(Ordering::Relaxed), proxy.connections.load(Ordering::Relaxed));
    sleep(Duration::from_secs(5 * INTERVALS)).await;
    let spent = proxy.trips.load(Ordering::Relaxed) - trips;
    // A PING a second keeps watch over the connection; it is not part of the reads.
    let reads = spent.saturating_sub(5 * INTERVALS) as f64 / INTERVALS as f64;
    report.add("Redis round trips per interval, 1,000 lists", reads, "trips", Must::AtMost(2.0));
    report.add("Redis connections for 1,000 lists", connections as f64, "", Must::AtMost(1.0));
}

/// Counts how often a request follows an answer: a round trip.
struct Proxy {
    address: String,
    trips: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(redis: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound").to_string();
        let (trips, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let proxy = Self { address, trips: Arc::clone(&trips), connections: Arc::clone(&connections) };
        tokio::task::spawn(async move {
            while let Ok((ours, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let theirs = TcpStream::connect(&redis).await.expect("Redis answers");
                ours.set_nodelay(true).expect("TCP");
                theirs.set_nodelay(true).expect("TCP");
                let (from_server, to_server) = ours.into_split();
                let (from_redis, to_redis) = theirs.into_split();
                let (trips, asking) = (Arc::clone(&trips), Arc::new(AtomicBool::new(false)));
                let answered = Arc::clone(&asking);
                tokio::task::spawn(copy(from_server, to_redis, move || {
                    if !asking.swap(true, Ordering::Relaxed) {
                        trips.fetch_add(1, Ordering::Relaxed);
                    }
                }));
                tokio::task::spawn(copy(from_redis, to_server, move || answered.store(false, Ordering::Relaxed)));
            }
        });
        proxy
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: impl Fn()) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        seen();
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
