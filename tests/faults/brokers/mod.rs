//! The other side of each broker: what puts work in, takes it out, counts it and withdraws our rights.
//!
//! Each speaks to the broker directly and by another client than ours. Not for: what plimsoll makes of it.

pub mod kafka;
pub mod prometheus;
pub mod rabbitmq;
pub mod redis;
pub mod sqs;

use async_trait::async_trait;

use crate::proxy::Proxy;

/// A trigger's metadata.
pub type Trigger = Vec<(&'static str, String)>;

/// One real broker. Everything but `count` may rely on its being there.
#[async_trait]
pub trait Broker: Send + Sync {
    /// As tables and selections write it.
    fn name(&self) -> &'static str;

    /// The process of `tests/brokers` that it is.
    fn node(&self) -> &'static str;

    /// Where it listens for what comes through a proxy: `host:port`.
    fn behind_proxy(&self) -> String;

    /// Where a proxy before it listens.
    fn proxy(&self) -> String {
        "127.0.0.1:0".to_owned()
    }

    /// The same for those whom no fault is to meet.
    fn direct(&self) -> String {
        self.behind_proxy()
    }

    /// What reads `source`, the broker being at `address`.
    fn trigger(&self, source: &str, address: &str) -> Trigger;

    /// Makes the user of our triggers, where there is one. Done again after the broker was killed.
    async fn admit(&self) {}

    /// Makes an empty source, if it is not there yet.
    async fn create(&self, source: &str);

    /// Adds one piece of work.
    async fn add(&self, source: &str);

    /// Takes all work out.
    async fn clear(&self, source: &str);

    /// How much work it says there is; `None` when it says nothing.
    async fn count(&self, source: &str) -> Option<usize>;

    /// Takes away the login or the rights that our triggers through the proxy have.
    async fn deny(&self, proxy: &Proxy);

    /// Gives them back.
    async fn allow(&self, proxy: &Proxy);

    /// What it holds is to survive its end, where it can.
    async fn save(&self) {}

    /// Forgets the sources.
    async fn forget(&self, sources: &[&str]);
}

/// All of them but those left out by `SKIP_BROKERS`, with names of their own for `run`.
pub async fn all(run: &str) -> Vec<Box<dyn Broker>> {
    let left_out = std::env::var("SKIP_BROKERS").unwrap_or_default();
    let wanted = |name: &str| left_out.split([' ', ',']).all(|skipped| skipped != name);
    let mut all: Vec<Box<dyn Broker>> = Vec::new();
    if wanted("kafka") {
        all.push(Box::new(kafka::Kafka::new(run)));
    }
    if wanted("rabbitmq") {
        all.push(Box::new(rabbitmq::RabbitMq::new(run, rabbitmq::Way::Amqp)));
        all.push(Box::new(rabbitmq::RabbitMq::new(run, rabbitmq::Way::Http)));
    }
    if wanted("sqs") {
        all.push(Box::new(sqs::Sqs::new()));
    }
    if wanted("redis") {
        all.push(Box::new(redis::Redis::new(run)));
    }
    if wanted("prometheus") {
        all.push(Box::new(prometheus::Prometheus::new(run).await));
    }
    all
}

/// The value of `PLIMSOLL_TEST_<name>`.
pub fn variable(name: &str) -> String {
    let name = format!("PLIMSOLL_TEST_{name}");
    std::env::var(&name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}
