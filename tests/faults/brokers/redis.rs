//! Redis: lists, written by the `redis` crate, and a user of our own.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection, cmd};

use super::{Broker, Trigger, variable};
use crate::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(2);

pub struct Redis {
    address: String,
    user: String,
}

impl Redis {
    pub fn new(run: &str) -> Self {
        Self { address: variable("REDIS"), user: format!("faults-{run}") }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = redis::Client::open(format!("redis://{}", self.address))?;
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn try_run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connect().await?).await
    }

    async fn run(&self, command: &Cmd) {
        self.try_run::<redis::Value>(command).await.unwrap();
    }
}

#[async_trait]
impl Broker for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn node(&self) -> &'static str {
        "redis"
    }

    fn behind_proxy(&self) -> String {
        self.address.clone()
    }

    fn trigger(&self, source: &str, address: &str) -> Trigger {
        vec![
            ("scalerType", "redis".to_owned()),
            ("address", address.to_owned()),
            ("username", self.user.clone()),
            ("password", "faults-secret".to_owned()),
            ("listName", source.to_owned()),
        ]
    }

    async fn admit(&self) {
        let rights = ["~*", "+type", "+llen", "+client|tracking", "+ping", "+info", "+hello", "+select"];
        self.run(cmd("ACL").arg("SETUSER").arg(&self.user).arg("on").arg(">faults-secret").arg(&rights)).await;
    }

    async fn create(&self, _source: &str) {}

    async fn add(&self, source: &str) {
        self.run(cmd("RPUSH").arg(source).arg("work")).await;
    }

    async fn clear(&self, source: &str) {
        self.run(cmd("DEL").arg(source)).await;
    }

    async fn count(&self, source: &str) -> Option<usize> {
        self.try_run(cmd("LLEN").arg(source)).await.ok()
    }

    /// Whoever is logged in as this user is sent away.
    async fn deny(&self, _proxy: &Proxy) {
        self.run(cmd("ACL").arg("DELUSER").arg(&self.user)).await;
    }

    async fn allow(&self, _proxy: &Proxy) {
        self.admit().await;
    }

    async fn save(&self) {
        self.run(&cmd("SAVE")).await;
    }

    async fn forget(&self, sources: &[&str]) {
        self.run(cmd("DEL").arg(sources)).await;
        self.run(cmd("ACL").arg("DELUSER").arg(&self.user)).await;
    }
}
