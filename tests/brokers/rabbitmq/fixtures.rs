//! What the RabbitMQ tests stand on: addresses, queues of their own, messages.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use plimsoll::net::Reach;
use plimsoll::{
    backend::{Registry, Source, rabbitmq::RabbitMq},
    error::ReadError,
    metadata::Metadata,
    reading::Reading,
    trigger::Trigger,
};
use reqwest::Method;
use tokio::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Instant,
};

/// Tests share the broker, except those that stop it.
static BROKER: RwLock<()> = RwLock::const_new(());

pub async fn shared() -> RwLockReadGuard<'static, ()> {
    BROKER.read().await
}

pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    BROKER.write().await
}

/// The value of `PLIMSOLL_TEST_<name>`.
pub fn variable(name: &str) -> String {
    let name = format!("PLIMSOLL_TEST_{name}");
    std::env::var(&name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}

/// Far longer than anything takes that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn amqp() -> String {
    format!("amqp://watcher:watcher-secret@{}", variable("RABBITMQ"))
}

pub fn http() -> String {
    format!("http://watcher:watcher-secret@{}", variable("RABBITMQ_HTTP"))
}

/// A PEM file of the test's authority.
pub fn pem(file: &str) -> String {
    std::fs::read_to_string(format!("{}/{file}", variable("TLS_DIR"))).unwrap()
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("plimsoll-test-{what}-{:016x}", rand::random::<u64>())
}

pub fn trigger(pairs: &[(&str, &str)]) -> Metadata {
    let mut all = BTreeMap::from([("scalerType".to_owned(), "rabbitmq".to_owned())]);
    all.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    all.into()
}

/// The backend with connections of its own.
pub fn registry() -> Registry {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    Registry::with(vec![Box::new(RabbitMq::default())])
}

/// A trigger as given; over HTTP with patience, as many tests share the machine.
pub fn source_of(registry: &Registry, pairs: &[(&str, &str)]) -> Arc<dyn Source> {
    let patient = pairs.iter().any(|(key, value)| *key == "host" && value.starts_with("http"));
    let timeout = patient.then_some(("timeout", "20s"));
    let pairs: Vec<_> = timeout.into_iter().chain(pairs.iter().copied()).collect();
    let pairs = pairs.as_slice();
    Trigger::parse(registry, &trigger(pairs), &Reach::open(), Duration::from_secs(5)).unwrap().source
}

pub fn source(pairs: &[(&str, &str)]) -> Arc<dyn Source> {
    source_of(&registry(), pairs)
}

pub async fn read(pairs: &[(&str, &str)]) -> Result<Reading, ReadError> {
    source(pairs).read().await
}

/// Reads until `right`, for statistics that come some seconds late.
pub async fn eventually(pairs: &[(&str, &str)], right: impl Fn(&Reading) -> bool) -> Reading {
    let source = source(pairs);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reading = source.read().await;
        if let Some(reading) = reading.as_ref().ok().filter(|reading| right(reading)) {
            return *reading;
        }
        assert!(Instant::now() < deadline, "still {reading:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The broker, from the other side.
pub struct Broker {
    _connection: Connection,
    pub channel: Channel,
}

impl Broker {
    pub async fn new() -> Self {
        Self::on("%2F").await
    }

    /// On a vhost, as it stands in a URL.
    pub async fn on(vhost: &str) -> Self {
        let uri = format!("amqp://admin:admin-secret@{}/{vhost}", variable("RABBITMQ"));
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { _connection: connection, channel }
    }

    pub async fn declare(&self, queue: &str) {
        self.declare_as(queue, "classic").await;
    }

    pub async fn declare_as(&self, queue: &str, kind: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    }

    pub async fn declare_many(&self, what: &str, count: usize) -> Vec<String> {
        let names: Vec<String> = (0..count).map(|n| format!("{}-{n}", unique(what))).collect();
        futures::future::join_all(names.iter().map(|name| self.declare(name))).await;
        names
    }

    /// Stored when this returns.
    pub async fn publish(&self, queue: &str, count: usize) {
        for _ in 0..count {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let sent = self.channel.basic_publish("".into(), queue.into(), options, b"work", properties).await.unwrap();
            sent.await.unwrap();
        }
    }

    /// Takes messages without acknowledging them, as a worker does.
    pub async fn take(&self, queue: &str, count: usize) {
        for _ in 0..count {
            let message = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap();
            assert!(message.is_some(), "nothing in {queue}");
        }
    }

    pub async fn take_and_acknowledge(&self, queue: &str, count: usize) {
        for _ in 0..count {
            let options = BasicGetOptions { no_ack: true };
            assert!(self.channel.basic_get(queue.into(), options).await.unwrap().is_some(), "nothing in {queue}");
        }
    }

    pub async fn delete(&self, queues: &[String]) {
        let delete = |queue: &String| {
            let (channel, queue) = (self.channel.clone(), queue.as_str().into());
            async move { channel.queue_delete(queue, QueueDeleteOptions::default()).await }
        };
        for result in futures::future::join_all(queues.iter().map(delete)).await {
            result.unwrap();
        }
    }
}

/// A vhost of the test's own, where `watcher` may look: what other tests leave in `/` makes its listings slow.
pub struct Vhost(String);

impl Vhost {
    pub async fn new() -> Self {
        let name = unique("vhost");
        administer(Method::PUT, &format!("vhosts/{name}"), "").await;
        for (user, right) in [("admin", ".*"), ("watcher", "")] {
            let rights = format!(r#"{{"configure":"{right}","write":"{right}","read":"{right}"}}"#);
            administer(Method::PUT, &format!("permissions/{name}/{user}"), &rights).await;
        }
        Self(name)
    }

    pub async fn broker(&self) -> Broker {
        Broker::on(&self.0).await
    }

    pub fn amqp(&self) -> String {
        format!("{}/{}", amqp(), self.0)
    }

    pub fn http(&self) -> String {
        format!("{}/{}", http(), self.0)
    }

    /// With all its queues.
    pub async fn delete(self) {
        administer(Method::DELETE, &format!("vhosts/{}", self.0), "").await;
    }
}

/// Asks the management API as the administrator.
pub async fn administer(method: Method, path: &str, body: &str) -> serde_json::Value {
    let url = format!("http://{}/api/{path}", variable("RABBITMQ_HTTP"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, url).basic_auth("admin", Some("admin-secret")).body(body.to_owned());
    let answer = request.header("content-type", "application/json").send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
}
