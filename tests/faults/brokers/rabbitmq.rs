//! RabbitMQ: queues, written through the management API, and users of our own. Read over AMQP or over HTTP, which are two.

use std::time::Duration;

use async_trait::async_trait;
use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
use reqwest::Method;

use super::{Broker, Trigger, variable};
use crate::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(2);

/// How plimsoll asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Amqp,
    Http,
}

pub struct RabbitMq {
    way: Way,
    user: String,
    api: reqwest::Client,
}

impl RabbitMq {
    pub fn new(run: &str, way: Way) -> Self {
        let api = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { way, user: format!("faults-{way:?}-{run}").to_lowercase(), api }
    }

    async fn try_ask(&self, method: Method, path: &str, body: &str) -> Option<serde_json::Value> {
        let url = format!("http://{}/api/{path}", variable("RABBITMQ_HTTP"));
        let request = self.api.request(method, url).basic_auth("admin", Some("admin-secret")).body(body.to_owned());
        let answer = request.header("content-type", "application/json").send().await.ok()?;
        let answer = answer.error_for_status().ok()?;
        Some(serde_json::from_str(&answer.text().await.ok()?).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: &str) {
        self.try_ask(method, path, body).await.unwrap_or_else(|| panic!("RabbitMQ refuses {path}"));
    }

    /// By a passive declare, which is exact at once.
    async fn declared(&self, source: &str) -> Option<usize> {
        let uri = format!("amqp://admin:admin-secret@{}/%2F", variable("RABBITMQ"));
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.ok()?;
        let channel = connection.create_channel().await.ok()?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(source.into(), options, FieldTable::default()).await.ok()?;
        let count = queue.message_count();
        connection.close(200, "done".into()).await.ok();
        usize::try_from(count).ok()
    }
}

#[async_trait]
impl Broker for RabbitMq {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Amqp => "rabbitmq",
            Way::Http => "rabbitmq-http",
        }
    }

    fn node(&self) -> &'static str {
        "rabbitmq"
    }

    fn behind_proxy(&self) -> String {
        variable(match self.way {
            Way::Amqp => "RABBITMQ",
            Way::Http => "RABBITMQ_HTTP",
        })
    }

    fn trigger(&self, source: &str, address: &str) -> Trigger {
        let (scheme, vhost) = match self.way {
            Way::Amqp => ("amqp", ""),
            Way::Http => ("http", "/%2F"),
        };
        vec![
            ("scalerType", "rabbitmq".to_owned()),
            ("host", format!("{scheme}://{}:faults-secret@{address}{vhost}", self.user)),
            ("queueName", source.to_owned()),
            ("mode", "QueueLength".to_owned()),
            ("value", "5".to_owned()),
        ]
    }

    async fn admit(&self) {
        let user = r#"{"password":"faults-secret","tags":"management"}"#;
        self.ask(Method::PUT, &format!("users/{}", self.user), user).await;
        let none = r#"{"configure":"","write":"","read":""}"#;
        self.ask(Method::PUT, &format!("permissions/%2F/{}", self.user), none).await;
    }

    async fn create(&self, source: &str) {
        self.ask(Method::PUT, &format!("queues/%2F/{source}"), r#"{"durable":true}"#).await;
    }

    async fn add(&self, source: &str) {
        let message = format!(
            r#"{{"properties":{{"delivery_mode":2}},"routing_key":"{source}","payload":"work","payload_encoding":"string"}}"#
        );
        self.ask(Method::POST, "exchanges/%2F/amq.default/publish", &message).await;
    }

    async fn clear(&self, source: &str) {
        self.ask(Method::DELETE, &format!("queues/%2F/{source}/contents"), "").await;
    }

    /// Over HTTP its statistics, which come a second late, are what it says.
    async fn count(&self, source: &str) -> Option<usize> {
        match self.way {
            Way::Amqp => tokio::time::timeout(PATIENCE, self.declared(source)).await.ok()?,
            Way::Http => {
                let queue = self.try_ask(Method::GET, &format!("queues/%2F/{source}"), "").await?;
                usize::try_from(queue["messages"].as_u64()?).ok()
            }
        }
    }

    /// Whoever is connected as this user is sent away.
    async fn deny(&self, _proxy: &Proxy) {
        self.ask(Method::DELETE, &format!("users/{}", self.user), "").await;
    }

    async fn allow(&self, _proxy: &Proxy) {
        self.admit().await;
    }

    async fn forget(&self, sources: &[&str]) {
        for source in sources {
            self.ask(Method::DELETE, &format!("queues/%2F/{source}"), "").await;
        }
        // Not everybody has had it admitted.
        self.try_ask(Method::DELETE, &format!("users/{}", self.user), "").await;
    }
}
