//! KEDA's value grammar: how one string becomes a number, a boolean, a list or a duration.
//!
//! Not for: which key it came from, or what to say when it does not fit (`reader.rs`).

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

/// A value that never shows itself: no `Display`, and `Debug` prints dots.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

/// A 64-bit integer as JSON writes it: no `+`, no leading zero, no fraction, no exponent.
pub fn int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A number as JSON writes it: no `+`, no leading zero, digits on both sides of the point, finite.
pub fn float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(head, tail)| (head, Some(tail)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(head, tail)| (head, Some(tail)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0');
    let exponent_is_legal = exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    if leading_zero || !digits(unsigned) || !fraction.is_none_or(digits) || !exponent_is_legal {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `name=value` pairs with commas between them, all trimmed; the last of equal names wins. Beyond KEDA, a value may
/// hold `=` (base64 often does).
pub fn map(text: &str) -> Option<BTreeMap<String, String>> {
    let pair =
        |piece: &str| piece.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    text.split(',').map(pair).collect()
}

/// Go's duration syntax, else whole milliseconds.
pub fn timeout(text: &str) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
        Err(_) => duration(text),
    }
}

/// Go's `strconv.ParseBool`.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Comma-separated, each element trimmed, empty elements kept.
pub fn list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// Whole seconds (`15`) or Go's duration syntax (`500ms`, `1m30s`, `1.5s`).
pub fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = int(text) {
        return u64::try_from(seconds).ok().map(Duration::from_secs);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| !text.is_empty())
}
