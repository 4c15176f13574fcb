//! `partitionLimitation`: which partitions of a topic count, in the grammar of either of KEDA's Kafka scalers.
//!
//! Ranges stay ranges: `0-2147483647` is as small as `0`.

use std::ops::RangeInclusive;

use super::spec::Dialect;

/// The partitions that count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Partitions(Vec<RangeInclusive<i64>>);

impl Partitions {
    /// Reads a list such as `1,2,10-12`. `Err` is the piece that cannot be read, counted from one.
    ///
    /// A reversed range (`5-2`) is legal and matches nothing, see [`matches_nothing`](Self::matches_nothing).
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, usize> {
        let piece = |(index, piece): (usize, &str)| range(piece.trim(), dialect).ok_or(index + 1);
        text.split(',').enumerate().map(piece).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `partition` counts.
    #[must_use]
    pub fn contains(&self, partition: i32) -> bool {
        self.0.iter().any(|range| range.contains(&i64::from(partition)))
    }

    /// Whether no partition counts, whatever its number: every range is reversed.
    #[must_use]
    pub fn matches_nothing(&self) -> bool {
        self.0.iter().all(RangeInclusive::is_empty)
    }
}

fn range(piece: &str, dialect: Dialect) -> Option<RangeInclusive<i64>> {
    let Some((start, end)) = piece.split_once('-') else {
        let number = number(piece, dialect)?;
        return Some(number..=number);
    };
    Some(number(start.trim(), dialect)?..=number(end.trim(), dialect)?)
}

/// A number that is not negative: a `-` always makes a range. The one thing on which KEDA's two parsers differ.
fn number(digits: &str, dialect: Dialect) -> Option<i64> {
    if digits.contains('-') {
        return None;
    }
    match dialect {
        // Go's ParseInt with 32 bits: `+5` and `05` are fine.
        Dialect::Kafka => digits.parse::<i32>().ok().map(i64::from),
        // JSON: neither is.
        Dialect::ApacheKafka => {
            let json = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            if json { digits.parse().ok() } else { None }
        }
    }
}
