//! What the management API answers, as far as it matters here.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    backend::rabbitmq::measure::Stats,
    error::{ReadError, ReadErrorKind},
    net::http::Answer,
};

/// One queue. Fields may be missing: what is not said is not known.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Item {
    #[serde(default)]
    pub name: String,
    messages: Option<i64>,
    messages_ready: Option<i64>,
    /// Only statistics have a history.
    messages_details: Option<Value>,
    message_stats: Option<Value>,
}

/// One page of queues.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub items: Vec<Item>,
    /// 0 if there is no queue at all.
    #[serde(default)]
    pub page_count: u32,
}

impl Item {
    /// Whether it was answered from statistics, although the queue itself was asked for.
    pub fn is_a_sample(&self) -> bool {
        self.messages_details.is_some()
    }

    /// Whether it says how many messages there are.
    pub fn is_told(&self) -> bool {
        self.messages.is_some() || self.messages_ready.is_some()
    }

    pub fn stats(&self, rates: bool) -> Stats {
        let rate = |total: &str, details: &str| if rates { self.rate(total, details) } else { None };
        Stats {
            name: self.name.clone(),
            messages: self.messages,
            ready: self.messages_ready,
            published: rate("publish", "publish_details"),
            delivered: rate("deliver_get", "deliver_get_details"),
        }
    }

    /// A queue that nothing has happened to yet has no such statistics: its rate is 0. One that has a total without
    /// a rate belongs to a broker that keeps no rates.
    fn rate(&self, total: &str, details: &str) -> Option<f64> {
        let stats = self.message_stats.as_ref();
        match stats.and_then(|stats| stats.get(details)) {
            Some(details) => details.get("rate").and_then(Value::as_f64),
            None if stats.is_some_and(|stats| stats.get(total).is_some()) => None,
            None => Some(0.0),
        }
    }
}

/// The body as JSON of the wanted shape.
pub(super) fn parse<T: DeserializeOwned>(answer: &Answer, place: &str) -> Result<T, ReadError> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        let text = if answer.is_web_page() {
            format!("`{place}` answers with a web page: give the management API's own address as `host`")
        } else {
            format!("`{place}` answers with something else than queues: check that `host` is a RabbitMQ management API")
        };
        ReadError::new(ReadErrorKind::BadReply, text)
    })
}
