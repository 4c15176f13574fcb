//! Everything recorded of KEDA's RabbitMQ scaler (`tests/vectors/rabbitmq.json`), held against ours.

mod parse;
mod wire;

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::measure::{Operation, Totals, aggregate};
use crate::{backend::recorded::Vectors, metadata::Metadata};

const VECTORS: Vectors = Vectors(include_str!("../../../../../tests/vectors/rabbitmq.json"));

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The case's metadata, with `places` filled in: `{here}`, say.
fn metadata(case: &Value, places: &[(&str, &str)]) -> Metadata {
    let pairs: BTreeMap<String, String> = serde_json::from_value(case["metadata"].clone()).expect("texts");
    let fill = |text: String| places.iter().fold(text, |text, (place, with)| text.replace(place, with));
    pairs.into_iter().map(|(key, value)| (key, fill(value))).collect()
}

#[test]
fn several_queues_become_one_as_recorded() {
    let number = |value: &Value| value.as_f64().expect("a number");
    let count = |value: &Value| value.as_i64().expect("a whole number");
    let keda = |case: &Value| {
        let expect = case["expect"].as_object()?;
        Some(
            [&expect["messages"], &expect["messagesReady"], &expect["publishRate"], &expect["deliverGetRate"]]
                .map(number),
        )
    };
    let ours = |case: &Value| {
        let operation = match case["operation"].as_str().expect("a text") {
            "sum" => Operation::Sum,
            "avg" => Operation::Avg,
            "max" => Operation::Max,
            // Refused by the parser.
            _ => return None,
        };
        let queues = case["queues"].as_array().expect("a list");
        let totals = |counter: &str| {
            let totals: Vec<Totals> = queues
                .iter()
                .map(|queue| Totals {
                    messages: count(&queue[counter]),
                    published: number(&queue["publishRate"]),
                    delivered: number(&queue["deliverGetRate"]),
                })
                .collect();
            aggregate(operation, &totals)
        };
        let (all, ready) = (totals("messages"), totals("messagesReady"));
        Some([all.messages as f64, ready.messages as f64, all.published, all.delivered])
    };
    VECTORS.hold("aggregate", &[], keda, ours);
}
