//! Adds up what SQS says of a queue. Pure.

use std::collections::BTreeMap;

use super::spec::Spec;
use crate::{
    error::{ReadError, ReadErrorKind},
    reading::Reading,
};

/// A number that SQS keeps of a queue; approximate, and eventually consistent within a minute or so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// Messages that may be received.
    Visible,
    /// Received, and neither deleted nor visible again.
    InFlight,
    /// Not yet visible for the first time.
    Delayed,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Visible, Self::InFlight, Self::Delayed];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visible => "ApproximateNumberOfMessages",
            Self::InFlight => "ApproximateNumberOfMessagesNotVisible",
            Self::Delayed => "ApproximateNumberOfMessagesDelayed",
        }
    }
}

/// The sum of the attributes that the trigger wants. One that is missing, or is no whole number, is an error.
pub fn count(spec: &Spec, answer: &BTreeMap<Attribute, String>) -> Result<Reading, ReadError> {
    let mut sum: i128 = 0;
    for attribute in &spec.attributes {
        let (name, queue) = (attribute.as_str(), &spec.queue.name);
        let bad = |what: &str| {
            let text = format!("queue `{queue}`: SQS answers {what} `{name}`: check that `awsEndpoint` speaks SQS");
            ReadError::new(ReadErrorKind::BadReply, text)
        };
        let text = answer.get(attribute).ok_or_else(|| bad("without"))?;
        let number: i64 = text.parse().map_err(|_| bad("with no whole number for"))?;
        sum += i128::from(number);
    }
    let active = sum > i128::from(spec.activation);
    Ok(Reading { value: sum.max(0) as f64, active })
}
