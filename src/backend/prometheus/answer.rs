//! What an answer of the query API means: one number, none, or an error that says why.
//!
//! KEDA looks at `data.result[].value[1]` alone and takes everything without one for 0. Here `status`, `resultType`
//! and `warnings` count too: only an answer that is truly empty is no number.

use serde::Deserialize;

use super::elements::{Element, Elements, Sample, Scalar, Warnings};
use crate::{
    error::{ReadError, ReadErrorKind, quoted},
    net::http::{self, Answer},
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: Option<String>,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Warnings>,
    /// VictoriaMetrics: some of its storage did not answer.
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: Option<String>,
    result: Option<Elements>,
}

/// Reads what `place` answered.
pub fn read(place: &str, answer: &Answer) -> Result<Found, ReadError> {
    let body: Result<Body, _> = serde_json::from_slice(&answer.body);
    if !answer.status.is_success() {
        return Err(body
            .ok()
            .and_then(|body| explained(place, answer, &body))
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
        return Err(explained(place, answer, &body).unwrap_or_else(unexplained));
    }
    let Some(data) = body.data else {
        return Err(bad(format!("{place} answered without `data`: correct `serverAddress`")));
    };
    let warned = body.is_partial == Some(true) || body.warnings.is_some_and(|warnings| warnings.of_data > 0);
    Ok(Found { number: number(place, data)?, warned })
}

fn number(place: &str, data: Data) -> Result<Number, ReadError> {
    let result = data.result.unwrap_or_default();
    match data.result_type.as_deref() {
        Some("scalar") => return sample(place, result.count, result.second.as_ref().map(Element::scalar)),
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
        (1, Some(Element::Series(series))) => series,
        (1, _) => {
            return Err(bad(format!("{place} gave a series without a sample: correct `serverAddress`")));
        }
        (count, _) => {
            return Err(bad(format!(
                "{place} gave multiple series ({count}): make them one, for example with `sum(…)`"
            )));
        }
    };
    if series.histogram {
        return Err(bad(format!(
            "{place} gave a native histogram: take one number of it, for example with `histogram_count(…)`"
        )));
    }
    if series.values {
        return Err(bad(format!("{place} gave a range of samples: take one number of it")));
    }
    match series.value {
        None | Some(Sample::Not(Scalar::Null) | Sample::Pair { count: 0, .. }) => Ok(Number::Empty),
        Some(Sample::Pair { count, second }) => sample(place, count, second.as_ref()),
        Some(_) => Err(bad(format!("{place} gave a series without a sample: correct `serverAddress`"))),
    }
}

/// A sample is a time and a value, which is a text; some servers that are not Prometheus write a number.
fn sample(place: &str, length: usize, value: Option<&Scalar>) -> Result<Number, ReadError> {
    let text = match value {
        None => return Err(bad(format!("{place} gave a sample of {length} parts: it must be a time and a value"))),
        Some(Scalar::Null) => return Ok(Number::Empty),
        Some(Scalar::Text(text)) => text,
        Some(Scalar::Other) => return Err(bad(format!("{place} gave a sample that is not a number"))),
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
fn explained(place: &str, answer: &Answer, body: &Body) -> Option<ReadError> {
    let words = quoted(body.error.as_deref()?);
    if words.is_empty() {
        return None;
    }
    let about_us = matches!(http::kind(answer.status), ReadErrorKind::Denied | ReadErrorKind::Throttled);
    Some(match body.error_type.as_deref() {
        _ if about_us => answer.refusal_saying(place, &words),
        Some("timeout" | "canceled") => {
            let text = format!("{place} gave up on the query: {words}: make it cheaper");
            ReadError::new(ReadErrorKind::Timeout, text).of_source()
        }
        Some("bad_data" | "execution") => {
            bad(format!("{place} refuses the query: {words}: correct `query` in the trigger"))
        }
        Some("unavailable" | "not_ready") => {
            ReadError::new(ReadErrorKind::Unreachable, format!("{place} is not ready: {words}"))
        }
        _ if answer.status.is_success() => bad(format!("{place} says that the query failed: {words}")),
        _ => answer.refusal_saying(place, &words),
    })
}

fn bad(text: String) -> ReadError {
    ReadError::new(ReadErrorKind::BadReply, text)
}
