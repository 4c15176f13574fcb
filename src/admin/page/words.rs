//! Numbers, times and texts as people read them. The page's script has the same rules for what it brings up to date.

use std::time::SystemTime;

use maud::{Markup, html};

use crate::{clock::since_epoch, net::tls::EXPIRES_SOON};

/// The time now: Unix time in seconds.
pub(super) fn now() -> f64 {
    since_epoch(SystemTime::now()).as_secs_f64()
}

/// `12,345.678`: three decimals at most.
pub(super) fn number(value: f64) -> String {
    let text = format!("{:.3}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && (grouped != "0" || !fraction.is_empty()) { "−" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// What is not known is a dash.
pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// `4 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let (minutes, hours, days) = ((seconds / 60.0).floor(), (seconds / 3600.0).floor(), (seconds / 86_400.0).floor());
    if seconds < 0.0995 {
        format!("{} ms", (seconds * 1e3).round())
    } else if seconds < 9.95 {
        format!("{} s", (seconds * 10.0).round() / 10.0)
    } else if minutes < 1.0 {
        format!("{} s", seconds.floor())
    } else if hours < 1.0 {
        format!("{minutes} min")
    } else if days < 1.0 {
        match minutes - hours * 60.0 {
            0.0 => format!("{hours} h"),
            rest => format!("{hours} h {rest} min"),
        }
    } else {
        format!("{days} d")
    }
}

/// How long ago `at` was, which the page's script keeps up to date.
pub(super) fn ago(at: Option<f64>) -> Markup {
    let Some(at) = at else { return html! { span.none { "never" } } };
    html! { time data-at=(at) { (span_of_age(now() - at)) } " ago" }
}

/// For how long something has been so that began at `at`.
pub(super) fn lasting(at: Option<f64>) -> Markup {
    html! { @if at.is_some() { "for " (age(at)) } }
}

/// How old something of `at` is.
pub(super) fn age(at: Option<f64>) -> Markup {
    let Some(at) = at else { return html! { span.none { "–" } } };
    html! { time data-at=(at) { (span_of_age(now() - at)) } }
}

/// Ages in whole seconds: they change while one looks.
fn span_of_age(seconds: f64) -> String {
    if seconds < 10.0 { format!("{} s", seconds.max(0.0).floor()) } else { span(seconds) }
}

/// How long it is until `at`.
pub(super) fn until(at: f64) -> String {
    let rest = at - now();
    if rest <= 0.0 { "now".to_owned() } else { format!("in {}", span(rest)) }
}

/// When a certificate expires; loud where that is within a week.
pub(super) fn expiry(at: f64) -> Markup {
    let left = at - now();
    html! {
        @if left <= 0.0 { strong.error { "expired " (ago(Some(at))) } }
        @else if left < EXPIRES_SOON.as_secs_f64() { strong.error { "expires in " (span(left)) } }
        @else { "expires in " (span(left)) }
    }
}

/// A text with what stands between backticks as code. Everything in it may be from outside.
pub(super) fn prose(text: &str) -> Markup {
    let pieces = text.split('`').enumerate();
    let odd = text.matches('`').count() % 2 == 1;
    html! {
        @for (index, piece) in pieces {
            // A backtick that is never closed opens nothing.
            @if index % 2 == 1 && !(odd && index == text.matches('`').count()) { code { (piece) } }
            @else if index % 2 == 1 { "`" (piece) }
            @else { (piece) }
        }
    }
}

/// `1 trigger`, `2 triggers`.
pub(super) fn count(number: usize, one: &str, more: &str) -> String {
    format!("{} {}", self::number(number as f64), if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0001, "0"),
            (7.0, "7"),
            (1234.5, "1,234.5"),
            (1_000_000.0, "1,000,000"),
            (0.12345, "0.123"),
            (-12.5, "−12.5"),
            (9e15, "9,000,000,000,000,000"),
        ] {
            assert_eq!(number(value), text);
        }
        for (seconds, text) in [
            (0.0123, "12 ms"),
            (0.25, "0.3 s"),
            (5.0, "5 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (3600.0, "1 h"),
            (3725.0, "1 h 2 min"),
            (90_000.0, "1 d"),
            (-3.0, "0 ms"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn backticks_make_code_and_nothing_from_outside_makes_markup() {
        let shown = |text| prose(text).into_string();
        assert_eq!(shown("queue `a` is <b>"), "queue <code>a</code> is &lt;b&gt;");
        assert_eq!(shown("`<img src=x onerror=alert(1)>`"), "<code>&lt;img src=x onerror=alert(1)&gt;</code>");
        assert_eq!(shown("a ` b"), "a ` b");
        assert_eq!(shown("`a` b ` c"), "<code>a</code> b ` c");
    }
}
