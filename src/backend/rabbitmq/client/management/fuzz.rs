//! The management API's words as a fuzzer has them.

use crate::net::http::{StatusCode, header::HeaderMap};

use super::{
    api::{self, Scope},
    items::{self, Item, Items, Page},
};
use crate::{
    backend::rabbitmq::{
        connection::{Login, Management},
        measure::{Measure, Mode, Operation, Stats},
    },
    metadata::Secret,
    net::{Reach, http::Answer, tls::Tls},
};

const MODES: [Mode; 5] = [
    Mode::QueueLength,
    Mode::MessageRate,
    Mode::DeliverGetRate,
    Mode::PublishedToDeliveredRatio,
    Mode::ExpectedQueueConsumptionTime,
];

/// A body with each meaning that it could have: a queue, a listing, a page, a refusal.
pub fn answer(data: &[u8]) {
    let answer = |status| Answer::new(status, HeaderMap::new(), data);
    let good = answer(StatusCode::OK);
    let mut queues = items::parse::<Items>(&good, "rabbitmq", "queues").unwrap_or_default().0;
    queues.extend(items::parse::<Page>(&good, "rabbitmq", "queues").map(|page| page.items.0).unwrap_or_default());
    queues.extend(items::parse::<Item>(&good, "rabbitmq", "queue `queue`").ok());
    let stats: Vec<Stats> = queues.iter().map(|queue| queue.stats("queue", true)).collect();
    for mode in MODES {
        let measure = Measure { mode, activation: 0.0, exclude_unacknowledged: false, operation: Operation::Sum };
        drop(measure.reading(&stats));
    }
    let to = Management {
        origin: "http://rabbitmq:15672".to_owned(),
        sub_path: String::new(),
        vhost: "/".to_owned(),
        login: Login::Password { username: "guest".to_owned(), password: Secret::default() },
        tls: Tls::default(),
        reach: Reach::open(),
    };
    for status in [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
        drop(api::refused(&to, &answer(status), Scope::Queue("queue")));
    }
}
