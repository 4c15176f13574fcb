//! What the Redis tests stand on: addresses, keys of their own, sources by metadata, a writer of another make.

use std::{fmt::Debug, future::Future, sync::Arc, time::Duration};

use plimsoll::net::Reach;
use plimsoll::{
    backend::{Registry, Source},
    error::{ReadError, ReadErrorKind},
    metadata::{Metadata, Reader},
};
use redis::{FromRedisValue, RedisError, aio::MultiplexedConnection};
use tokio::time::{Instant, sleep, timeout};

/// The value of `variable`.
pub fn variable(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}

/// A file of the test certificates.
pub fn pem(name: &str) -> String {
    let path = format!("{}/{name}", variable("PLIMSOLL_TEST_TLS_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("plimsoll-test-{what}-{:016x}", rand::random::<u64>())
}

pub type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A server of our own, to make sources that share connections with each other and with nothing else.
#[derive(Clone)]
pub struct Plimsoll(Registry);

impl Plimsoll {
    pub fn new() -> Self {
        Self(Registry::standard())
    }

    pub fn source(&self, scaler_type: &str, pairs: &[Pairs<'_>]) -> Arc<dyn Source> {
        let metadata: Metadata = pairs.concat().into_iter().collect();
        let backend = self.0.find(scaler_type).expect("a known type");
        backend.parse(scaler_type, &mut Reader::new(&metadata), &Reach::open()).expect("legal metadata")
    }
}

/// A source with a connection of its own.
pub fn source(scaler_type: &str, pairs: &[Pairs<'_>]) -> Arc<dyn Source> {
    Plimsoll::new().source(scaler_type, pairs)
}

/// The list `key` at `address`.
pub fn list_at(address: &str, key: &str) -> Arc<dyn Source> {
    source("redis", &[&[("address", address), ("listName", key)]])
}

/// What one look counts.
#[track_caller]
pub fn value(source: &Arc<dyn Source>) -> impl Future<Output = f64> {
    let place = std::panic::Location::caller();
    async move { source.read().await.unwrap_or_else(|error| panic!("{place}: {error}")).value }
}

/// Looks, which must fail as `kind` with all of `words` in the text.
#[track_caller]
pub fn fails(source: &Arc<dyn Source>, kind: ReadErrorKind, words: &[&str]) -> impl Future<Output = ReadError> {
    let place = std::panic::Location::caller();
    async move {
        let error = match source.read().await {
            Ok(reading) => panic!("{place}: {reading:?}"),
            Err(error) => error,
        };
        let text = error.to_string();
        assert_eq!(error.kind, kind, "{place}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{place}: {text}");
        error
    }
}

/// Waits for a wake, which must come in time.
#[track_caller]
pub fn wakes(source: &Arc<dyn Source>, within: Duration) -> impl Future<Output = Duration> {
    let place = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        timeout(within, source.wake()).await.unwrap_or_else(|_| panic!("{place}: no wake within {within:?}"));
        start.elapsed()
    }
}

/// Nothing wakes the source for `time`.
#[track_caller]
pub fn sleeps(source: &Arc<dyn Source>, time: Duration) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move { assert!(timeout(time, source.wake()).await.is_err(), "{place}: woken for no reason") }
}

/// Waits until `state` is what it should be.
#[track_caller]
pub fn eventually<T: Debug + PartialEq, F: Future<Output = T>>(
    within: Duration,
    expected: T,
    mut state: impl FnMut() -> F,
) -> impl Future<Output = Duration> {
    let place = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        loop {
            let now = state().await;
            if now == expected {
                return start.elapsed();
            }
            assert!(start.elapsed() < within, "{place}: still {now:?} instead of {expected:?} after {within:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// As the sampler does while a trigger is idle: wait for a wake, look, until it is active. Failing looks are waited
/// out. Returns what was seen on the way.
#[track_caller]
pub fn until_active(source: &Arc<dyn Source>, within: Duration) -> impl Future<Output = Vec<f64>> {
    let place = std::panic::Location::caller();
    async move {
        let mut seen = Vec::new();
        let watching = async {
            loop {
                source.wake().await;
                if let Ok(reading) = source.read().await {
                    seen.push(reading.value);
                    if reading.active {
                        return;
                    }
                }
            }
        };
        let outcome = timeout(within, watching).await;
        assert!(outcome.is_ok(), "{place}: not active within {within:?}, saw {seen:?}");
        seen
    }
}

/// Writes, and looks behind the scenes, by the library's plain connection.
#[derive(Clone)]
pub struct Writer(MultiplexedConnection);

impl Writer {
    pub async fn new(address: &str) -> Self {
        Self::try_new(address).await.unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    pub async fn try_new(address: &str) -> Result<Self, RedisError> {
        let client = redis::Client::open(format!("redis://{address}"))?;
        Ok(Self(client.get_multiplexed_async_connection().await?))
    }

    /// Runs a command given as words.
    pub async fn run<T: FromRedisValue>(&mut self, words: &str) -> T {
        self.try_run(words).await.unwrap_or_else(|error| panic!("{words}: {error}"))
    }

    pub async fn try_run<T: FromRedisValue>(&mut self, words: &str) -> Result<T, RedisError> {
        let mut command = redis::Cmd::new();
        for word in words.split(' ') {
            command.arg(word);
        }
        command.query_async(&mut self.0).await
    }

    /// Runs a pipeline whose replies do not matter.
    pub async fn pipeline(&mut self, pipeline: &redis::Pipeline) {
        pipeline.exec_async(&mut self.0).await.unwrap();
    }

    /// Runs a command whose reply does not matter.
    pub async fn does(&mut self, words: &str) {
        self.run::<redis::Value>(words).await;
    }

    /// How often the server has run `command` so far.
    pub async fn calls(&mut self, command: &str) -> u64 {
        let stats: String = self.run("INFO commandstats").await;
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
    }
}
