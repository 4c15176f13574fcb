//! What the management API answers, as far as it matters here.
//!
//! Nothing is kept but the numbers, and of no more queues than there can be: what a server writes beside them costs
//! nothing.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, SeqAccess, Visitor},
};

use crate::{
    backend::rabbitmq::measure::Stats,
    error::{ReadError, ReadErrorKind},
    limits::{self, Limit},
    net::http::Answer,
};

/// One queue. Fields may be missing: what is not said is not known.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Item {
    pub name: Option<String>,
    messages: Option<i64>,
    messages_ready: Option<i64>,
    /// Only statistics have a history.
    messages_details: Option<IgnoredAny>,
    message_stats: Option<Box<MessageStats>>,
}

/// What has happened to a queue's messages. RabbitMQ writes `[]` for none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MessageStats {
    publish: Option<IgnoredAny>,
    publish_details: Option<Details>,
    deliver_get: Option<IgnoredAny>,
    deliver_get_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    rate: Option<f64>,
}

/// Queues, no more than [`limits::RABBITMQ_QUEUES`].
#[derive(Debug, Default)]
pub(super) struct Items(pub Vec<Item>);

/// One page of queues.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub items: Items,
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

    /// Its numbers, as those of `name`.
    pub fn stats(&self, name: &str, rates: bool) -> Stats {
        let seen = self.message_stats.as_deref();
        let rate = |rate: fn(&MessageStats) -> Option<f64>| if rates { seen.map_or(Some(0.0), rate) } else { None };
        Stats {
            name: name.to_owned(),
            messages: self.messages,
            ready: self.messages_ready,
            published: rate(|seen| per_second(seen.publish.is_some(), seen.publish_details.as_ref())),
            delivered: rate(|seen| per_second(seen.deliver_get.is_some(), seen.deliver_get_details.as_ref())),
        }
    }
}

/// A queue that nothing has happened to yet has no such statistics: its rate is 0. One that has a total without
/// a rate belongs to a broker that keeps no rates.
fn per_second(has_total: bool, details: Option<&Details>) -> Option<f64> {
    match details {
        Some(details) => details.rate,
        None if has_total => None,
        None => Some(0.0),
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;

        impl<'de> Visitor<'de> for Bounded {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("queues")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut queues: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = queues.next_element()? {
                    if items.len() >= limits::RABBITMQ_QUEUES {
                        Limit::Reply.crossed();
                        return Err(A::Error::custom("too many"));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(Bounded)
    }
}

/// The body as JSON of the wanted shape; `what` was asked for.
pub(super) fn parse<T: DeserializeOwned>(answer: &Answer, place: &str, what: &str) -> Result<T, ReadError> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        if answer.is_web_page() {
            let text = format!("`{place}` answers with a web page: give the management API's own address as `host`");
            return ReadError::new(ReadErrorKind::BadReply, text);
        }
        something_else(place, what)
    })
}

/// What came is not `what` was asked for.
pub(super) fn something_else(place: &str, what: &str) -> ReadError {
    let text =
        format!("`{place}` answers with something else than {what}: check that `host` is a RabbitMQ management API");
    ReadError::new(ReadErrorKind::BadReply, text)
}
