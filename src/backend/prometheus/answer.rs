//! What an answer of the query API means: one number, none, or an error that says why.
//!
//! KEDA looks at `data.result[].value[1]` alone and takes everything without one for 0. Here `status`, `resultType`
//! and `warnings` count too: only an answer that is truly empty is no number.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{
    error::{ReadError, ReadErrorKind},
    net::http::{Answer, StatusCode},
};

/// What the query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The number.
    pub number: Number,
    /// The server says that the answer may be incomplete or odd.
    pub warned: bool,
}

/// One number, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Finite.
    Is(f64),
    /// No series matches, or its sample has no value.
    Empty,
    /// `NaN`, `+Inf` or `-Inf`.
    NotFinite,
}

/// How much of the server's own explanation is shown.
const LONGEST_EXPLANATION: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: Option<String>,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Elements>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: Option<String>,
    result: Option<Elements>,
}

/// A list of which only the head is kept, however long it is.
#[derive(Default)]
struct Elements {
    count: usize,
    first: Option<Value>,
    second: Option<Value>,
}

/// Reads what `place` answered.
pub fn read(place: &str, answer: &Answer) -> Result<Found, ReadError> {
    let body: Result<Body, _> = serde_json::from_slice(&answer.body);
    if !answer.status.is_success() {
        return Err(body
            .ok()
            .and_then(|body| explained(place, answer.status, &body))
            .unwrap_or_else(|| answer.refusal(place)));
    }
    let Ok(body) = body else {
        let text = if answer.is_web_page() {
            format!("{place} answered with a web page: a proxy or a login stands before it, correct `serverAddress`")
        } else {
            format!("{place} answered with something else than Prometheus does: correct `serverAddress`")
        };
        return Err(bad(text));
    };
    if body.status.as_deref().is_some_and(|status| status != "success") {
        let unexplained = || bad(format!("{place} says that the query failed, but not why"));
        return Err(explained(place, answer.status, &body).unwrap_or_else(unexplained));
    }
    let Some(data) = body.data else {
        return Err(bad(format!("{place} answered without `data`: correct `serverAddress`")));
    };
    let warned = body.warnings.is_some_and(|warnings| warnings.count > 0);
    Ok(Found { number: number(place, data)?, warned })
}

fn number(place: &str, data: Data) -> Result<Number, ReadError> {
    let result = data.result.unwrap_or_default();
    match data.result_type.as_deref() {
        Some("scalar") => return sample(place, result.count, result.second.as_ref()),
        Some("vector") | None => {}
        Some("matrix") => {
            return Err(bad(format!(
                "{place} gave a range of samples: take one number of it, for example with `sum(rate(…))`"
            )));
        }
        Some("string") => return Err(bad(format!("{place} gave a text: `query` must give a number"))),
        Some(_) => return Err(bad(format!("{place} gave a kind of result that is not known: look at `query`"))),
    }
    let series = match (result.count, result.first) {
        (0, _) => return Ok(Number::Empty),
        (1, Some(series)) => series,
        (count, _) => {
            return Err(bad(format!(
                "{place} gave multiple series ({count}): make them one, for example with `sum(…)`"
            )));
        }
    };
    if series.get("histogram").is_some() {
        return Err(bad(format!(
            "{place} gave a native histogram: take one number of it, for example with `histogram_count(…)`"
        )));
    }
    if series.get("values").is_some() {
        return Err(bad(format!("{place} gave a range of samples: take one number of it")));
    }
    match series.get("value") {
        None | Some(Value::Null) if series.is_object() => Ok(Number::Empty),
        Some(Value::Array(pair)) if pair.is_empty() => Ok(Number::Empty),
        Some(Value::Array(pair)) => sample(place, pair.len(), pair.get(1)),
        _ => Err(bad(format!("{place} gave a series without a sample: correct `serverAddress`"))),
    }
}

/// A sample is a time and a value, which is a text; some servers that are not Prometheus write a number.
fn sample(place: &str, length: usize, value: Option<&Value>) -> Result<Number, ReadError> {
    let text = match value {
        None => return Err(bad(format!("{place} gave a sample of {length} parts: it must be a time and a value"))),
        Some(Value::Null) => return Ok(Number::Empty),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(bad(format!("{place} gave a sample that is not a number"))),
    };
    let number: f64 = text.parse().map_err(|_| bad(format!("{place} gave a sample that is not a number")))?;
    // `1e999` reads as infinite, but nobody wrote infinity.
    if number.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(bad(format!("{place} gave a number that is too large")));
    }
    Ok(if number.is_finite() { Number::Is(number) } else { Number::NotFinite })
}

/// What went wrong with a query in the server's own words, where it has any. The words for kinds of failure are
/// those of Prometheus' `web/api/v1`.
fn explained(place: &str, status: StatusCode, body: &Body) -> Option<ReadError> {
    let words = body.error.as_deref().filter(|words| !words.is_empty())?;
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_EXPLANATION).collect();
    match body.error_type.as_deref() {
        Some("timeout" | "canceled") => {
            let text = format!("{place} gave up on the query: {words}: make it cheaper");
            Some(ReadError::new(ReadErrorKind::Timeout, text).of_source())
        }
        Some("bad_data" | "execution") => {
            Some(bad(format!("{place} refuses the query: {words}: correct `query` in the trigger")))
        }
        Some("unavailable" | "not_ready") => {
            Some(ReadError::new(ReadErrorKind::Unreachable, format!("{place} is not ready: {words}")))
        }
        _ if status.is_success() => Some(bad(format!("{place} says that the query failed: {words}"))),
        _ => None,
    }
}

fn bad(text: String) -> ReadError {
    ReadError::new(ReadErrorKind::BadReply, text)
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Head;
        impl<'de> Visitor<'de> for Head {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let first = list.next_element()?;
                let second = list.next_element()?;
                let mut count = usize::from(first.is_some()) + usize::from(second.is_some());
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Elements { count, first, second })
            }
        }
        deserializer.deserialize_seq(Head)
    }
}
