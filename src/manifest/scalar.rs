//! What Kubernetes takes a value for: its YAML is 1.1, where `yes` is no text.
//!
//! Not for: KEDA's own grammar of texts (`metadata`).

/// What a value is to Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing at all.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Float,
    /// A text.
    Text,
    /// A sequence.
    Sequence,
    /// A mapping.
    Mapping,
}

impl Seen {
    /// In words, with an article.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) | Self::Float => "a number",
            Self::Text => "a text",
            Self::Sequence => "a list",
            Self::Mapping => "a mapping",
        }
    }
}

/// What `text` is that stands there without quotes.
#[must_use]
pub fn plain(text: &str) -> Seen {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Seen::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Seen::Boolean(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Seen::Boolean(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN"
        | ".NAN" => return Seen::Float,
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Seen::Text;
    }
    let digits = digits.replace('_', "");
    if let Some(number) = integer(&digits) {
        let number = if negative { -number } else { number };
        return i64::try_from(number).map_or(Seen::Float, Seen::Integer);
    }
    let is_float = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if is_float && digits.parse::<f64>().is_ok() { Seen::Float } else { Seen::Text }
}

fn integer(digits: &str) -> Option<i128> {
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] if digits.bytes().all(|b| b.is_ascii_digit()) => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}
