//! The JSON of an answer, as little of it as is looked at: whatever a server nests or repeats, what is kept of it is a
//! handful of texts.
//!
//! Not for: what it means (`answer.rs`).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A list of which only the head is kept, however long it is.
#[derive(Debug, Default)]
pub struct Elements {
    /// How long it is.
    pub count: usize,
    /// Its first element.
    pub first: Option<Element>,
    /// Its second.
    pub second: Option<Element>,
}

/// An element of a list, to the depth that counts.
#[derive(Debug)]
pub enum Element {
    /// An object: a series, or what calls itself one.
    Series(Series),
    /// Anything else.
    Scalar(Scalar),
}

/// What a series has.
#[derive(Debug, Default)]
pub struct Series {
    /// Whether it has a native histogram.
    pub histogram: bool,
    /// Whether it has a range of samples.
    pub values: bool,
    /// Its one sample.
    pub value: Option<Sample>,
}

/// A sample as it should be, or what stands in its place.
#[derive(Debug)]
pub enum Sample {
    /// A time and a value.
    Pair {
        /// How long it really is.
        count: usize,
        /// The value.
        second: Option<Scalar>,
    },
    /// No list.
    Not(Scalar),
}

/// A text, a number as it was written, nothing, or something else.
#[derive(Debug)]
pub enum Scalar {
    /// `null`.
    Null,
    /// A text or a number.
    Text(String),
    /// What is neither.
    Other,
}

/// `warnings`, of which only those count that say something of the data.
#[derive(Debug, Default)]
pub struct Warnings {
    /// How many do.
    pub of_data: usize,
}

impl Element {
    /// The element as one value.
    pub fn scalar(&self) -> &Scalar {
        if let Self::Scalar(scalar) = self { scalar } else { &Scalar::Other }
    }
}

/// A visitor for everything that is neither list nor object.
macro_rules! scalars {
    ($wrap:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Null))
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Other))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Text(text.to_owned())))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Text(number.to_string())))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Text(number.to_string())))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok($wrap(Scalar::Text(number.to_string())))
        }
    };
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Scalar;

            scalars!(std::convert::identity);

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(One)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Element;

            scalars!(Element::Scalar);

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Element::Scalar(Scalar::Other))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
                let mut series = Series::default();
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Value => series.value = Some(map.next_value()?),
                        Key::Values => series.values = map.next_value::<IgnoredAny>().map(|_| true)?,
                        Key::Histogram => series.histogram = map.next_value::<IgnoredAny>().map(|_| true)?,
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Element::Series(series))
            }
        }
        deserializer.deserialize_any(One)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Sample;

            scalars!(Sample::Not);

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Sample, A::Error> {
                let (count, _, second) = read::<A, IgnoredAny, Scalar>(list)?;
                Ok(Sample::Pair { count, second })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sample, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Sample::Not(Scalar::Other))
            }
        }
        deserializer.deserialize_any(One)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Value,
    Values,
    Histogram,
    #[serde(other)]
    Other,
}

/// The length of `list`, its first and its second element.
fn read<'de, A: SeqAccess<'de>, F: Deserialize<'de>, S: Deserialize<'de>>(
    mut list: A,
) -> Result<(usize, Option<F>, Option<S>), A::Error> {
    let first = list.next_element()?;
    let second = if first.is_some() { list.next_element()? } else { None };
    let mut count = usize::from(first.is_some()) + usize::from(second.is_some());
    while second.is_some() && list.next_element::<IgnoredAny>()?.is_some() {
        count += 1;
    }
    Ok((count, first, second))
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Head;
        impl<'de> Visitor<'de> for Head {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Elements, A::Error> {
                let (count, first, second) = read(list)?;
                Ok(Elements { count, first, second })
            }
        }
        deserializer.deserialize_seq(Head)
    }
}

impl<'de> Deserialize<'de> for Warnings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Whether it says that data may be missing or wrong. Prometheus marks what is only advice on the query.
        struct OfData(bool);
        impl<'de> Deserialize<'de> for OfData {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Scalar::deserialize(deserializer).map(|warning| {
                    let advice = matches!(&warning, Scalar::Text(text) if text.trim_start().starts_with("PromQL info"));
                    Self(!advice)
                })
            }
        }
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Warnings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Warnings, A::Error> {
                let mut of_data = 0;
                while let Some(OfData(counts)) = list.next_element()? {
                    of_data += usize::from(counts);
                }
                Ok(Warnings { of_data })
            }
        }
        deserializer.deserialize_seq(All)
    }
}
