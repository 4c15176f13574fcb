//! Everything recorded of KEDA's RabbitMQ scaler (`tests/vectors/rabbitmq.json`), held against ours.
//!
//! Where we differ, a table says why and what we do instead. A difference that is not listed fails, and so does a
//! listed one that is none any more.

mod parse;
mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use serde_json::Value;

use super::super::measure::{Operation, Totals, aggregate};
use crate::metadata::Metadata;

/// Listed differences of one kind: which cases, why, and what we do there.
struct Difference<T> {
    why: &'static str,
    ids: &'static [&'static str],
    ours: fn(&T) -> bool,
}

fn cases(kind: &str) -> Vec<Value> {
    let file: HashMap<String, Value> =
        serde_json::from_str(include_str!("../../../../../tests/vectors/rabbitmq.json")).expect("the vectors are JSON");
    file[kind].as_array().expect("a list of cases").clone()
}

fn id(case: &Value) -> &str {
    case["id"].as_str().expect("every case has an id")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The case's metadata, with `places` filled in: `{here}`, say.
fn metadata(case: &Value, places: &[(&str, &str)]) -> Metadata {
    let pairs: BTreeMap<String, String> = serde_json::from_value(case["metadata"].clone()).expect("texts");
    let fill = |text: String| places.iter().fold(text, |text, (place, with)| text.replace(place, with));
    pairs.into_iter().map(|(key, value)| (key, fill(value))).collect()
}

/// Holds what we make of each case against KEDA's expectation, or against the listed difference.
#[expect(clippy::print_stdout, reason = "the counts are worth seeing, with `--nocapture`")]
fn hold<T: PartialEq + fmt::Debug>(kind: &str, differences: &[Difference<T>], pairs: Vec<(Value, T, T)>) {
    let mut wrong = Vec::new();
    let mut differ = 0;
    for (case, keda, ours) in &pairs {
        let id = id(case);
        let listed = differences.iter().find(|difference| difference.ids.contains(&id));
        let text = match listed {
            None if ours == keda => continue,
            None => "not as KEDA, and not listed",
            Some(_) if ours == keda => "listed as a difference, but is none",
            Some(listed) if (listed.ours)(ours) => {
                differ += 1;
                continue;
            }
            Some(listed) => listed.why,
        };
        wrong.push(format!("{id}: {text}\n  KEDA {keda:?}\n  ours {ours:?}"));
    }
    let known = |listed: &&&str| pairs.iter().any(|(case, ..)| id(case) == **listed);
    let listed: Vec<_> = differences.iter().flat_map(|difference| difference.ids).collect();
    wrong.extend(listed.iter().filter(|id| !known(id)).map(|id| format!("{id}: listed, but there is no such case")));
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
    assert_eq!(differ, listed.len());
    println!("{kind}: {} as KEDA, {differ} differ as listed", pairs.len() - differ);
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
    hold(
        "aggregate",
        &[],
        cases("aggregate").into_iter().map(|case| (case.clone(), keda(&case), ours(&case))).collect(),
    );
}
